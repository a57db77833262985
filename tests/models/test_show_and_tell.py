import pytest
import torch
import torch.nn.functional as F

import dropsmith as ds
from dropsmith.errors import TaskError
from dropsmith.models import CAPTION_NOISES, ShowAndTell, build_described, caption_plan
from dropsmith.models import describe_model as describe
from dropsmith.models.show_and_tell import UNKNOWN
from dropsmith.models.small_seq2seq import BEGIN, END, PAD
from dropsmith.objectives import Fraternal, losses

IMAGE = torch.rand(3, 3, 8, 12, generator=torch.Generator().manual_seed(0))
TARGET = torch.tensor([[BEGIN, 8, 9, 10], [BEGIN, 5, PAD, PAD], [BEGIN, 7, 5, 6]])


@pytest.fixture(params=[False, True], ids=["plain", "attention"])
def net(request):
    torch.manual_seed(0)
    return ShowAndTell(
        words=12, size=(8, 12), widths=(4, 6), width=10, attention=request.param
    ).train()


def by_definition(net, image, target):
    """Vinyals et al. (2015), equations 10 to 12, in float64 and step by step."""
    p = {name: value.double() for name, value in net.state_dict().items()}
    x = 4 * image.double() - 2
    for k in range(2):
        x = F.conv2d(x, p[f"convs.{k}.weight"], p[f"convs.{k}.bias"], padding=1).relu()
        x = F.max_pool2d(x, 2) if min(x.shape[-2:]) > 4 else x
    hidden = cell = torch.zeros(len(image), 10, dtype=torch.double)
    x = x - x.mean((2, 3), keepdim=True)
    x = x / (x.square().mean((2, 3), keepdim=True) + 1e-5).sqrt()
    values = x.flatten(1)
    first = values / values.shape[1] ** 0.5 @ p["image.weight"].T + p["image.bias"]
    inputs = [first, *(p["embedding.weight"][tokens] for tokens in target.T)]
    scores = []
    for value in inputs:
        gates = value @ p["lstm.weight_ih_l0"].T + p["lstm.bias_ih_l0"]
        gates = gates + hidden @ p["lstm.weight_hh_l0"].T + p["lstm.bias_hh_l0"]
        enter, forget, new, leave = gates.chunk(4, -1)
        cell = forget.sigmoid() * cell + enter.sigmoid() * new.tanh()
        hidden = leave.sigmoid() * cell.tanh()
        read = hidden + first
        if "places.weight" in p:
            rows = []
            for maps, one, both in zip(x, hidden, read, strict=True):
                places = [
                    p["places.weight"] @ maps[:, i, j] + p["places.bias"]
                    for i in range(maps.shape[1])
                    for j in range(maps.shape[2])
                ]
                weights = torch.stack([one @ place for place in places]).softmax(0)
                context = sum(w * place for w, place in zip(weights, places, strict=True))
                joined = torch.cat([context, both])
                rows.append(torch.tanh(p["combine.weight"] @ joined + p["combine.bias"]))
            read = torch.stack(rows)
        scores.append(read @ p["head.weight"].T + p["head.bias"])
    return torch.stack(scores[1:], 1)


def test_scores_are_those_of_the_definition(net):
    expected = by_definition(net, IMAGE, TARGET)
    torch.testing.assert_close(net(IMAGE, TARGET).double(), expected, atol=1e-5, rtol=1e-5)


def test_reading_a_caption_at_once_is_reading_it_word_by_word(net):
    state, scores = net.start(IMAGE), []
    for tokens in TARGET.T:
        following, state = net.step(tokens, state)
        scores.append(following)
    torch.testing.assert_close(torch.stack(scores, 1), net(IMAGE, TARGET))


def test_scores_hang_on_the_picture_and_not_on_words_to_come(net):
    later = TARGET.clone()
    later[:, 2:] = 11
    torch.testing.assert_close(net(IMAGE, TARGET)[:, :2], net(IMAGE, later)[:, :2])
    assert not torch.allclose(net(IMAGE, TARGET)[:, 2:], net(IMAGE, later)[:, 2:])
    assert not torch.allclose(net(IMAGE, TARGET), net(1 - IMAGE, TARGET), atol=1e-4)


def test_what_is_written_ends_once_and_has_no_rare_word(net):
    written = net.eval().write(IMAGE, beams=4, longest=6)
    assert written.shape[0] == 3
    assert written.shape[1] <= 6
    for row in written.tolist():
        words = row[: row.index(END)] if END in row else row
        assert not {PAD, BEGIN, UNKNOWN} & set(words)
        assert set(row[len(words) + 1 :]) <= {PAD}


@pytest.mark.parametrize("noise", CAPTION_NOISES)
def test_each_kind_of_noise_is_in_its_places(net, noise):
    sites = {
        "words": {"embedding"},
        "spatial": {"convs.0", "convs.1"},
        "weights": {"lstm.weight_hh_l0"},
    }
    batch = {"image": IMAGE.repeat(8, 1, 1, 1), "target": TARGET.repeat(8, 1)}
    with caption_plan(noise, 0.4).installed(net, batch):
        found = ds.audit(net, batch)
        on = {row.site.name for row in found.rows if row.how == "keyed" and row.on}
        assert found.outputs_differ
    assert on == sites.get(noise, {"image", "embedding", "head.input"})


def test_two_views_are_as_two_passes_and_fraternal_is_the_squared_distance_of_scores(net):
    labels = torch.tensor([[8, 9, 10, END], [5, END, -100, -100], [7, 5, 6, END]])
    batch = {"image": IMAGE, "target": TARGET, "labels": labels}
    with caption_plan("dropout", 0.4).installed(net, batch):
        views = ds.views(net, batch, 2)
        first, second = (view.double() for view in views.outputs)
        objective = Fraternal(kappa=0.3)
        terms = objective.terms(views, lambda out, rows: losses.tokens(out, rows["labels"]))
    real = labels != -100
    distance = (first - second).square().mean(-1)[real].mean()
    task = [F.cross_entropy(out[real], labels[real]) for out in (first, second)]
    total = objective.total(terms, 1).item()
    assert total == pytest.approx((sum(task) / 2 + 0.3 * distance).item(), rel=1e-5)


def test_an_unknown_noise_is_named_with_those_there_are():
    with pytest.raises(TaskError, match="dropout, locked, gaussian, words, spatial, weights"):
        caption_plan("blocks", 0.1)


def test_its_description_makes_it_again(net):
    made = build_described(describe(net))
    assert {n: p.shape for n, p in made.state_dict().items()} == {
        n: p.shape for n, p in net.state_dict().items()
    }
