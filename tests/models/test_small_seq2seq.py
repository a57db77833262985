import pytest
import torch

import dropsmith as ds
from dropsmith.errors import TaskError
from dropsmith.models.small_seq2seq import (
    BEGIN,
    END,
    PAD,
    SEQ2SEQ_NOISES,
    SmallSeq2Seq,
    seq2seq_plan,
)

pytest.importorskip("transformers")
SOURCE = torch.tensor([[5, 6, 7, 8, END], [9, 4, END, PAD, PAD], [3, END, PAD, PAD, PAD]])
TARGET = torch.tensor([[BEGIN, 8, 9, 10], [BEGIN, 3, END, PAD], [BEGIN, 7, 5, 6]])


@pytest.fixture
def net():
    torch.manual_seed(0)
    return SmallSeq2Seq(words=12, width=16, heads=2, layers=2, longest=20).train()


def test_scores_do_not_hang_on_padding_of_source_or_target(net):
    scores = net(SOURCE, TARGET)
    alone = net(SOURCE[1:2, :3], TARGET[1:2, :2])
    torch.testing.assert_close(scores[1:2, :2], alone)


def test_scores_do_not_hang_on_tokens_that_are_still_to_come(net):
    later = TARGET.clone()
    later[:, 2:] = 11
    torch.testing.assert_close(net(SOURCE, TARGET)[:, :2], net(SOURCE, later)[:, :2])
    assert not torch.allclose(net(SOURCE, TARGET)[:, 2:], net(SOURCE, later)[:, 2:])


def test_it_has_no_noise_of_its_own(net):
    assert torch.equal(net(SOURCE, TARGET), net(SOURCE, TARGET))


@pytest.mark.parametrize("noise", SEQ2SEQ_NOISES)
def test_each_kind_of_noise_reaches_encoder_and_decoder(net, noise):
    batch = {"source": SOURCE.repeat(8, 1), "target": TARGET.repeat(8, 1)}
    with seq2seq_plan(noise, 0.3).installed(net, batch):
        found = ds.audit(net, batch)
        on = [row.site.name for row in found.rows if row.how == "keyed" and row.on]
        assert found.outputs_differ
    assert any("encoder." in name for name in on)
    assert any("decoder." in name for name in on)
    if noise in ("dropout", "gaussian", "locked"):
        # Two embeddings, two branches of each encoder layer and three of each decoder layer.
        assert len(on) == 2 + 2 * 2 + 2 * 3


def test_an_unknown_noise_is_named_with_those_there_are():
    with pytest.raises(TaskError, match="dropout, locked, gaussian, words, path"):
        seq2seq_plan("blocks", 0.1)


def likelihood(net, source, target):
    """The log-probability of a finished target after BEGIN, token by token."""
    row = torch.tensor([[BEGIN, *target]])
    with torch.no_grad():
        log_p = net(source, row[:, :-1]).log_softmax(-1)
    return float(log_p.gather(-1, row[:, 1:, None]).sum())


def test_a_wide_beam_finds_the_likeliest_text_of_all_short_ones():
    torch.manual_seed(4)
    net = SmallSeq2Seq(words=6, width=8, heads=2, layers=1, longest=20).eval()
    source = torch.tensor([[3, 4, END]])
    words = (3, 4, 5)
    texts = [[END], *([a, END] for a in words), *([a, b, END] for a in words for b in words)]
    # Beam search divides by the length, as is usual.
    best = max(texts, key=lambda text: likelihood(net, source, text) / len(text))
    longer = [[a, b, c] for a in words for b in words for c in words]
    open_ended = max(likelihood(net, source, text) / 3 for text in longer)
    found = net.write(source, beams=30, longest=3)[0]
    found = [token for token in found.tolist() if token != PAD]
    if likelihood(net, source, best) / len(best) > open_ended:
        assert found == best
    else:
        assert len(found) == 3


def test_after_its_end_a_text_is_padding_and_special_tokens_are_never_written(net):
    net.eval()
    found = net.write(SOURCE, beams=3, longest=6)
    assert found.shape[1] <= 6
    for row in found.tolist():
        after = row[row.index(END) + 1 :] if END in row else []
        assert set(after) <= {PAD}
        assert BEGIN not in row
        assert PAD not in row[: len(row) - len(after)]


@pytest.mark.slow
def test_a_model_taught_to_copy_writes_its_source():
    torch.manual_seed(0)
    net = SmallSeq2Seq(words=8, width=32, heads=2, layers=1, longest=20).train()
    optimizer = torch.optim.Adam(net.parameters(), 3e-3)
    words = torch.cartesian_prod(*[torch.arange(3, 8)] * 3)
    ends = torch.full((len(words), 1), END)
    source, target = torch.cat([words, ends], 1), torch.cat([ends - 1, words], 1)
    for _ in range(120):
        loss = torch.nn.functional.cross_entropy(
            net(source, target).flatten(0, 1), source.flatten()
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    written = net.eval().write(source, beams=2, longest=8)
    right = sum(
        row[:4] == want for row, want in zip(written.tolist(), source.tolist(), strict=True)
    )
    assert right > 0.9 * len(source)
