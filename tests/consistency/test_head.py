"""A fused head changes what a step holds in memory, and nothing that a step computes."""

import pickle
from copy import deepcopy

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

import dropsmith as ds
from consistency.heads import BATCH, CLASSES, IDS, LABELS, Around, bert, gpt2, marian, plain, t5
from consistency.tiny import integers
from dropsmith.consistency import consistent, restore, terms_of
from dropsmith.errors import KernelError, ViewError
from dropsmith.kernels.lazy_logits import HeadScores
from dropsmith.objectives import ActivationNorm, Fraternal, PiModel, RDrop, TaskLoss, TwoSample
from dropsmith.terms import Loss, Mean

pytest.importorskip("transformers")
OBJECTIVES = [
    RDrop(alpha=2.0, warmup=5),
    RDrop(alpha=2.0, views=3, divergence="js"),
    Fraternal(kappa=0.5),
    PiModel(kappa=0.5),
    TwoSample(),
    TaskLoss(),
]


def stepped(model, steps=3, **batch):
    """Loss, gradients, terms and output of the last of some training steps."""
    for number in range(steps):
        torch.manual_seed(number)
        model.zero_grad()
        output = model(**(batch or BATCH))
        output.loss.backward()
    grads = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    return output.loss.detach(), grads, terms_of(model), output


def of_plain(objective=None, head="auto", model=None, **more):
    model = (model if model is not None else plain()).double().train()
    more = {"loss": "tokens"} | more
    return consistent(model, objective or RDrop(alpha=2.0), head=head, **more)


WORDS = {"input": IDS, "labels": LABELS}


def assert_alike(found, expected):
    torch.testing.assert_close(found[0], expected[0])
    assert found[1].keys() == expected[1].keys()
    for name, grad in found[1].items():
        torch.testing.assert_close(grad, expected[1][name], rtol=1e-7, atol=1e-9)
    for name, term in found[2].items():
        torch.testing.assert_close(term.sum, expected[2][name].sum)
        assert int(term.count) == int(expected[2][name].count)


def fused(output) -> bool:
    return isinstance(output.logits, HeadScores) and output.logits.is_pending


@pytest.mark.parametrize("objective", OBJECTIVES, ids=str)
@pytest.mark.parametrize("make", [bert, gpt2, t5, marian, None])
def test_losses_terms_and_gradients_are_those_of_the_plain_head(make, objective):
    found = []
    for head in ("fused", "plain"):
        if isinstance(objective, TaskLoss) and head == "fused":
            head = "auto"  # one view is never seen to differ from another
        if make is None:
            found.append(stepped(of_plain(objective, head), **WORDS))
        else:
            model = consistent(make().double().train(), objective, head=head)
            found.append(stepped(model))
    assert fused(found[0][3]) != isinstance(objective, TaskLoss)
    assert not isinstance(found[1][3].logits, HeadScores)
    assert_alike(*found)
    # On some processors a product of some rows is rounded otherwise than that of all.
    torch.testing.assert_close(found[0][3].logits + 0, found[1][3].logits, rtol=1e-12, atol=1e-13)


def test_the_first_step_is_plain_and_the_second_says_so_in_one_line(capsys):
    model = consistent(bert().train(), RDrop(alpha=2.0))
    assert not isinstance(model(**BATCH).logits, HeadScores)
    assert capsys.readouterr().err == ""
    for _ in range(2):
        assert fused(model(**BATCH))
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "the head 'cls.predictions.decoder' of 1,100 classes is fused" in said
    assert 'head="plain"' in said


def test_evaluation_and_prediction_have_plain_logits():
    model = consistent(bert().train(), RDrop(alpha=2.0))
    stepped(model)
    assert type(model.eval()(input_ids=IDS).logits) is torch.Tensor
    with torch.no_grad():
        assert type(model.train()(**BATCH).logits) is torch.Tensor


def test_no_tensor_as_large_as_the_scores_is_ever_made():
    ids = integers(CLASSES, 16, 80)
    sizes = []

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            made = func(*args, **(kwargs or {}))
            sizes.extend(x.numel() for x in torch.utils._pytree.tree_leaves(made) if _whole(x))
            return made

    def _whole(x):
        return isinstance(x, torch.Tensor) and x.untyped_storage().nbytes() >= 4 * x.numel()

    model = consistent(plain().train(), RDrop(alpha=2.0), loss="tokens", head="fused")
    stepped(model, steps=1, input=ids, labels=ids)
    with Watch():
        output = stepped(model, steps=1, input=ids, labels=ids)[3]
    assert fused(output)
    assert 0 < max(sizes) <= 512 * CLASSES < ids.numel() * CLASSES


def test_logits_that_somebody_looks_at_are_view_0s_with_their_graph():
    model, other = of_plain(), of_plain(head="plain")
    for one in (model, other):
        stepped(one, steps=1, **WORDS)
    found = []
    for one in (model, other):
        torch.manual_seed(7)
        one.zero_grad()
        output = one(**WORDS)
        (output.loss + output.logits.square().mean()).backward()
        found.append([p.grad for p in one.parameters()])
    torch.testing.assert_close(*found)


def test_logits_looked_at_after_the_optimisers_step_are_an_error_and_not_other_numbers():
    model = of_plain()
    output = stepped(model, **WORDS)[3]
    torch.optim.SGD(model.parameters(), 0.1).step()
    with pytest.raises(KernelError, match=r"before the optimiser's step[\s\S]*head=\"plain\""):
        output.logits.argmax(-1)


@pytest.mark.parametrize(
    "made",
    [
        lambda scores: scores * 0.5,
        lambda scores: 3 * torch.tanh(scores / 3),
        lambda scores: scores.masked_fill(torch.arange(CLASSES) == 3, -5.0),
        lambda scores: scores.div_(2),
        lambda scores: scores.view(-1, CLASSES).mul_(2).view_as(scores),
    ],
)
def test_logits_that_are_more_than_the_heads_are_left_as_they_are_and_that_is_said(made, capsys):
    found = [stepped(of_plain(head=h, model=Around(made)), **WORDS) for h in ("auto", "plain")]
    assert_alike(*found)
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "'body.2' is not fused with the loss: the model, a hook" in said
    model = of_plain(head="fused", model=Around(made))
    stepped(model, steps=1, **WORDS)
    with pytest.raises(ViewError, match=r"'body.2' cannot be fused[\s\S]*head=\"plain\""):
        model(**WORDS)
    assert "forward" not in model.body[2].__dict__


def test_a_change_in_place_that_the_model_keeps_is_seen():
    def halved_and_thrown_away(scores):
        scores[:, 1:].mul_(0.5)
        return scores

    found = [
        stepped(of_plain(head=h, model=Around(halved_and_thrown_away)), **WORDS)
        for h in ("auto", "plain")
    ]
    assert_alike(*found)


@pytest.mark.parametrize(
    "objective",
    [RDrop(alpha=2.0, divergence="forward"), RDrop(alpha=2.0, stop_gradient=0)],
    ids=str,
)
def test_objectives_that_the_kernel_has_not_look_at_the_scores(objective, capsys):
    found = [stepped(of_plain(objective, head), **WORDS) for head in ("auto", "plain")]
    assert_alike(*found)
    assert "not fused with the loss: the loss or the objective" in capsys.readouterr().err
    batch_fraction = RDrop(alpha=2.0, batch_fraction=0.5)
    assert_alike(*[stepped(of_plain(batch_fraction, head), **WORDS) for head in ("auto", "plain")])


def by_hand(output, batch):
    mask = batch["labels"] != -100
    items = F.cross_entropy(output.flatten(0, 1), batch["labels"].flatten(), reduction="sum")
    return Loss(Mean(items, mask.sum()), mask)


def weighed(output, batch):
    found = ds.objectives.losses.tokens(output, batch["labels"], label_smoothing=0.1)
    return Loss(Mean(2 * found.mean.sum, found.mean.count), found.mask)


def smoothed(output, batch):
    return ds.objectives.losses.tokens(output, batch["labels"], True, label_smoothing=0.1)


@pytest.mark.parametrize("loss", [by_hand, weighed, smoothed])
def test_any_loss_function_gives_what_it_gives_on_a_plain_head(loss):
    found = [stepped(of_plain(head=h, loss=loss), **WORDS) for h in ("auto", "plain")]
    assert_alike(*found)
    assert fused(found[0][3]) == (loss is smoothed)


def test_a_loss_function_may_read_the_models_own_loss():
    def own(output, batch):
        mask = batch["labels"] != -100
        return Loss(Mean(output.loss * mask.sum(), mask.sum()), mask)

    found = []
    for head in ("auto", "plain"):
        model = consistent(bert().double().train(), RDrop(alpha=2.0), loss=own, head=head)
        found.append(stepped(model))
    assert_alike(*found)


def test_activation_norms_beside_a_fused_objective_are_those_of_the_plain_head():
    from dropsmith.models import RecurrentLM

    found = []
    for head in ("fused", "plain"):
        torch.manual_seed(0)
        model = RecurrentLM(words=CLASSES, embedding_width=8, widths=(8,), tied=True).double()
        plan = ds.Plan(ds.rule("top", ds.Bernoulli(rate=0.3)))
        objective = ActivationNorm(of=Fraternal(kappa=0.5))
        settings = {"plan": plan, "loss": tokens_of, "head": head}
        found.append(stepped(consistent(model, objective, **settings), tokens=IDS, labels=LABELS))
    assert_alike(*found)


def tokens_of(output, batch):
    return ds.objectives.losses.tokens(output.logits, batch["labels"])


def test_noise_on_what_the_head_is_given_is_in_the_fused_head_too():
    plan = ds.Plan(ds.rule("2.input", ds.Bernoulli(rate=0.4)))
    found = [stepped(of_plain(head=h, plan=plan), **WORDS) for h in ("fused", "plain")]
    assert_alike(*found)


@pytest.mark.parametrize(
    "plan",
    [
        ds.Plan(ds.rule("2.weight", ds.DropConnect(rate=0.4))),
        ds.Plan(ds.rule("2", ds.Bernoulli(rate=0.4))),
    ],
    ids=["on its weight", "on its scores"],
)
def test_noise_on_the_head_itself_is_as_ever(plan):
    found = [stepped(of_plain(head=h, plan=plan), **WORDS) for h in ("auto", "plain")]
    assert_alike(*found)
    assert not fused(found[0][3])


def test_looped_views_and_views_every_second_step_are_fused_alike():
    for settings in ({"mode": "looped"}, {"objective": RDrop(alpha=2.0, every=2)}):
        found = [stepped(of_plain(head=h, **settings), **WORDS) for h in ("fused", "plain")]
        assert_alike(*found)
        assert fused(found[0][3])


def test_half_of_a_batch_counted_by_a_trainer_weighs_as_it_does_on_a_plain_head():
    batch = WORDS | {"num_items_in_batch": 40}
    assert_alike(*[stepped(of_plain(head=h), **batch) for h in ("fused", "plain")])


@pytest.mark.filterwarnings("ignore:.gradient_checkpointing_enable:FutureWarning")
@pytest.mark.parametrize("reentrant", [True, False])
def test_checkpointed_layers_below_a_fused_head_have_the_plain_gradients(reentrant):
    found = []
    for head in ("fused", "plain"):
        model = consistent(gpt2().double().train(), RDrop(alpha=2.0), head=head)
        model.gradient_checkpointing_enable({"use_reentrant": reentrant})
        found.append(stepped(model))
    assert_alike(*found)


def test_a_head_inside_a_checkpointed_block_is_plain():
    class Checkpointed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = plain()

        def forward(self, input):
            return torch.utils.checkpoint.checkpoint(self.body, input, use_reentrant=False)

    found = [stepped(of_plain(head=h, model=Checkpointed()), **WORDS) for h in ("auto", "plain")]
    assert_alike(*found)
    assert not fused(found[0][3])


@pytest.mark.parametrize("make", [bert, gpt2])
def test_mixed_precision_as_accelerate_has_it_rounds_as_the_plain_head_does(make):
    from accelerate.utils import convert_outputs_to_fp32

    found = []
    for head in ("fused", "plain"):
        model = consistent(make().train(), RDrop(alpha=2.0), head=head)
        cast = torch.autocast("cpu", torch.bfloat16)(model.forward)
        model.forward = convert_outputs_to_fp32(cast)
        found.append(stepped(model))
    assert fused(found[0][3])
    assert found[0][3].logits.dtype == torch.float32
    torch.testing.assert_close(found[0][0], found[1][0], rtol=1e-5, atol=1e-5)
    for name, grad in found[0][1].items():
        other = found[1][1][name]
        assert (grad - other).norm() <= 0.02 * other.norm() + 1e-4


@pytest.mark.parametrize("through", [deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_copies_are_fused_on_their_own_and_restoring_leaves_no_trace(through):
    model = consistent(bert().double().train(), RDrop(alpha=2.0), head="fused")
    stepped(model)
    copy = through(model)
    torch.manual_seed(3)
    expected = model(**BATCH)
    torch.manual_seed(3)
    found = copy(**BATCH)
    torch.testing.assert_close(found.loss, expected.loss)
    assert found.logits.head.weight is copy.get_output_embeddings().weight
    assert set(vars(restore(model).get_output_embeddings())) == set(
        vars(bert().get_output_embeddings())
    )


def test_a_forward_that_fails_leaves_the_head_as_it_was():
    model = of_plain()
    stepped(model, **WORDS)
    with pytest.raises(IndexError):
        model(input=IDS + CLASSES, labels=LABELS)
    assert "forward" not in model[2].__dict__


def test_small_heads_are_plain_and_nothing_is_said_of_them(capsys):
    model = nn.Sequential(nn.Linear(6, 8), nn.Dropout(0.5), nn.Linear(8, 3))
    model = consistent(model, RDrop(alpha=1.0), loss="classification")
    batch = {"input": torch.ones(4, 6), "labels": torch.tensor([0, 1, 2, 0])}
    output = stepped(model, **batch)[3]
    assert type(output.logits) is torch.Tensor
    assert capsys.readouterr().err == ""
    restore(model)
    consistent(model, RDrop(alpha=1.0), loss="classification", head="fused")
    stepped(model, steps=1, **batch)
    with pytest.raises(ViewError, match="no head to fuse"):
        model(**batch)


def hooked(model):
    model[2].register_full_backward_hook(lambda *given: None)


def replaced(model):
    model[2].forward = lambda x: F.linear(x, model[2].weight, model[2].bias)


def computed(model):
    nn.utils.parametrizations.weight_norm(model[2])


class Scaled(nn.Linear):
    """A head of somebody's own."""


def of_its_own_kind(model):
    model[2] = Scaled(16, CLASSES)


def of_the_same_name(model):
    """As adapters of PEFT have one."""
    model[2] = type("Linear", (nn.Linear,), {})(16, CLASSES)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (hooked, "a hook waits for its gradient"),
        (replaced, "its forward was replaced"),
        (computed, "it is a ParametrizedLinear, not torch's Linear"),
        (of_its_own_kind, "it is a Scaled, not torch's Linear"),
        (of_the_same_name, f"it is {__name__}.Linear, not torch's Linear"),
    ],
)
def test_heads_that_others_have_a_hand_in_are_plain_and_the_reason_is_said_once(
    change, why, capsys
):
    model = plain()
    change(model)
    consistent(model.double().train(), RDrop(alpha=2.0), loss="tokens")
    assert not isinstance(stepped(model, **WORDS)[3].logits, HeadScores)
    line = f"dropsmith: the head '2' of 1,100 classes is not fused with the loss: {why}\n"
    assert capsys.readouterr().err == line
    restore(model)
    consistent(model, RDrop(alpha=2.0), loss="tokens", head="fused")
    with pytest.raises(ViewError, match=why):
        stepped(model, **WORDS)


def test_a_weight_that_a_plan_drops_keeps_its_head_plain_and_that_is_said(capsys):
    plan = ds.Plan(ds.rule("2.weight", ds.DropConnect(rate=0.5)))
    model = consistent(plain().train(), RDrop(alpha=2.0), loss="tokens", plan=plan)
    assert type(stepped(model, **WORDS)[3].logits) is torch.Tensor
    assert "is not fused with the loss: " in capsys.readouterr().err


def test_a_head_above_a_shared_trunk_is_plain_and_that_is_said_once(capsys):
    model = consistent(plain().train(), RDrop(alpha=2.0), loss="tokens", trunk="1")
    assert type(stepped(model, **WORDS)[3].logits) is torch.Tensor
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said.endswith("is not fused with the loss: the views share a trunk\n")


@pytest.mark.slow
def test_a_compiled_model_has_the_plain_losses():
    torch._dynamo.reset()
    model, other = of_plain(head="auto"), of_plain(head="plain")
    compiled = torch.compile(model, backend="aot_eager")
    assert_alike(stepped_by(compiled, model), stepped_by(other, other))


def stepped_by(called, model):
    for number in range(3):
        torch.manual_seed(number)
        model.zero_grad()
        output = called(**WORDS)
        output.loss.backward()
    grads = {name: p.grad.clone() for name, p in model.named_parameters()}
    return output.loss.detach(), grads, terms_of(model), output


def test_an_unknown_choice_is_an_error_that_names_the_known():
    with pytest.raises(ViewError, match=r"head is 'auto'[\s\S]*did you mean 'fused'"):
        consistent(bert(), RDrop(alpha=1.0), head="fusd")


def test_a_head_cannot_be_fused_above_a_shared_trunk():
    model = nn.Sequential(nn.Embedding(2000, 8), nn.Dropout(0.5), nn.Linear(8, 2000))
    with pytest.raises(ViewError, match="leave out trunk"):
        consistent(model, RDrop(alpha=1), loss="tokens", trunk="1", head="fused")
