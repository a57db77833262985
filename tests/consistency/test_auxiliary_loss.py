"""What a model adds to its own loss stays in it, with its gradient; an unknown rest is an error."""

from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from consistency.tiny import X, Y
from dropsmith.consistency import consistent, restore, terms_of
from dropsmith.errors import ObjectiveError
from dropsmith.objectives import RDrop, TaskLoss, TwoSample


class ExpertsForSequenceClassification(nn.Module):
    """A model that balances something beside its task, as mixtures of experts do."""

    config = SimpleNamespace(num_labels=3, problem_type=None, is_encoder_decoder=False)

    def __init__(self, strength=0.001, name="aux_loss"):
        super().__init__()
        torch.manual_seed(0)
        self.router, self.drop, self.head = nn.Linear(6, 6), nn.Dropout(0.5), nn.Linear(6, 3)
        self.strength, self.name = strength, name

    def forward(self, x, labels=None):
        routes = self.router(x).softmax(-1)
        scores = self.head(self.drop(routes * x))
        balance = (routes.mean(0) ** 2).sum() * 6
        output = {"logits": scores, self.name: balance}
        if labels is None:
            return output
        return {"loss": F.cross_entropy(scores, labels) + self.strength * balance, **output}


@pytest.mark.parametrize("name", ["aux_loss", "router_z_loss"])
@pytest.mark.parametrize("steps", [1, 4])
@pytest.mark.parametrize("mode", ["auto", "looped"])
@pytest.mark.parametrize("objective", [TaskLoss(), TwoSample(), RDrop(alpha=2)])
def test_it_is_in_the_loss_and_in_the_gradient(objective, mode, steps, name):
    model = ExpertsForSequenceClassification(name=name)
    consistent(model, objective, mode=mode)
    for _ in range(steps):
        output = model(X, labels=Y)
    model.zero_grad()
    output["loss"].backward()
    found = model.router.weight.grad.clone()
    terms = terms_of(model)
    plain = ExpertsForSequenceClassification(strength=0.0, name=name)
    # No noise below the router: what it adds is the same in every view.
    routes = plain.router(X).softmax(-1)
    balance = (routes.mean(0) ** 2).sum() * 6
    expected = 0.001 * balance.item()
    assert float(terms["auxiliary"].value) == pytest.approx(expected, rel=1e-3)
    rest = float(terms["task"].value)
    if isinstance(objective, RDrop):
        rest += float(terms["consistency"].value)
    assert output["loss"].item() == pytest.approx(rest + expected, rel=1e-5)
    assert found.abs().sum() > 0


@pytest.mark.parametrize("mode", ["auto", "looped"])
def test_its_gradient_is_that_of_its_own_formula(mode):
    gradients = []
    for strength in (0.0, 0.5):
        model = consistent(ExpertsForSequenceClassification(strength), TwoSample(), mode=mode)
        torch.manual_seed(1)
        model(X, labels=Y)["loss"].backward()
        gradients.append(restore(model).router.weight.grad)
    plain = ExpertsForSequenceClassification()
    balance = (plain.router(X).softmax(-1).mean(0) ** 2).sum() * 6
    (expected,) = torch.autograd.grad(0.5 * balance, [plain.router.weight])
    torch.testing.assert_close(gradients[1] - gradients[0], expected, rtol=1e-4, atol=1e-6)


def test_a_batch_without_a_single_label_adds_nothing():
    model = consistent(ExpertsForSequenceClassification(), TwoSample())
    model(X, labels=Y)
    assert model(X, labels=torch.full_like(Y, -100))["loss"].item() == 0


class HiddenForSequenceClassification(ExpertsForSequenceClassification):
    """It adds the balance, and does not name it."""

    def forward(self, x, labels=None):
        output = super().forward(x, labels)
        return {"loss": output["loss"], "logits": output["logits"]} if "loss" in output else output


@pytest.mark.parametrize("strength", [0.001, 0.1])
def test_a_part_that_the_output_does_not_name_is_an_error_however_small(strength):
    model = consistent(HiddenForSequenceClassification(strength), TwoSample())
    with pytest.raises(ObjectiveError, match=r"loss inferred from its class[\s\S]*loss=function"):
        model(X, labels=Y)
    consistent(HiddenForSequenceClassification(0.0), TwoSample())(X, labels=Y)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_mixture_of_experts_of_transformers_trains_on_its_own_loss(dtype):
    from transformers import MixtralConfig, MixtralForCausalLM

    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 2, "num_local_experts": 4}
    config = MixtralConfig(vocab_size=40, output_router_logits=True, **sizes, **heads)
    model = MixtralForCausalLM(config).train().to(dtype)
    x = torch.randint(3, 40, (4, 9))
    own = model(x, labels=x, use_cache=False)
    own.loss.backward()
    gate = next(name for name, _ in model.named_parameters() if "gate" in name)
    expected = model.get_parameter(gate).grad.clone()
    model.zero_grad()
    consistent(model, TaskLoss())
    for _ in range(3):
        model.zero_grad()
        output = model(x, labels=x, use_cache=False)
        assert output.loss.item() == pytest.approx(own.loss.item(), rel=1e-5)
        output.loss.backward()
        exact = (
            {"rtol": 1e-3, "atol": 1e-6} if dtype == torch.float32 else {"rtol": 0.1, "atol": 1e-3}
        )
        torch.testing.assert_close(model.get_parameter(gate).grad, expected, **exact)
