"""A model made ready to be sampled: in eval mode, with all its noise on, and nothing left after."""

import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from dropsmith.batches import Arguments, Layout, call, copy_tensors
from dropsmith.errors import PlanError
from dropsmith.interception import Attachment, fast_path_disabled, has_compiled_parts
from dropsmith.noise import Calls as CallsOf
from dropsmith.noise import (
    Installation,
    KeyedDropout,
    OwnDraws,
    RowAxes,
    all_noise,
    assign_rules,
    axes_said,
    find_noise,
    install,
    installation_of,
    layer_drop_rate,
    layout_of,
    own_draws,
    plan_of,
    plan_suspended,
    remove,
    state_unchanged,
    turn,
)
from dropsmith.noise import sites as find_sites
from dropsmith.patterns import Schedule
from dropsmith.plans import Plan, Rule
from dropsmith.prediction.native_dropout import Calls, native_calls
from dropsmith.prediction.native_rules import (
    CallByCall,
    drawn_by_key,
    native_assignments,
    native_rules,
    sites_of_several_patterns,
)
from dropsmith.prediction.sampler import Sampler
from dropsmith.prediction.trial_memory import TrialMemory, memory_key, recall, remember


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
    with turn:
        yield from _in_turn(model, inputs, plan, seed, rows)


def _in_turn(
    model: nn.Module, inputs: Arguments, plan: Plan | None, seed: int, rows: RowAxes | None
) -> Iterator[Sampler]:
    for noise in all_noise(model):
        noise.check_thread(training=True)
    plan = plan if plan is not None else plan_of(model) or Plan()
    _check_root(model)
    step = _step_of(model, plan)
    with state_unchanged(model), plan_suspended(model), _eager(model), fast_path_disabled():
        model.eval()
        layout = layout_of(model, inputs, rows)
        # A mask that the views of a batch share in training would be one mask for all samples.
        fresh = tuple(replace(rule, views="fresh") for rule in plan.rules)
        key = memory_key(model, inputs, fresh, axes_said(rows))
        memory = recall(model, key)
        if memory is None:
            memory = _try_rows(model, layout, two_rows(model, layout, inputs), fresh)
        assignments = memory.assignments
        if any(rule.selector.where is not None for rule in fresh):
            # A function may mean other sites than when it was last asked.
            first = len(memory.rules) - len(fresh)
            assignments = assign_rules(model, memory.rules, memory.sites, first)
            assignments = drawn_by_key(assignments, memory.calls)
        installation = install(model, memory.rules, inputs, seed, 0, assignments)
        installation.noise.rules_checked = True
        try:
            several = sites_of_several_patterns(memory.calls)
            native = len(memory.rules) - len(fresh)
            _draw_call_by_call(installation, several, native)
            yield Sampler(model, installation, native, seed, step, layout, memory)
            remember(model, key, memory)
        finally:
            remove(model)


def two_rows(model: nn.Module, layout: Layout, inputs: Arguments) -> Arguments:
    """Two rows of a batch; the whole batch where rows cannot be taken without the others."""
    rows = layout.argument_rows(inputs)
    if not layout.divisible or not layout.grows:
        return inputs
    part = layout.take_arguments(inputs, [0, min(1, rows - 1)])
    try:
        with state_unchanged(model), torch.no_grad():
            args, kwargs = copy_tensors(part)
            model(*args, **kwargs)
    except Exception:
        return inputs
    return part


def _try_rows(
    model: nn.Module, layout: Layout, probe_inputs: Arguments, plan: Sequence[Rule]
) -> TrialMemory:
    """Find the model's own noise by running it on a few rows, and where the rules of a plan go."""
    calls = _native_calls(model, lambda: layout.fresh(probe_inputs))
    native = native_rules(calls)
    rules = (*native, *plan)
    sites = find_sites(model, probe_inputs)
    return TrialMemory(
        calls=calls,
        rules=rules,
        sites=sites,
        assignments=drawn_by_key(assign_rules(model, rules, sites, first=len(native)), calls),
        probe_inputs=probe_inputs,
    )


def _native_calls(model: nn.Module, inputs: Callable[[], Arguments]) -> Calls:
    """The model's own noisy calls; a warning where modules also draw by their own code."""
    calls: Calls = {}
    draws = own_draws(model, lambda: calls.update(native_calls(model, inputs())))
    if any(layer_drop_rate(module) for module in model.modules()):
        # That run had all layers, as a prediction has; a training step draws to skip some.
        draws = own_draws(model, lambda: _training_forward(model, inputs()))
    if draws.modules:
        _warn_of_own_draws(model, inputs(), draws)
    return calls


def _training_forward(model: nn.Module, probe_inputs: Arguments) -> None:
    with state_unchanged(model), torch.no_grad():
        call(model.train(), probe_inputs)


def _warn_of_own_draws(model: nn.Module, probe_inputs: Arguments, training: OwnDraws) -> None:
    """Say which modules draw for themselves in train mode, and not in eval mode."""
    with state_unchanged(model), torch.no_grad():
        draws = own_draws(model, lambda: call(model, probe_inputs))
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


def _draw_call_by_call(installation: Installation, calls: Calls, native_rules: int) -> None:
    native = {a.site.name for a in native_assignments(installation, native_rules)}
    for attachment in installation.attachments:
        for holder in _holders(attachment):
            if (name := holder.site_noise.site.name) in calls and name in native:
                holder.site_noise = CallByCall.of(holder.site_noise, calls[name])


def _holders(attachment: Attachment) -> list[Any]:
    """The objects that hold the noise of an attachment's native sites."""
    if isinstance(attachment, CallsOf):
        sites = (attachment.functional, attachment.attention)
        return [site for site in sites if site is not None]
    return [attachment] if isinstance(attachment, KeyedDropout) else []


def _eager(model: nn.Module) -> Any:
    # What noise a compiled graph drew cannot be told, nor can parts of it be replayed. Attention
    # of torch's that is compiled wherever it is called cannot be under the probe's mode.
    compiled = has_compiled_parts(model) or "torch.nn.attention.flex_attention" in sys.modules
    return torch.compiler.set_stance("force_eager") if compiled else nullcontext()
