"""Prediction with its uncertainty, by sampling the model's noise (Gal & Ghahramani 2016)."""

import warnings
from collections.abc import Iterator
from math import ceil
from typing import Any, Literal

import torch
from torch import Tensor, nn

from dropsmith.batches import Arguments, arguments
from dropsmith.errors import NoiseError, ViewError, excerpt
from dropsmith.instances import check_bool, check_model, check_word
from dropsmith.noise import RowAxes
from dropsmith.numbers import check_number, is_count
from dropsmith.passes import MODES, Mode, Scores, check_scores
from dropsmith.plans import Plan, check_plan
from dropsmith.prediction.class_axis import check_class_axis
from dropsmith.prediction.draws import Draws, SampleSize, StandardError
from dropsmith.prediction.no_uncertainty import no_effect
from dropsmith.prediction.prediction import Moments, Prediction
from dropsmith.prediction.probe import Probe, probe
from dropsmith.prediction.replay import Player, Recorder, through
from dropsmith.prediction.sampler import Sampler
from dropsmith.prediction.sampling import sampling
from dropsmith.terms import OutputKind

MEMORY = 2**24
"""Bytes for stacked samples on a CPU: beyond what its caches hold, stacking only slows down."""


def predict(
    model: nn.Module,
    batch: Any,
    samples: int | Literal["auto"] = 50,
    *,
    plan: Plan | None = None,
    seed: int = 0,
    memory: int | None = None,
    kind: OutputKind = "classification",
    keep: bool = False,
    mode: Mode = "auto",
    replay: bool = True,
    rows: RowAxes | None = None,
    scores: Scores | None = None,
    class_axis: int | None = None,
    draws: Draws = "stratified",
    tolerance: float | None = None,
) -> Prediction:
    """The mean of many noisy passes over a batch, and how unsure the model is of it.

    Probabilities are averaged, not logits. Noise is on whatever mode the model is in: its own
    dropout at the rates it declares, and the installed plan's. BatchNorm keeps its statistics.
    Every mask is a function of `seed` and the sample's number, so the same call predicts the same,
    and the model is afterwards as it was. Wrapped and compiled models are run bare and eagerly.
    Threads may predict with one model, and take turns. A forward that another thread makes of it
    meanwhile, without `predict`, is refused where the two are seen to meet, and may go unseen:
    give that thread a copy of the model.

    The masks of the samples are stratified where masks are drawn by key: each is by itself what it
    is without, and together they cover each unit's distribution evenly (a Latin hypercube; McKay,
    Beckman & Conover, 1979), which brings the mean closer to what infinitely many would give.

    Samples are stacked in one batch where the noise allows it, and what comes before the first
    draw is computed once. Both are tried on two rows first, at the price of about twenty rows, and
    give the same up to rounding.

    >>> _ = torch.manual_seed(0)
    >>> net = nn.Sequential(nn.Linear(4, 64), nn.ReLU(), nn.Dropout(0.5), nn.Linear(64, 3))
    >>> prediction = predict(net, torch.randn(2, 4), samples=20)
    >>> prediction.mean.shape, bool((prediction.mutual_information > 0).all())
    (torch.Size([2, 3]), True)

    Args:
        model: any module whose output holds scores.
        batch: what it takes: a tensor, a tuple of arguments, or a mapping of them by name.
        samples: how many passes, at least 2; or `auto`, for as many as `tolerance` takes, in
            blocks of 13: `samples` of the prediction says how many.
        plan: noise beside the model's own, in place of the plan that is installed. Its masks are
            drawn anew for every sample, shared between views or not; rates on a schedule are those
            of the model's present step.
        seed: of the masks.
        memory: bytes that stacked samples may take; by default 16 MiB, or half of what is free
            on a GPU.
        kind: what the scores are: `classification`, `multi_label` (several may hold at once) or
            `regression`.
        keep: whether the samples themselves are kept, `draws` of the prediction.
        mode: `stacked`, `looped`, or `auto` for stacked where it can be.
        replay: whether the work before the first draw is done once, or anew for every sample.
        rows: the axes on which arguments have their rows, by name, where somebody says them.
        scores: the place of the scores in what the model returns: a name, an index, or a function
            of the output; by default a tensor, `.logits`, or the first floating one of a tuple.
        class_axis: the dimension of the scores that has the classes, such as 1 in
            `[batch, class, height, width]`; by default that of the channels or units of the
            convolution or product that made them.
        draws: `stratified` or `independent` masks.
        tolerance: with `auto`, the standard error of the probabilities that is small enough (a root
            mean square over the classes, of the row where it is largest), 0.01 where nothing is
            said; for regression, as a share of the standard deviation of the samples, and 0.1.

    Raises:
        NoiseError: all samples would be equal, with the reason at each site; or scores have one
            class, or several dimensions of which none is known to be that of the classes.
        ViewError: samples are to be stacked and cannot be, or there is no such `mode` or `memory`.
    """
    size = SampleSize(samples=samples, draws=draws, tolerance=tolerance)
    _check_arguments(model, mode, memory, class_axis, plan)
    check_bool("keep", keep)
    check_bool("replay", replay)
    check_scores(scores)
    model, moments = unwrapped(model), Moments(kind, keep, stratified=size.strata > 0)
    inputs = arguments(model, batch)
    with sampling(model, inputs, plan, seed, rows) as sampler:
        sampler.scores = scores
        sampler.strata = size.strata
        way = sampler.probes.get((mode, replay, scores))
        if way is None:
            way = sampler.probes[mode, replay, scores] = probe(sampler, mode, replay)
        if moments.kind == "classification":
            moments.class_axis = _class_axis(sampler, way, class_axis)
        error = StandardError(moments, tolerance) if samples == "auto" else None
        for logits in _samples(sampler, inputs, size, way, memory):
            moments.add_block(logits)
            at_end_of_block = not moments.count % size.block
            if error is not None and at_end_of_block and error.is_small():
                break
        if not moments.differ:
            names = sorted(sampler.noise.draw_counts)
            raise no_effect(model, sampler.probe_inputs, moments.count, names)
    if error is not None and not error.reached:
        warnings.warn(error.message, stacklevel=2)
    return moments.prediction()


def _check_arguments(
    model: object, mode: object, memory: object, class_axis: object, plan: object
) -> None:
    check_model(model)
    check_word("mode", mode, MODES, ViewError)
    if memory is not None:
        check_number("memory", memory, ViewError)
    if class_axis is not None and not is_count(class_axis, -64, 64):
        raise NoiseError(
            f"class_axis is the number of a dimension of the scores, got {excerpt(class_axis)}"
        )
    if plan is not None:
        check_plan(plan, "predict takes a plan, or None")


def unwrapped(model: nn.Module) -> nn.Module:
    """The model inside wrappers for several devices and for compilation."""
    check_model(model)
    wrappers = (nn.parallel.DistributedDataParallel, nn.DataParallel)
    while isinstance(model, wrappers) or hasattr(model, "_orig_mod"):
        model = model.module if isinstance(model, wrappers) else model._orig_mod  # pyright: ignore
    return model


def _class_axis(sampler: Sampler, way: Probe, axis: int | None) -> int:
    """The axis of the classes, which is looked for once; checked against the scores."""
    if axis is None:
        axis = sampler.probes.get("class axis")
    if axis is None:
        axis = sampler.probes["class axis"] = sampler.class_axis(way.scores)
    check_class_axis(way.scores, axis)
    return axis


def _samples(
    sampler: Sampler, inputs: Arguments, size: SampleSize, way: Probe, memory: int | None
) -> Iterator[Tensor]:
    """The scores of the samples in order, `[samples, ...]` of those that were run together."""
    entries, start = [], 0
    if way.script is not None:
        recorder = Recorder(lambda: sampler.noise_began, way.script)
        with through(sampler.model, recorder):
            (first,) = sampler.sample(inputs, (0,))
        # A path other than the one that was tried is not replayed.
        entries = recorder.entries if recorder.follows_script else []
        start = 1
        yield first.unsqueeze(0)
    budget = budget_of(sampler.model) if memory is None else memory
    rows = sampler.layout.argument_rows(inputs)
    for end in range(size.block, size.most + 1, size.block):
        for numbers in parts_of(range(start, end), way.copies(rows, budget)):
            yield torch.stack(_sample(sampler, inputs, numbers, way, entries))
        start = end


def _sample(
    sampler: Sampler, inputs: Arguments, numbers: tuple[int, ...], way: Probe, entries: list[Any]
) -> list[Tensor]:
    if way.script is None:
        return sampler.sample(inputs, numbers)
    with through(sampler.model, Player(entries, way.script, len(numbers))):
        return sampler.sample(inputs, numbers)


def parts_of(numbers: range, size: int) -> Iterator[tuple[int, ...]]:
    """As few parts of at most `size` as there can be, of nearly equal size."""
    count = ceil(len(numbers) / size)
    for part in torch.arange(numbers.start, numbers.stop).tensor_split(max(count, 1)):
        yield tuple(part.tolist())


def budget_of(model: nn.Module) -> int:
    """Bytes that stacked samples may take where nothing is said: `MEMORY`, or half a GPU's."""
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    return torch.cuda.mem_get_info(device)[0] // 2 if device.type == "cuda" else MEMORY
