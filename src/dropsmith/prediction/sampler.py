"""A model made ready to be sampled: in eval mode, with all its noise on, and nothing left after."""

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from dropsmith.batches import Arguments, Layout, call, copied
from dropsmith.errors import PlanError
from dropsmith.interception import Attachment
from dropsmith.kernels.lazy_logits import LazyLogits
from dropsmith.noise import (
    PREDICTION,
    ForwardPass,
    Installation,
    KeyedDropout,
    OwnDraws,
    RowAxes,
    check_rules_ran,
    find_noise,
    install,
    installation_of,
    layout_of,
    own_draws,
    plan_of,
    plan_suspended,
    remove,
    state_unchanged,
)
from dropsmith.noise import Calls as CallsOf
from dropsmith.noise import sites as find_sites
from dropsmith.passes import Scores, has_spans, logits_of
from dropsmith.patterns import Schedule
from dropsmith.plans import Plan
from dropsmith.prediction.class_axis import ProductTrace, class_axis_of
from dropsmith.prediction.native_dropout import Calls, native_calls
from dropsmith.prediction.native_rules import CallByCall, mixed, native_rules
from dropsmith.prediction.trial_memory import TrialMemory, memory_key, remember, remembered
from dropsmith.rng import Key


class Sampler:
    """Runs a model for samples of its noise, each a function of the seed and its number.

    Args:
        model: the root, in eval mode, with all noise installed.
        made: what is installed.
        own: how many of its leading rules are the model's own noise.
        seed: of the masks.
        step: the training step to draw for, which only rates on a schedule depend on.
        layout: of the batch.
        memory: what trying the model has shown.
    """

    def __init__(
        self,
        model: nn.Module,
        made: Installation,
        own: int,
        seed: int,
        step: int,
        layout: Layout,
        memory: TrialMemory,
    ) -> None:
        self.layout, self.few, self.probes = layout, memory.few, memory.probes
        self.scores: Scores | None = None
        self.model, self.made, self.own, self.step = model, made, own, step
        self.noise, self.key = made.noise, Key.of(seed).fold(PREDICTION)
        devices = {p.device.index or 0 for p in model.parameters() if p.is_cuda}
        cuda = [torch.cuda.default_generators[index] for index in sorted(devices)]
        self.generators = [torch.default_generator, *cuda]
        self.states = [generator.get_state() for generator in self.generators]

    def run(self, inputs: Arguments, numbers: tuple[int, ...]) -> list[Tensor]:
        """The scores of each of these samples, for one copy of the batch."""
        copies = len(numbers)
        output = self.output(inputs, numbers)
        outputs = (
            [output] if copies == 1 else self.layout.cut(output, [self._rows(inputs)] * copies)
        )
        return [logits_of(one, self.scores).detach() for one in outputs]

    def class_axis(self, scores: Tensor) -> int:
        """The dimension of the scores that has the classes.

        Args:
            scores: of a few rows.

        Raises:
            NoiseError: it cannot be told.
        """
        if scores.ndim < 3:
            return -1
        with ProductTrace() as trace:
            output = self.output(self.few, (0,))
        scores = logits_of(output, self.scores)
        if isinstance(scores, LazyLogits):
            return -1
        if self.scores is None and has_spans(output):
            return -1
        return class_axis_of(scores, trace.results)

    def output(self, inputs: Arguments, numbers: tuple[int, ...]) -> Any:
        """All that the model returns where these samples are stacked, of one copy of the batch."""
        copies = len(numbers)
        rows = self._rows(inputs)
        if copies > 1:
            inputs = self.layout.combined([inputs] * copies)
        return self.stacked_output(inputs, numbers, rows * copies)

    def stacked_output(self, inputs: Arguments, numbers: tuple[int, ...], rows: int) -> Any:
        """All that the model returns for a batch in which these samples are stacked already.

        A sample's masks are the same in every batch, so that a text read in several has one.
        """
        this = ForwardPass(
            views=numbers,
            domain=PREDICTION,
            step=self.step,
            sampling=True,
            rows=rows,
        )
        self._start(numbers[0])
        with self.noise.passing(this), torch.no_grad():
            args, kwargs = self.layout.fresh(inputs)
            return self.model(*args, **kwargs)

    def _rows(self, inputs: Arguments) -> int:
        return self.layout.argument_rows(inputs)

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
def sampling(
    model: nn.Module,
    inputs: Arguments,
    plan: Plan | None,
    seed: int,
    rows: RowAxes | None = None,
) -> Iterator[Sampler]:
    """A `Sampler` of a model for the length of a `with` block; the model is as it was after.

    Args:
        model: the root module, not a wrapper.
        inputs: the arguments of a batch, to find the model's noise with.
        plan: the noise beside the model's own, in place of the plan that is installed.
        seed: of the masks.
        rows: the axes on which arguments have their rows, where somebody says them.
    """
    chosen = plan if plan is not None else plan_of(model) or Plan()
    _check_root(model)
    step = _step_of(model, chosen)
    with state_unchanged(model), plan_suspended(model), _eager(model), _no_fast_path():
        model.eval()
        layout = layout_of(model, inputs, rows)
        # A mask that the views of a batch share in training would be one mask for all samples.
        fresh = tuple(replace(rule, views="fresh") for rule in chosen.rules)
        key = memory_key(model, inputs, fresh, rows and tuple(rows.items()))
        memory = remembered(model, key)
        if memory is None:
            few = few_rows(model, layout, inputs)
            memory = TrialMemory(_native_calls(model, few), find_sites(model, few), few=few)
        native = native_rules(memory.calls)
        installation = install(model, (*native, *fresh), inputs, seed, 0, memory.sites)
        installation.noise.rules_checked = True
        try:
            _call_by_call(installation, mixed(memory.calls), len(native))
            yield Sampler(model, installation, len(native), seed, step, layout, memory)
            remember(model, key, memory)
        finally:
            remove(model)


def few_rows(model: nn.Module, layout: Layout, inputs: Arguments) -> Arguments:
    """Two rows of a batch; the whole batch where rows cannot be taken without the others."""
    rows = layout.argument_rows(inputs)
    if not layout.divisible or not layout.grows:
        return inputs
    few = layout.taken_arguments(inputs, [0, min(1, rows - 1)])
    try:
        with state_unchanged(model), torch.no_grad():
            args, kwargs = copied(few)
            model(*args, **kwargs)
    except Exception:
        return inputs
    return few


def _native_calls(model: nn.Module, few: Any) -> Calls:
    """What the model drops itself; a warning where it also draws by its own code."""
    calls: Calls = {}
    draws = own_draws(model, lambda: calls.update(native_calls(model, few)))
    if draws.modules:
        _warn_of_own_draws(model, few, draws)
    return calls


def _warn_of_own_draws(model: nn.Module, few: Any, training: OwnDraws) -> None:
    """Say which modules draw for themselves in train mode, and not in eval mode."""
    with state_unchanged(model), torch.no_grad():
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
            if (name := holder.site_noise.site.name) in calls and name in own_sites:
                holder.site_noise = CallByCall.of(holder.site_noise, calls[name])


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
    # What noise a compiled graph drew cannot be told, nor can parts of it be replayed. Attention
    # of torch's that is compiled wherever it is called cannot be under the probe's mode.
    compiled = compiled or "torch.nn.attention.flex_attention" in sys.modules
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
