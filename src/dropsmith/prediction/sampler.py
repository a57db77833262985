"""A sampler: it runs a model for samples of its noise, each a function of a seed and its number."""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from dropsmith.batches import Arguments, Layout
from dropsmith.kernels import lazy_logits
from dropsmith.noise import PREDICTION, Installation, check_rules_ran
from dropsmith.passes import ViewRequest, ViewRun, has_spans, plan_run
from dropsmith.prediction.heads import Head, Parts
from dropsmith.prediction.native_rules import native_assignments
from dropsmith.prediction.product_trace import ProductTrace, unit_axes
from dropsmith.prediction.trial_memory import TrialMemory
from dropsmith.rng import Key

_NOTHING: Mapping[str, Any] = {}
_MOST_PROBES = 64
"""Results that are remembered for a kind of batch: a new function for scores is a new one."""


class Sampler:
    """Runs a model for samples of its noise: a sample is a view, without gradients.

    Args:
        model: the root, in eval mode, with all noise installed.
        installation: what is installed.
        native_rules: how many of its leading rules are the model's own noise.
        seed: of the masks.
        step: the training step to draw for, which only rates on a schedule depend on.
        layout: of the batch.
        memory: what trying the model has shown.
    """

    def __init__(
        self,
        model: nn.Module,
        installation: Installation,
        native_rules: int,
        seed: int,
        step: int,
        layout: Layout,
        memory: TrialMemory,
    ) -> None:
        self.layout, self.probe_inputs, self.probes = layout, memory.probe_inputs, memory.probes
        self.heads: tuple[Head, ...] = (Head(),)
        self.strata = 0
        self.drew_by_key = False
        self.model, self.installation, self.native_rules = model, installation, native_rules
        self.step, self.noise = step, installation.noise
        self.key = Key.of(seed).fold(PREDICTION)
        devices = {p.device.index or 0 for p in model.parameters() if p.is_cuda}
        cuda = [torch.cuda.default_generators[index] for index in sorted(devices)]
        self.generators = [torch.default_generator, *cuda]
        self.states = [generator.get_state() for generator in self.generators]

    def sample(self, inputs: Arguments, numbers: tuple[int, ...]) -> list[Parts]:
        """The scores of some samples, whose numbers follow one another, for one batch."""
        run = self.plan(inputs, numbers)
        views = run.finish(self.output(run))
        return [self.parts(output) for output in views.outputs]

    def parts(self, output: Any) -> Parts:
        """The scores of all outputs in what the model returned."""
        parts = [part for head in self.heads for part in head.parts(output)]
        return tuple([part.detach() if part.requires_grad else part for part in parts])

    def remembered(self, name: tuple[Any, ...], find: Callable[[], Any]) -> Any:
        """What trying the model has shown of these outputs under a name; found where it is new."""
        key = (name, tuple(head.places for head in self.heads))
        if key not in self.probes:
            if len(self.probes) >= _MOST_PROBES:
                self.probes.clear()
            self.probes[key] = find()
        return self.probes[key]

    def plan(self, inputs: Arguments, numbers: tuple[int, ...]) -> ViewRun:
        """The run of these samples, stacked where they are several.

        A sample's masks are the same in every batch, so that a text read in several has one.
        """
        copies = len(numbers)
        request = ViewRequest(
            views=copies, first_view=numbers[0], sampling_step=self.step, strata=self.strata
        )
        layout = self.layout if copies > 1 else None
        return plan_run(self.model, request, inputs, None, self.noise, layout=layout)

    def output(self, run: ViewRun, more: Mapping[str, Any] = _NOTHING) -> Any:
        """All that the model returns in the one pass of a run.

        Args:
            run: of samples.
            more: arguments by name in place of those of the batch, stacked already.
        """
        self.start(run.request.first_view)
        try:
            args, kwargs = self.layout.fresh(run.begin())
            with torch.no_grad():
                output = self.model(*args, **{**kwargs, **more})
            self.drew_by_key |= bool(self.noise.current.calls)
            return output
        finally:
            run.close()

    def unit_axes(self, head: Head) -> list[int]:
        """The dimensions of an output's scores that may hold the units of what made them."""

        def run(trace: ProductTrace) -> Tensor:
            with trace:
                output = self.output(self.plan(self.probe_inputs, (0,)))
            if head.places == (None,) and has_spans(output):
                # The starts and the ends of spans, each over the places of a text.
                raise _AxisIsKnown
            scores = head.parts(output)[0]
            if isinstance(scores, lazy_logits.LazyLogits):
                raise _AxisIsKnown
            return scores

        try:
            return unit_axes(run)
        except _AxisIsKnown:
            return [-1]

    def start(self, number: int) -> None:
        """Begin a pass of the sample of this number, by which torch's own draws are seeded."""
        self.noise.draw_counts = {}
        # Torch's own draws, where some are left, follow the seed too.
        for generator in self.generators:
            generator.manual_seed(int(self.key.fold(number).first))
        self.states = [generator.get_state() for generator in self.generators]

    @property
    def noise_began(self) -> bool:
        """Whether anything random has happened so far in this pass, by us or by torch."""
        return bool(self.noise.draw_counts) or self.torch_drew

    @property
    def torch_drew(self) -> bool:
        """Whether torch's own generators were used in this pass: what they draw has no key."""
        pairs = zip(self.generators, self.states, strict=True)
        return any(not torch.equal(now.get_state(), before) for now, before in pairs)

    def check_rules_ran(self) -> None:
        """After a pass: an error for a rule of the user's, a warning for the model's own noise."""
        rules, draw_counts = self.installation.rules, self.noise.draw_counts
        check_rules_ran(replace(self.installation, rules=rules[self.native_rules :]))
        native = native_assignments(self.installation, self.native_rules)
        silent = [a.site.name for a in native if a.site.name not in draw_counts]
        if silent:
            warnings.warn(
                f"{', '.join(silent[:3])} drops in training but does not run in eval mode, so its "
                f"noise is not in this prediction ({len(silent)} such sites)",
                stacklevel=5,
            )


class _AxisIsKnown(Exception):
    """The form of an output tells that its classes come last."""
