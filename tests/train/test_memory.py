import torch

from dropsmith.train.memory import forget_peak, peak_bytes

CPU = torch.device("cpu")


def test_the_peak_holds_what_was_used_and_given_back():
    forget_peak(CPU)
    before = peak_bytes(CPU)
    size = 2**27
    torch.ones(size // 4)
    assert peak_bytes(CPU) >= before + size // 2


def test_without_the_systems_files_it_is_the_peak_of_the_process(monkeypatch, tmp_path):
    import resource

    monkeypatch.setattr("dropsmith.train.memory._STATUS", tmp_path / "no status")
    monkeypatch.setattr("dropsmith.train.memory._CLEAR", tmp_path / "no clear")
    monkeypatch.setattr("sys.platform", "linux")
    forget_peak(CPU)
    assert peak_bytes(CPU) == resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
