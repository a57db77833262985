import pytest
import torch
from torch import nn

from dropsmith.errors import NoiseError
from dropsmith.patterns import Bernoulli, Off
from dropsmith.plans.plan import Plan
from dropsmith.plans.rule import rule
from dropsmith.prediction.run_predict import predict
from prediction.noisy import net, seeded

X = seeded(5, 4)


def why(model, plan=None):
    with pytest.raises(NoiseError) as caught:
        predict(model, X, samples=4, plan=plan)
    return str(caught.value)


def test_a_model_without_dropout_is_told_what_to_add():
    said = why(nn.Linear(4, 3))
    assert "has no dropout and no plan" in said
    assert "plan=Plan(rule(" in said


def test_noise_at_rate_zero_is_named_with_its_reason():
    assert "2: rate 0" in why(net(0.0))


def test_noise_that_a_plan_silences_is_named_with_its_reason():
    assert "2: silenced by the plan" in why(net(0.5), Plan(rule("2", Off())))


def test_eval_mode_is_never_the_reason():
    assert "eval mode" not in why(net(0.0).eval())


def test_noise_that_reaches_no_output_is_refused():
    class PlanSuspended(nn.Module):
        def __init__(self):
            super().__init__()
            self.drop, self.head = nn.Dropout(0.5), nn.Linear(4, 3)

        def forward(self, x):
            self.drop(x)
            return self.head(x)

    said = why(PlanSuspended())
    assert "all 4 samples are the same, though noise ran at drop" in said
    assert "does not reach the outputs" in said


def test_noise_on_zeros_is_refused():
    model = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 2))
    with torch.no_grad():
        model[0].weight.zero_()
        model[0].bias.zero_()
    assert "all 4 samples are the same" in why(model)


def test_the_model_is_as_it_was_after_a_refusal():
    model = net(0.0).train()
    with Plan(rule("1", Bernoulli(rate=0.0))).installed(model, X):
        why(model)
        assert all(module.training for module in model.modules())
    assert all(not module._forward_hooks for module in model.modules())
