import pytest
import torch

from dropsmith.errors import SiteError, TaskError
from dropsmith.models import (
    RecurrentLM,
    awd_plan,
    fraternal_plan,
    naive_plan,
    variational_plan,
)
from dropsmith.noise.lookup import installation_of
from dropsmith.passes.make_views import views
from dropsmith.passes.run_audit import audit
from dropsmith.plans.plan import Plan

TOKENS = torch.tensor([[1, 2, 3, 1, 4, 2], [5, 5, 1, 2, 0, 3], [3, 2, 1, 0, 4, 6]])
DEPTH = {"words": 0.2, "input": 0.3, "recurrent": 0.4, "output": 0.5}


def model(layers=3, cell="lstm"):
    torch.manual_seed(0)
    widths = (*((6,) * (layers - 1)), 4)
    return RecurrentLM(words=7, embedding_width=4, widths=widths, cell=cell, tied=True)


def sites(plan, net):
    with plan.installed(net, TOKENS):
        found = installation_of(net)
        assert found is not None
        return {one.site.name: one.pattern.rate for one in found.assignments}


def test_variational_noise_is_on_words_inputs_states_and_output():
    assert sites(variational_plan(**DEPTH), model(2)) == {
        "embedding": 0.2,
        "layers.0.input_l0": 0.3,
        "layers.1.input_l0": 0.3,
        "layers.0.recurrent_l0": 0.4,
        "layers.1.recurrent_l0": 0.4,
        "top": 0.5,
    }


def test_naive_noise_leaves_the_recurrence_alone():
    plan = naive_plan(input=0.2, between=0.3, output=0.5, layers=3)
    assert sites(plan, model(3)) == {
        "layers.0.input": 0.2,
        "layers.1.input": 0.3,
        "layers.2.input": 0.3,
        "top": 0.5,
    }


def test_awd_noise_is_on_rows_inputs_weights_and_output():
    assert sites(awd_plan(), model(3)) == {
        "embedding": 0.1,
        "layers.0.input": 0.4,
        "layers.1.input": 0.25,
        "layers.2.input": 0.25,
        "layers.0.weight_hh_l0": 0.5,
        "layers.1.weight_hh_l0": 0.5,
        "layers.2.weight_hh_l0": 0.5,
        "top": 0.4,
    }


def test_fraternal_noise_is_that_of_the_papers_one_layer():
    assert sites(fraternal_plan(), model(1)) == {
        "embedding": 0.1,
        "layers.0.input": 0.65,
        "layers.0.weight_hh_l0": 0.5,
        "top": 0.4,
    }


PLANS = {
    "naive": naive_plan(input=0.3, between=0.3, output=0.3, layers=2),
    "variational": variational_plan(**DEPTH),
    "variational tied": variational_plan(**DEPTH, tied=True),
    "awd": awd_plan(layers=2),
}


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("name", PLANS)
def test_every_plan_is_really_on_in_training_and_gone_in_evaluation(name, cell):
    net = model(2, cell)
    clean = net(TOKENS).logits
    with PLANS[name].installed(net, TOKENS, seed=3):
        assert all(row.on for row in audit(net, TOKENS).rows)
        assert not torch.equal(net(TOKENS).logits, clean)
        torch.testing.assert_close(net.eval()(TOKENS).logits, clean)
    assert torch.equal(net(TOKENS).logits, clean)


def test_off_is_no_rule():
    assert naive_plan() == variational_plan() == Plan()
    assert awd_plan(words=0, input=0, between=0, weights=0, output=0) == Plan()


def test_plans_survive_their_json():
    for plan in (*PLANS.values(), fraternal_plan(shared=["words", "output"])):
        assert Plan.from_json(plan.to_json()) == plan


GROUPS = ("words", "input", "weights", "output")


@pytest.mark.parametrize("group", GROUPS)
def test_masks_that_views_share_are_the_same_and_all_others_differ(group):
    net = model(1)
    alone = {name: 0.5 if name == group else 0.0 for name in GROUPS}
    for shared in (False, True):
        plan = fraternal_plan(**alone, shared=[group] if shared else [])
        with plan.installed(net, TOKENS, seed=3):
            first, second = views(net, TOKENS, 2).outputs
        assert torch.equal(first.logits, second.logits) == shared


def test_an_unknown_group_of_masks_is_named_with_those_there_are():
    with pytest.raises(TaskError, match=r"called 'weight'\n.*\n.*did you mean 'weights'"):
        fraternal_plan(shared=["weight"])


def test_a_plan_for_more_layers_than_there_are_does_not_pass_in_silence():
    with pytest.raises(SiteError, match="matched no site"):
        sites(awd_plan(), model(1))
