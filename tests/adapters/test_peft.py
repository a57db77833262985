"""LoRA by PEFT: the term is the same whether the base or the wrapped model is consistent."""

import pytest
import torch

import dropsmith as ds
from adapters.by_hand import ALPHA, PLAN, hand
from adapters.texts import batch, bert, gpt2, rows
from dropsmith.consistency import consistent, terms_of
from dropsmith.objectives import RDrop

peft = pytest.importorskip("peft")
# What PEFT calls by its old name.
pytestmark = pytest.mark.filterwarnings("ignore:.*gradient_checkpointing. is deprecated")
MODELS = {
    "BERT": (bert, "classification", "SEQ_CLS", ["query", "value"]),
    "GPT-2": (gpt2, "causal", "CAUSAL_LM", ["c_attn"]),
    "no task": (bert, "classification", None, ["query", "value"]),
}


def lora(model, task, targets):
    settings = peft.LoraConfig(
        task_type=task, r=2, target_modules=targets, fan_in_fan_out=targets == ["c_attn"]
    )
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return peft.get_peft_model(model, settings).train()


@pytest.mark.parametrize(("make", "kind", "task", "targets"), MODELS.values(), ids=MODELS)
@pytest.mark.parametrize("on", ["base", "wrapped"])
def test_loss_and_the_adapters_gradient_are_those_by_hand(data_dir, make, kind, task, targets, on):
    given = batch(rows(data_dir, kind, 8))
    model = make()
    if on == "base":
        consistent(model, RDrop(alpha=ALPHA), plan=PLAN)
    model = lora(model, task, targets)
    if on == "wrapped":
        consistent(model, RDrop(alpha=ALPHA), plan=PLAN)
    # Masks are named after their sites, which the wrapper renames.
    other = make() if on == "base" else lora(make(), task, targets)
    expected = hand(other, given, shift=make is gpt2)
    loss = model(**given).loss
    assert float(loss.detach()) == pytest.approx(expected.loss, rel=1e-5)
    loss.backward()
    trained = {n: p.grad for n, p in model.named_parameters() if p.requires_grad}
    # B begins at zero, so at first it alone learns.
    assert all(g.any() for n, g in trained.items() if "lora_B" in n)
    for name, gradient in expected.gradients.items():
        if on == "wrapped":
            torch.testing.assert_close(trained[name].double(), gradient, rtol=1e-3, atol=1e-6)
    assert not any(p.grad is not None for p in model.parameters() if not p.requires_grad)
    assert terms_of(model)["consistency"].value > 0


def test_lora_s_own_dropout_is_noise_that_views_differ_by(data_dir):
    given = batch(rows(data_dir, "classification", 8))
    model = bert()
    settings = peft.LoraConfig(
        task_type="SEQ_CLS", target_modules=["query"], lora_dropout=0.5, init_lora_weights=False
    )
    model = consistent(peft.get_peft_model(model, settings).train(), RDrop(alpha=ALPHA))
    model(**given).loss.backward()
    assert terms_of(model)["consistency"].value > 0
    assert ds.restore(model) is model
