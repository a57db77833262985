"""Arguments come as `forward` takes them, and what comes back is shaped like what it returns."""

import pytest
import torch
from torch import nn

import dropsmith as ds
from consistency.tiny import PLAN, X, Y, assert_equal_gradients, net, of_rows, seeded
from dropsmith.consistency import ConsistentOutput, consistent
from dropsmith.consistency.signature import Signature, position_names
from dropsmith.objectives import RDrop


def test_arguments_may_come_by_position_or_by_name():
    losses = [
        consistent(net(), RDrop(alpha=1), loss=of_rows, plan=PLAN)(*args, **kwargs).loss
        for args, kwargs in [((X,), {"labels": Y}), ((), {"labels": Y, "input": X})]
    ]
    assert losses[0] == losses[1]


class Scorer(nn.Module):
    """Takes labels and more, and returns a tuple, a dict or a tensor."""

    def __init__(self, returned: str) -> None:
        super().__init__()
        self.net, self.returned = net(), returned

    def forward(self, x, labels=None, scale=None, ignored="word"):
        scores = self.net(x) * (1.0 if scale is None else scale[:, None])
        return {"tuple": (scores, x), "dict": {"logits": scores, "x": x}}.get(self.returned, scores)


def of_scores(output, batch):
    scores = output["logits"] if isinstance(output, dict) else output
    return of_rows(scores[0] if isinstance(scores, tuple) else scores, batch)


@pytest.mark.parametrize("returned", ["tuple", "dict", "tensor"])
@pytest.mark.parametrize("mode", ["auto", "looped"])
def test_what_comes_back_is_shaped_like_what_the_model_returns(returned, mode):
    plan = ds.Plan(ds.rule("net.1", ds.Bernoulli(rate=0.5)))
    model = Scorer(returned)
    consistent(model, RDrop(alpha=1), loss=of_scores, plan=plan, mode=mode)
    output = model(X, Y, scale=seeded(8), ignored=None)
    if returned == "tuple":
        loss, scores, x = output
        assert torch.equal(x, X)
    elif returned == "dict":
        loss, scores = output["loss"], output["logits"]
        assert torch.equal(output["x"], X)
    else:
        assert isinstance(output, ConsistentOutput)
        loss, scores = output
    assert loss.ndim == 0
    assert scores.shape == (8, 3)


def test_every_tensor_with_one_entry_per_row_is_repeated_for_each_view():
    plan = ds.Plan(ds.rule("net.1", ds.Bernoulli(rate=0.5)))
    losses = []
    for mode in ("auto", "looped"):
        model = consistent(Scorer("tensor"), RDrop(alpha=1), loss=of_rows, plan=plan, mode=mode)
        losses.append(model(X, labels=Y, scale=seeded(8)).loss)
    torch.testing.assert_close(*losses)


class Varied(nn.Module):
    """Takes what it needs by position alone, or by any name."""

    def __init__(self, by_name: bool) -> None:
        super().__init__()
        self.net = net()
        self.forward = self.named if by_name else self.placed

    def placed(self, *args):
        return self.net(args[0]) * args[1][:, None]

    def named(self, x, **kwargs):
        return self.net(x) * kwargs["scale"][:, None]


def test_forwards_of_any_arguments_train_like_one_that_names_them():
    plan, scale = ds.Plan(ds.rule("net.1", ds.Bernoulli(rate=0.5))), seeded(8)
    models = Scorer("tensor"), Varied(by_name=False), Varied(by_name=True)
    calls = ((X,), {"scale": scale}), ((X, scale), {}), ((X,), {"scale": scale})
    losses = []
    for model, (args, kwargs) in zip(models, calls, strict=True):
        consistent(model, RDrop(alpha=1), loss=of_rows, plan=plan)
        losses.append(model(*args, labels=Y, **kwargs).loss)
        losses[-1].backward()
    torch.testing.assert_close(losses[1:], losses[:1] * 2)
    for model in models[1:]:
        assert_equal_gradients(model, models[0])


def test_arguments_have_the_names_of_the_forward_and_those_beyond_are_numbered():
    varied = Signature.of(Varied(by_name=False))
    assert position_names(varied.names, 2) == ("argument 0", "argument 1")
    assert position_names(Signature.of(net()).names, 1) == ("input",)


@pytest.mark.parametrize("mode", ["auto", "looped"])
def test_too_many_arguments_are_the_models_own_error(mode):
    with pytest.raises(TypeError, match="takes 2 positional arguments but 3 were given"):
        consistent(net(), RDrop(alpha=1), loss=of_rows, plan=PLAN, mode=mode)(X, Y, labels=Y)
