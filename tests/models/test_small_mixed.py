"""Texts joined with numbers: by the definition, and with noise where the two meet."""

import pytest
import torch
import torch.nn.functional as F

import dropsmith as ds
from dropsmith.models import (
    SmallMixed,
    SmallTransformer,
    build_described,
    describe_model,
    mixed_plan,
)
from dropsmith.models.small_mixed import MIXED_NOISES

TOKENS = torch.tensor([[3, 4, 5, 6], [8, 9, 0, 0], [2, 0, 0, 0]])
SECOND = torch.tensor([[7, 0], [5, 6], [2, 0]])
SIZES = {"words": 20, "length": 6, "width": 8, "heads": 2}


@pytest.fixture(params=[False, True], ids=["text", "pair"])
def made(request):
    torch.manual_seed(0)
    pairs = request.param
    net = SmallMixed(classes=3, features=5, pairs=pairs, **SIZES).eval()
    batch = {"tokens": TOKENS, "features": torch.randn(3, 5)}
    return net, batch | ({"second": SECOND} if pairs else {})


def test_scores_are_those_of_the_two_vectors_side_by_side(made):
    net, batch = made
    text = SmallTransformer(classes=1, pairs="second" in batch, **SIZES).eval()
    shared = {
        k: v for k, v in net.state_dict().items() if k in text.state_dict() and "head" not in k
    }
    text.load_state_dict(shared, strict=False)
    text.head = torch.nn.Identity()
    vector = text(batch["tokens"], batch.get("second"))
    hidden = F.relu(batch["features"] @ net.numbers.weight.T + net.numbers.bias)
    joint = F.relu(torch.cat([vector, hidden], 1) @ net.joint.weight.T + net.joint.bias)
    expected = joint @ net.head.weight.T + net.head.bias
    torch.testing.assert_close(net(**batch), expected)


def test_the_scores_of_a_row_are_its_own(made):
    net, batch = made
    whole = net(**batch)
    for row in range(3):
        alone = net(**{name: column[row : row + 1] for name, column in batch.items()})
        torch.testing.assert_close(alone[0], whole[row])
    turned = net(**batch | {"features": batch["features"].flip(0)})
    assert not torch.allclose(turned[0], whole[0])


@pytest.mark.parametrize("noise", MIXED_NOISES)
def test_every_noise_is_installed_and_changes_the_scores(made, noise):
    net, batch = made
    plan = mixed_plan(noise, 0.4)
    prediction = ds.predict(net, batch, 20, plan=plan)
    assert (prediction.mutual_information > 0).any()
    at_joint = [rule for rule in plan.rules if rule.selector.name == "joint.input"]
    assert bool(at_joint) == (noise in ("dropout", "locked", "gaussian"))


def test_its_description_makes_it_again(made):
    net, batch = made
    again = build_described(describe_model(net))
    again.load_state_dict(net.state_dict())
    torch.testing.assert_close(again.eval()(**batch), net(**batch))
