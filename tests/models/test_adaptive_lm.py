import math

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import dropsmith as ds
from dropsmith.errors import TaskError
from dropsmith.kernels.lazy_logits import LazyTensor
from dropsmith.models.adaptive_lm import AdaptiveLM, adaptive_plan, waves
from dropsmith.objectives import RDrop, TaskLoss
from dropsmith.objectives.losses import tokens
from dropsmith.passes.fused_head import LEAST_CLASSES, head_of
from dropsmith.passes.make_views import views

TOKENS = torch.tensor([[3, 4, 15, 6, 7], [8, 29, 1, 12, 0]])
PLAN = adaptive_plan(branches=0.3, inner=0.1, attention=0.1, head=0.2)


@pytest.fixture
def net():
    torch.manual_seed(0)
    return AdaptiveLM(
        words=30, width=16, heads=2, layers=2, inner=24, cutoffs=(6, 14), factor=2
    ).train()


@pytest.mark.parametrize("training", [True, False])
def test_scores_do_not_hang_on_words_that_are_still_to_come(net, training):
    net.train(training)
    later = TOKENS.clone()
    later[:, 3:] = 11
    # Without gradients and in evaluation, torch runs its layers as one call.
    with torch.set_grad_enabled(training):
        one, other = net(TOKENS), net(later)
    torch.testing.assert_close(one[:, :3], other[:, :3])
    assert not torch.allclose(one[:, 3:], other[:, 3:])


def test_scores_are_the_same_in_evaluation_and_a_distribution(net):
    training = net(TOKENS)
    with torch.no_grad():
        torch.testing.assert_close(net.eval()(TOKENS), training.detach(), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(training.exp().sum(-1), torch.ones(2, 5))


def test_it_has_no_noise_of_its_own(net):
    assert torch.equal(net(TOKENS), net(TOKENS))


@pytest.mark.parametrize(("width", "heads"), [(15, 3), (16, 3)])
def test_a_width_without_pairs_of_waves_or_whole_heads_is_refused(width, heads):
    with pytest.raises(TaskError, match=f"a width of {width} does not serve"):
        AdaptiveLM(words=30, width=width, heads=heads, layers=1, inner=8, cutoffs=(6, 14), factor=2)


def test_places_are_sines_and_cosines_of_falling_speed():
    found = waves(torch.tensor([0, 3]), 6, torch.zeros(1, dtype=torch.float64))
    angles = [3 / 10_000 ** (2 * i / 6) for i in range(3)]
    want = [[0.0] * 3 + [1.0] * 3, [*map(math.sin, angles), *map(math.cos, angles)]]
    torch.testing.assert_close(found, torch.tensor(want, dtype=torch.float64))


def test_words_in_another_order_have_other_scores(net):
    turned = TOKENS.flip(1)
    assert not torch.allclose(net(turned)[:, -1], net(TOKENS)[:, -1])


def test_the_published_noise_is_on_at_every_place_with_its_rate(net):
    batch = {"tokens": torch.randint(30, (64, 20), generator=torch.Generator().manual_seed(1))}
    with PLAN.installed(net, batch):
        found = ds.audit(net, batch)
    rates = {row.site.name: row.dropped for row in found.rows if row.on}
    layer = {"dropout": 0.1, "dropout1": 0.3, "dropout2": 0.3, "self_attn.attention()": 0.1}
    want = {f"layers.{i}.{name}": rate for i in range(2) for name, rate in layer.items()}
    want |= {"embedded": 0.3, "head.input": 0.2, "head.narrowed.1": 0.2, "head.narrowed.2": 0.2}
    assert rates.keys() == want.keys()
    # The fewest units a mask has are 64 × 20 × 4.
    bound = {name: 6 * math.sqrt(rate * (1 - rate) / 5_120) for name, rate in want.items()}
    assert all(abs(rates[name] - rate) < bound[name] for name, rate in want.items())
    assert found.outputs_differ


def test_r_drop_of_two_views_is_the_mean_loss_and_the_agreement_over_all_words(net):
    batch = {"tokens": TOKENS, "labels": TOKENS.flip(0)}
    objective = RDrop(alpha=1.0)
    with PLAN.installed(net, batch):
        made = views(net, batch, n=2)
        terms = objective.terms(made, lambda output, given: tokens(output, given["labels"]))
    p, q = (one.double().exp() for one in made.outputs)
    picked = [one.gather(-1, batch["labels"][..., None]).log() for one in (p, q)]
    task = -sum(one.mean() for one in picked) / 2
    apart = ((p - q) * (p.log() - q.log())).sum(-1).mean() / 2
    total = objective.total(terms, 1).double()
    torch.testing.assert_close(total, task + apart / 2, rtol=1e-4, atol=1e-6)
    assert apart > 0.01


class Whole(TorchDispatchMode):
    """Whether any operation made a tensor of all words' scores for every item."""

    def __init__(self, words, items):
        super().__init__()
        self.least, self.seen = words * items, False

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        if isinstance(made, torch.Tensor) and not isinstance(made, LazyTensor):
            self.seen |= made.numel() >= self.least
        return made


@pytest.mark.parametrize("objective", [TaskLoss(), RDrop(alpha=1.0)])
def test_steps_and_evaluation_never_hold_the_scores_of_a_whole_batch(objective):
    words, rows, time = 3_000, 20, 60
    net = AdaptiveLM(words=words, width=8, heads=2, layers=1, inner=8, cutoffs=(30,), factor=2)
    drawn = torch.randint(words, (rows, time + 1), generator=torch.Generator().manual_seed(0))
    batch = {"tokens": drawn[:, :-1], "labels": drawn[:, 1:]}

    def loss(output, given):
        return tokens(output, given["labels"])

    with PLAN.installed(net, batch), Whole(words, rows * time) as seen:
        terms = objective.terms(views(net, batch, n=objective.views_at(1)), loss)
        objective.total(terms, 1).backward()
    assert not seen.seen
    with torch.no_grad(), Whole(words, rows * time) as seen:
        float(loss(net.eval()(batch["tokens"]), batch).mean.sum)
        assert not seen.seen
        net(batch["tokens"]) + 0
        assert seen.seen


def test_no_layer_is_taken_for_its_head_however_wide():
    with torch.device("meta"):
        wide = AdaptiveLM(
            words=9_000, width=LEAST_CLASSES, heads=2, layers=1, inner=8, cutoffs=(6, 14)
        )
    assert head_of(wide) is None
    assert head_of(wide.layers[0]) is not None


def test_noise_on_the_rarer_bands_alone_is_seen_by_an_audit(net):
    batch = {"tokens": TOKENS.repeat(8, 1)}
    plan = ds.Plan(ds.rule("head.narrowed.2", ds.Bernoulli(rate=0.5)))
    with plan.installed(net, batch):
        assert ds.audit(net, batch).outputs_differ


def test_samples_of_it_are_averaged_as_of_any_model(net):
    batch = {"tokens": TOKENS}
    with PLAN.installed(net.eval(), batch):
        found = ds.predict(net, batch, samples=8)
    torch.testing.assert_close(found.mean.sum(-1), torch.ones(2, 5))
    assert bool((found.mutual_information > 0).all())


def test_a_consistent_model_trains_on_its_put_off_scores_in_silence(net, capsys):
    batch = {"tokens": TOKENS, "labels": TOKENS.flip(0)}
    ds.Plan(ds.rule("embedded head.narrowed.2", ds.Bernoulli(rate=0.3))).install(net, batch)
    model = ds.consistent(net, RDrop(alpha=8.0), loss=lambda x, own: tokens(x, own["labels"]))
    found = []
    for _ in range(2):
        ds.step(model, 7)
        found.append(model(**batch))
    # The first step looks at the scores, to see that the views differ; later ones do not.
    assert not found[0].logits.is_pending
    assert found[1].logits.is_pending
    torch.testing.assert_close(found[1].loss, found[0].loss)
    assert capsys.readouterr().err == ""
