"""A model made ready to be sampled: in eval mode, with all its noise on, and nothing left after."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from dropsmith.batches import call, map_rows, rows_of
from dropsmith.errors import PlanError
from dropsmith.interception import Attachment
from dropsmith.noise import (
    PREDICTION,
    ForwardPass,
    Installation,
    KeyedDropout,
    OwnDraws,
    check_rules_ran,
    find_noise,
    install,
    installation_of,
    own_draws,
    plan_of,
    plan_suspended,
    remove,
    unchanged,
)
from dropsmith.noise import Calls as CallsOf
from dropsmith.passes import logits_of
from dropsmith.patterns import Schedule
from dropsmith.plans import Plan
from dropsmith.prediction.native_dropout import Calls, native_calls
from dropsmith.prediction.native_rules import CallByCall, mixed, native_rules
from dropsmith.rng import Key


class Sampler:
    """Runs a model for samples of its noise, each a function of the seed and its number.

    Args:
        model: the root, in eval mode, with all noise installed.
        made: what is installed.
        own: how many of its leading rules are the model's own noise.
        seed: of the masks.
        step: the training step to draw for, which only rates on a schedule depend on.
    """

    def __init__(
        self, model: nn.Module, made: Installation, own: int, seed: int, step: int
    ) -> None:
        self.model, self.made, self.own, self.step = model, made, own, step
        self.noise, self.key = made.noise, Key.of(seed).fold(PREDICTION)
        devices = {p.device.index or 0 for p in model.parameters() if p.is_cuda}
        cuda = [torch.cuda.default_generators[index] for index in sorted(devices)]
        self.generators = [torch.default_generator, *cuda]
        self.states = [generator.get_state() for generator in self.generators]

    def run(self, batch: Any, numbers: tuple[int, ...]) -> Tensor:
        """The scores of these samples, stacked along the rows of the batch."""
        copies = len(numbers)
        whole = map_rows(lambda x: torch.cat([x] * copies), batch) if copies > 1 else batch
        return logits_of(self.output(whole, numbers)).detach()

    def output(self, whole: Any, numbers: tuple[int, ...]) -> Any:
        """All that the model returns for a batch in which these samples are stacked already.

        A sample's masks are the same in every batch, so that a text read in several has one.
        """
        this = ForwardPass(
            views=numbers,
            domain=PREDICTION,
            step=self.step,
            sampling=True,
            rows=rows_of(whole),
        )
        self._start(numbers[0])
        with self.noise.passing(this), torch.no_grad():
            return call(self.model, whole)

    def _start(self, number: int) -> None:
        self.noise.draw_counts = {}
        # Torch's own draws, where some are left, follow the seed too.
        for generator in self.generators:
            generator.manual_seed(int(self.key.fold(number).first))
        self.states = [generator.get_state() for generator in self.generators]

    @property
    def drawn(self) -> bool:
        """Whether anything random has happened so far in this pass, by us or by torch."""
        return bool(self.noise.draw_counts) or self.used_torch

    @property
    def used_torch(self) -> bool:
        """Whether torch's own generators were used in this pass: what they draw has no key."""
        pairs = zip(self.generators, self.states, strict=True)
        return any(not torch.equal(one.get_state(), before) for one, before in pairs)

    def check_rules_ran(self) -> None:
        """After a pass: an error for a rule of the user's, a warning for the model's own noise."""
        rules, draw_counts = self.made.rules, self.noise.draw_counts
        check_rules_ran(replace(self.made, rules=rules[self.own :]))
        decided = [one for one in self.made.assignments if one.rule in rules[: self.own]]
        silent = [one.site.name for one in decided if one.site.name not in draw_counts]
        if silent:
            warnings.warn(
                f"{', '.join(silent[:3])} drops in training but does not run in eval mode, so its "
                f"noise is not in this prediction ({len(silent)} such sites)",
                stacklevel=5,
            )


@contextmanager
def sampling(model: nn.Module, few: Any, plan: Plan | None, seed: int) -> Iterator[Sampler]:
    """A `Sampler` of a model for the length of a `with` block; the model is as it was after.

    Args:
        model: the root module, not a wrapper.
        few: a batch of few rows, to find the model's noise with.
        plan: the noise beside the model's own, in place of the plan that is installed.
        seed: of the masks.
    """
    chosen = plan if plan is not None else plan_of(model) or Plan()
    _check_root(model)
    step = _step_of(model, chosen)
    with unchanged(model), plan_suspended(model), _eager(model), _no_fast_path():
        model.eval()
        calls = _native_calls(model, few)
        own = native_rules(calls)
        # A mask that the views of a batch share in training would be one mask for all samples.
        fresh = [replace(one, views="fresh") for one in chosen.rules]
        made = install(model, (*own, *fresh), few, seed, 0)
        made.noise.checked = True
        try:
            _call_by_call(made, mixed(calls), len(own))
            yield Sampler(model, made, len(own), seed, step)
        finally:
            remove(model)


def _native_calls(model: nn.Module, few: Any) -> Calls:
    """What the model drops itself; a warning where it also draws by its own code."""
    calls: Calls = {}
    draws = own_draws(model, lambda: calls.update(native_calls(model, few)))
    if draws.modules:
        _warn_of_own_draws(model, few, draws)
    return calls


def _warn_of_own_draws(model: nn.Module, few: Any, training: OwnDraws) -> None:
    """Say which modules draw for themselves in train mode, and not in eval mode."""
    with unchanged(model), torch.no_grad():
        draws = own_draws(model, lambda: call(model, few))
    silent = [name or "the root" for name in training.modules if name not in draws.modules]
    if silent:
        warnings.warn(
            f"{', '.join(silent[:3])} draws noise by its own code in training and none in eval "
            f"mode, so it is not in this prediction ({len(silent)} such modules)\n"
            "  ds.audit(model.train(), batch) says what is drawn; a module of stochastic depth or "
            "nn.Dropout in its place is sampled",
            stacklevel=6,
        )


def _check_root(model: nn.Module) -> None:
    for name, module in model.named_modules():
        if name and installation_of(module) is not None:
            raise PlanError(
                f"a plan is installed on {name!r}, a part of the model to predict with\n"
                "  predict with that part, or install the plan on the whole model"
            )


def _step_of(model: nn.Module, plan: Plan) -> int:
    noise = find_noise(model)
    changes = any(isinstance(getattr(r.pattern, "rate", 0), Schedule) for r in plan.rules)
    # Rates on a schedule are those of the training so far; other masks need not change with it.
    return noise.step if noise is not None and changes else 0


def _call_by_call(made: Installation, calls: Calls, own: int) -> None:
    own_sites = {one.site.name for one in made.assignments if one.rule in made.rules[:own]}
    for attachment in made.attachments:
        for holder in _holders(attachment):
            if (name := holder.drawn.site.name) in calls and name in own_sites:
                holder.drawn = CallByCall.of(holder.drawn, calls[name])


def _holders(attachment: Attachment) -> list[Any]:
    """What draws for the native sites of an attachment."""
    if isinstance(attachment, CallsOf):
        return [one for one in (attachment.functional, attachment.attention) if one is not None]
    return [attachment] if isinstance(attachment, KeyedDropout) else []


def _eager(model: nn.Module) -> Any:
    compiled = any(
        hasattr(module, "_orig_mod") or getattr(module, "_compiled_call_impl", None) is not None
        for module in model.modules()
    )
    # What noise a compiled graph drew cannot be told, nor can parts of it be replayed.
    return torch.compiler.set_stance("force_eager") if compiled else nullcontext()


@contextmanager
def _no_fast_path() -> Iterator[None]:
    # In eval mode without gradients torch's Transformer layers take a fused path without noise.
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)
