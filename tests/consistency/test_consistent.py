"""The loss of a consistent model is its definition; everything else of the model is as it was."""

import pickle
from copy import deepcopy

import pytest
import torch
from torch import nn

import dropsmith as ds
from consistency.tiny import (
    PLAN,
    X,
    Y,
    assert_equal_gradients,
    cross_entropy,
    net,
    of_rows,
    passes,
    squared,
    symmetric,
    with_plan,
)
from dropsmith.consistency import ConsistentOutput, consistent, restore, terms_of
from dropsmith.errors import ObjectiveError, PlanError, ViewError
from dropsmith.objectives import (
    ExpectationLinear,
    Fraternal,
    PiModel,
    RDrop,
    SquaredDistance,
    TaskLoss,
    TwoSample,
)

DEFINITIONS = [
    (TaskLoss(), lambda z, step: cross_entropy(z)),
    (TwoSample(), lambda z, step: cross_entropy(z)),
    (TwoSample(views=3), lambda z, step: cross_entropy(z)),
    (RDrop(alpha=2.0), lambda z, step: cross_entropy(z) + symmetric(z)),
    (RDrop(alpha=2.0, views=3), lambda z, step: cross_entropy(z) + symmetric(z)),
    (RDrop(alpha=2.0, batch_fraction=0.5), lambda z, step: cross_entropy(z) + symmetric(z)),
    (RDrop(alpha=2.0, warmup=4), lambda z, step: cross_entropy(z) + step / 4 * symmetric(z)),
    (
        RDrop(alpha=2.0, every=2),
        lambda z, step: cross_entropy(z) + (symmetric(z) if step % 2 == 0 else 0),
    ),
    (Fraternal(kappa=0.3), lambda z, step: cross_entropy(z) + 0.3 * squared(z)),
    (PiModel(kappa=0.3), lambda z, step: cross_entropy(z[:1]) + 0.3 * squared(z)),
    (ExpectationLinear(kappa=0.3), lambda z, step: cross_entropy(z[:1]) + 0.3 * squared(z)),
    (
        SquaredDistance(kappa=0.3, stop_gradient=1),
        lambda z, step: cross_entropy(z) + 0.3 * squared([z[0], z[1].detach()]),
    ),
]


@pytest.mark.parametrize(
    ("objective", "by_hand"), DEFINITIONS, ids=[str(o) for o, _ in DEFINITIONS]
)
@pytest.mark.parametrize("mode", ["auto", "looped"])
def test_loss_and_gradients_are_those_of_views_made_by_hand(objective, by_hand, mode):
    model = consistent(net(), objective, loss=of_rows, plan=PLAN, mode=mode)
    other = with_plan(net())
    for step in range(1, 4):
        scores = passes(other, objective)
        output = model(X, labels=Y)
        torch.testing.assert_close(output.loss, by_hand(scores, step))
        torch.testing.assert_close(output.logits, scores[0])
        output.loss.backward()
        by_hand(scores, step).backward()
        assert_equal_gradients(model, other)


def test_the_noise_free_view_of_expectation_linear_dropout_is_the_model_without_noise():
    model = consistent(net(), ExpectationLinear(kappa=1.0), loss=of_rows, plan=PLAN)
    (noisy,) = passes(with_plan(net()), TaskLoss())
    expected = cross_entropy([noisy]) + (noisy - net()(X)).square().mean()
    torch.testing.assert_close(model(X, labels=Y).loss, expected)


def test_the_models_own_dropout_is_off_in_the_noise_free_view_and_on_again_after_it():
    model = nn.Sequential(nn.Linear(6, 16), nn.Dropout(0.5), nn.Linear(16, 3))
    consistent(model, ExpectationLinear(kappa=1.0), loss=of_rows)
    output = model(X, labels=Y)
    expected = cross_entropy([output.logits]) + squared([output.logits, model[2](model[0](X))])
    torch.testing.assert_close(output.loss, expected)
    assert model[1].training


def test_the_models_own_dropout_is_the_noise_where_there_is_no_plan():
    model = nn.Sequential(nn.Linear(6, 16), nn.Dropout(0.5), nn.Linear(16, 3))
    torch.manual_seed(3)
    first, second = model(torch.cat([X, X])).chunk(2)
    torch.manual_seed(3)
    loss = consistent(model, RDrop(alpha=2.0), loss=of_rows)(X, labels=Y).loss
    torch.testing.assert_close(loss, cross_entropy([first, second]) + symmetric([first, second]))


def test_a_share_of_the_batch_is_one_forward_where_the_model_s_own_dropout_is_the_noise():
    model = nn.Sequential(nn.Linear(6, 16), nn.Dropout(0.5), nn.Linear(16, 3))
    torch.manual_seed(3)
    scores = list(model(torch.cat([X, X[:4]])).split([8, 4]))
    expected = cross_entropy(scores) + symmetric(scores)
    rows = []
    consistent(model, RDrop(alpha=2.0, batch_fraction=0.5), loss=of_rows)
    model(X, labels=Y)  # the first time a few rows are tried
    model[0].register_forward_hook(lambda module, args, output: rows.append(len(output)))
    torch.manual_seed(3)
    output = model(X, labels=Y)
    torch.testing.assert_close(output.loss, expected)
    assert (rows, len(output.logits)) == ([12], 8)


def test_the_same_object_comes_back_and_again_from_restore():
    model = net()
    assert consistent(model, RDrop(alpha=1), loss=of_rows, plan=PLAN) is model
    assert restore(model) is model


def test_terms_are_the_parts_of_the_last_loss_without_their_graph():
    model = consistent(net(), RDrop(alpha=3.0), loss=of_rows, plan=PLAN)
    loss = model(X, labels=Y).loss
    terms = terms_of(nn.ModuleList([model]))
    assert sorted(terms) == ["consistency", "task"]
    assert terms["task"].count == 16
    assert terms["consistency"].count == 8
    assert not any(term.sum.requires_grad for term in terms.values())
    torch.testing.assert_close(terms["task"].value + 1.5 * terms["consistency"].value, loss)


def test_evaluation_is_untouched_bit_for_bit_and_does_not_advance_the_step():
    model = consistent(net(), RDrop(alpha=1), loss=of_rows, plan=PLAN)
    model(X, labels=Y)
    model.eval()
    assert torch.equal(model(X), net()(X))
    with torch.no_grad():
        assert torch.equal(model(X), net()(X))
    assert ds.noise_of(model).step == 1


def test_a_training_forward_without_gradients_is_the_models_own():
    model = consistent(net(), RDrop(alpha=1), loss=of_rows)
    with torch.no_grad():
        assert torch.equal(model(X), net()(X))
    assert ds.noise_of(model).step == 0


@pytest.mark.parametrize("plan_first", [True, False])
def test_each_training_forward_is_one_step_whether_the_plan_comes_first_or_last(plan_first):
    model, objective = net(), RDrop(alpha=2.0)
    if plan_first:
        PLAN.install(model)
    consistent(model, objective, loss=of_rows)
    if not plan_first:
        PLAN.install(model)
    other = with_plan(net())
    for step in range(1, 4):
        scores = passes(other, objective)
        expected = cross_entropy(scores) + symmetric(scores)
        torch.testing.assert_close(model(X, labels=Y).loss, expected)
        assert ds.noise_of(model).step == step


@pytest.mark.parametrize("plan_first", [True, False])
@pytest.mark.parametrize("place", ["root", "root.input"])
@pytest.mark.parametrize("mode", ["auto", "looped"])
def test_noise_at_the_root_itself_reaches_the_scores_and_not_the_loss(plan_first, place, mode):
    plan = ds.Plan(ds.rule(place, ds.Gaussian(rate=0.3)))
    model, objective = net(), RDrop(alpha=2.0)
    if plan_first:
        plan.install(model)
    consistent(model, objective, loss=of_rows, mode=mode)
    if not plan_first:
        plan.install(model)
    scores = passes(with_plan(net(), plan), objective)
    expected = cross_entropy(scores) + symmetric(scores)
    torch.testing.assert_close(model(X, labels=Y).loss, expected)


def test_a_plan_on_a_part_of_the_model_is_seen_from_the_whole():
    whole = nn.Sequential(net())
    PLAN.install(whole[0])
    objective = Fraternal(kappa=0.3)
    consistent(whole, objective, loss=of_rows)
    other = with_plan(net())
    for step in range(1, 3):
        scores = passes(other, objective)
        expected = cross_entropy(scores) + 0.3 * squared(scores)
        torch.testing.assert_close(whole(X, labels=Y).loss, expected)
        assert ds.noise_of(whole).step == step


def test_a_resumed_model_goes_on_with_the_masks_of_its_step():
    straight = consistent(net(), RDrop(alpha=1), loss=of_rows, plan=PLAN)
    losses = [straight(X, labels=Y).loss.item() for _ in range(5)]
    resumed = consistent(net(), RDrop(alpha=1), loss=of_rows, plan=PLAN)
    ds.step(resumed, 3)
    assert [resumed(X, labels=Y).loss.item() for _ in range(2)] == losses[3:]


def test_weights_are_dropped_afresh_in_each_view():
    plan = ds.Plan(ds.rule("0.weight", ds.DropConnect(rate=0.5)))
    model = consistent(net(), RDrop(alpha=2.0), loss=of_rows, plan=plan)
    scores = passes(with_plan(net(), plan), RDrop(alpha=2.0))
    assert not torch.equal(*scores)
    expected = cross_entropy(scores) + symmetric(scores)
    torch.testing.assert_close(model(X, labels=Y).loss, expected)


def test_views_and_audit_of_a_consistent_model_are_those_of_the_model():
    model = consistent(net(), RDrop(alpha=1), loss=of_rows, plan=PLAN)
    scores = passes(model, RDrop(alpha=1))
    assert [type(z) for z in scores] == [torch.Tensor] * 2
    assert all(map(torch.equal, scores, passes(with_plan(net()), RDrop(alpha=1))))
    assert ds.audit(model, X)["1"].differ


def snapshot(model):
    kept = {name: value for name, value in vars(model).items() if not name.startswith("_forward")}
    hooks = [len(vars(model)[name]) for name in vars(model) if name.startswith("_forward")]
    return kept, hooks, {name: value.clone() for name, value in model.state_dict().items()}


@pytest.mark.parametrize("plan", [None, PLAN])
def test_restore_leaves_no_trace(plan):
    model = nn.Sequential(nn.Linear(6, 16), nn.Dropout(0.5), nn.Linear(16, 3))
    kept, hooks, state = snapshot(model)
    consistent(model, RDrop(alpha=1), loss=of_rows, plan=plan)
    model(X, labels=Y)
    restore(model)
    now_kept, now_hooks, now_state = snapshot(model)
    assert now_kept == kept
    assert now_hooks == hooks
    assert list(state) == list(now_state)
    assert all(torch.equal(state[name], now_state[name]) for name in state)


def test_a_plan_and_a_term_can_be_taken_off_in_any_order():
    for plan_first in (True, False):
        for restore_first in (True, False):
            model = net()
            kept, *_ = snapshot(model)
            on = [lambda m: PLAN.install(m), lambda m: consistent(m, TwoSample(), loss=of_rows)]
            off = [restore, PLAN.remove]
            for put in on if plan_first else on[::-1]:
                put(model)
            model(X, labels=Y)
            for take in off if restore_first else off[::-1]:
                take(model)
                if take is PLAN.remove and not restore_first:
                    assert ds.noise_of(model).step == 1
            assert snapshot(model)[0] == kept


def test_removing_the_plan_leaves_a_consistent_model_that_still_trains():
    model = nn.Sequential(nn.Linear(6, 16), nn.Dropout(0.5), nn.Linear(16, 3))
    PLAN.install(model)
    consistent(model, TwoSample(), loss=of_rows)
    PLAN.remove(model)
    model(X, labels=Y).loss.backward()
    assert ds.noise_of(model).step == 1


def test_the_keys_and_values_of_the_state_dict_are_those_of_the_model():
    model = consistent(net(), RDrop(alpha=1), loss=of_rows, plan=PLAN)
    model(X, labels=Y)
    state, plain = model.state_dict(), net().state_dict()
    assert list(state) == list(plain)
    assert all(torch.equal(state[name], plain[name]) for name in plain)
    assert [name for name, _ in model.named_parameters()] == list(plain)


def test_a_deep_copy_trains_on_its_own_weights_and_counts_its_own_steps():
    model = consistent(net(), RDrop(alpha=1), loss=of_rows, plan=PLAN)
    before = model(X, labels=Y).loss.item()
    copy = deepcopy(model)
    ds.step(model, 0)
    ds.step(copy, 0)
    with torch.no_grad():
        for parameter in copy.parameters():
            parameter.zero_()
    assert torch.equal(copy(X, labels=Y).logits, torch.zeros(8, 3))
    assert ds.noise_of(model).step == 0
    assert model(X, labels=Y).loss.item() == before
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(7.0)
    assert torch.equal(copy(X, labels=Y).logits, torch.zeros(8, 3))
    copy(X, labels=Y).loss.backward()
    assert all(parameter.grad is None for parameter in model.parameters())


def test_the_copy_can_be_restored_while_the_original_stays_consistent():
    model = consistent(net(), RDrop(alpha=1), loss=of_rows, plan=PLAN)
    copy = restore(deepcopy(model))
    assert torch.equal(copy(X), net()(X))
    assert isinstance(model(X, labels=Y), ConsistentOutput)


def test_a_pickled_model_goes_on_where_it_was():
    model = consistent(net(), RDrop(alpha=1), loss=of_rows, plan=PLAN)
    model(X, labels=Y).loss.backward()
    copy = pickle.loads(pickle.dumps(model))
    assert torch.equal(copy(X, labels=Y).loss, model(X, labels=Y).loss)
    assert torch.equal(restore(copy)(X), net()(X))


def test_ranks_draw_masks_of_their_own():
    losses = [
        consistent(net(), RDrop(alpha=1), loss=of_rows, plan=PLAN, rank=rank)(X, labels=Y).loss
        for rank in (0, 1)
    ]
    assert losses[0] != losses[1]


def test_seeds_draw_masks_of_their_own():
    losses = [
        consistent(net(), RDrop(alpha=1), loss=of_rows, plan=PLAN, seed=seed)(X, labels=Y).loss
        for seed in (0, 1)
    ]
    assert losses[0] != losses[1]


def test_making_a_model_consistent_twice_is_an_error_that_says_how_to_undo_it():
    model = consistent(net(), RDrop(alpha=1), loss=of_rows)
    with pytest.raises(PlanError, match=r"consistent already\n  undo it first: restore\(model\)"):
        consistent(model, RDrop(alpha=1), loss=of_rows)


def test_a_plan_that_cannot_be_installed_leaves_the_model_as_it_was():
    model = net()
    kept, *_ = snapshot(model)
    with pytest.raises(LookupError, match="matched no site"):
        consistent(model, RDrop(alpha=1), loss=of_rows, plan=ds.Plan(ds.rule("9", ds.Off())))
    assert snapshot(model)[0] == kept


def test_there_is_nothing_to_restore_or_to_read_on_a_plain_model():
    with pytest.raises(PlanError, match="not consistent: there is nothing to restore"):
        restore(net())
    with pytest.raises(PlanError, match=r"call consistent\(model, objective\) first"):
        terms_of(net())


def test_an_unknown_mode_is_named():
    with pytest.raises(ViewError, match="'auto' or 'looped', got 'stacked'"):
        consistent(net(), RDrop(alpha=1), loss=of_rows, mode="stacked")


def test_a_consistent_model_in_train_mode_can_be_asked_how_sure_it_is():
    model = consistent(net(), RDrop(alpha=1), plan=PLAN, loss="classification").train()
    prediction = ds.predict(model, X, samples=4)
    assert bool((prediction.variance > 0).any())
    assert model.training


@pytest.mark.parametrize("objective", [RDrop, "r-drop", None])
def test_what_is_no_objective_is_refused_before_anything_is_installed(objective):
    model = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5))
    with pytest.raises(ObjectiveError, match=r"objective"):
        consistent(model, objective, loss="classification")
    assert not model._forward_hooks


@pytest.mark.parametrize("plan", ["plan.json", []])
def test_what_is_no_plan_is_refused_before_anything_is_installed(plan):
    model = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5))
    with pytest.raises(PlanError, match=r"write Plan[.(]"):
        consistent(model, RDrop(alpha=1), loss="classification", plan=plan)
    assert not model._forward_hooks
