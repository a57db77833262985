from dropsmith.train import bar


def test_it_is_told_shares_and_writes_nothing_to_standard_output(capsys):
    with bar("digits") as progress:
        for share in (0.0, 0.5, 1.0):
            progress(share)
    assert capsys.readouterr().out == ""
