"""Prediction with its uncertainty, by sampling the model's noise (Gal & Ghahramani 2016)."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Literal, overload

from torch import Tensor, nn

from dropsmith.batches import arguments
from dropsmith.instances import check_bool
from dropsmith.noise import RowAxes
from dropsmith.passes import Mode
from dropsmith.plans import Plan
from dropsmith.prediction.checks import check_sampling
from dropsmith.prediction.collect import Collector
from dropsmith.prediction.draws import Draws, SampleSize
from dropsmith.prediction.heads import HeadOptions, Places
from dropsmith.prediction.kinds import PredictionKind
from dropsmith.prediction.no_uncertainty import no_effect
from dropsmith.prediction.prediction import Prediction
from dropsmith.prediction.probe import probe
from dropsmith.prediction.run_samples import run_samples, unwrapped
from dropsmith.prediction.sampling import sampling


@overload
def predict(
    model: nn.Module,
    batch: Any,
    samples: int | Literal["auto"] = 50,
    *,
    plan: Plan | None = None,
    seed: int = 0,
    memory: int | None = None,
    kind: PredictionKind | None = None,
    keep: bool = False,
    mode: Mode = "auto",
    replay: bool = True,
    rows: RowAxes | None = None,
    scores: Places | None = None,
    class_axis: int | None = None,
    quantiles: Sequence[float] | None = None,
    mask: Tensor | None = None,
    draws: Draws = "stratified",
    tolerance: float | None = None,
) -> Prediction: ...
@overload
def predict(
    model: nn.Module,
    batch: Any,
    samples: int | Literal["auto"] = 50,
    *,
    kind: Mapping[Any, PredictionKind],
    plan: Plan | None = None,
    seed: int = 0,
    memory: int | None = None,
    keep: bool = False,
    mode: Mode = "auto",
    replay: bool = True,
    rows: RowAxes | None = None,
    scores: Mapping[Any, Places] | None = None,
    class_axis: Mapping[Any, int] | None = None,
    quantiles: Sequence[float] | None = None,
    mask: Tensor | None = None,
    draws: Draws = "stratified",
    tolerance: float | None = None,
) -> dict[Any, Prediction]: ...
def predict(
    model: nn.Module,
    batch: Any,
    samples: int | Literal["auto"] = 50,
    *,
    plan: Plan | None = None,
    seed: int = 0,
    memory: int | None = None,
    kind: PredictionKind | Mapping[Any, PredictionKind] | None = None,
    keep: bool = False,
    mode: Mode = "auto",
    replay: bool = True,
    rows: RowAxes | None = None,
    scores: Any = None,
    class_axis: int | Mapping[Any, int] | None = None,
    quantiles: Sequence[float] | None = None,
    mask: Tensor | None = None,
    draws: Draws = "stratified",
    tolerance: float | None = None,
) -> Any:
    """The mean of many noisy passes over a batch, and how unsure the model is of it.

    Probabilities are averaged, not logits. Noise is on whatever mode the model is in: its own
    dropout at the rates it declares, and the installed plan's. BatchNorm keeps its statistics.
    Every mask is a function of `seed` and the sample's number, so the same call predicts the same,
    and the model is afterwards as it was. Wrapped and compiled models are run bare and eagerly.
    Threads may predict with one model, and take turns. A forward that another thread makes of it
    meanwhile, without `predict`, is as alone, or is refused where it meets a pass or the model
    was in train mode. One in train mode that began before may go unseen.

    The masks of the samples are stratified where masks are drawn by key: each is by itself what it
    is without, and together they cover each unit's distribution evenly (a Latin hypercube; McKay,
    Beckman & Conover, 1979), which brings the mean closer to what infinitely many would give.

    Samples are stacked in one batch where the noise allows it, and what comes before the first
    draw is computed once. Both are tried on two rows first, at the price of about twenty rows, and
    give the same up to rounding.

    >>> import torch
    >>> _ = torch.manual_seed(0)
    >>> net = nn.Sequential(nn.Linear(4, 64), nn.ReLU(), nn.Dropout(0.5), nn.Linear(64, 3))
    >>> prediction = predict(net, torch.randn(2, 4), samples=20)
    >>> prediction.mean.shape, bool((prediction.mutual_information > 0).all())
    (torch.Size([2, 3]), True)

    A model that predicts a mean and the logarithm of a variance (Kendall & Gal, 2017):

    >>> both = predict(net, torch.randn(2, 4), samples=20, kind="gaussian", scores={
    ...     "mean": lambda output: output[:, :1], "log_variance": lambda output: output[:, 1:2]})
    >>> torch.equal(both.total_variance, both.variance + both.data_variance)
    True

    Args:
        model: any module whose output holds scores.
        batch: what it takes: a tensor, a tuple of arguments, or a mapping of them by name.
            `labels` in a mapping are not predicted with, but say where the classes are, and which
            items are padding.
        samples: how many passes, at least 2; or `auto`, for as many as `tolerance` takes, in
            blocks of 13: `samples` of the prediction says how many.
        plan: noise beside the model's own, in place of the plan that is installed. Its masks are
            drawn anew for every sample, shared between views or not; rates on a schedule are those
            of the model's present step.
        seed: of the masks.
        memory: bytes that stacked samples may take; by default 16 MiB, or half of what is free
            on a GPU.
        kind: what the scores are, a word of `prediction.PredictionKind`; by default what a model of
            Hugging Face states, and else `classification`. With a word for each of several outputs,
            by its name or its place in a tuple, a prediction of each is returned, by that name.
        keep: whether the samples themselves are kept, `draws` of the prediction.
        mode: `stacked`, `looped`, or `auto` for stacked where it can be.
        replay: whether the work before the first draw is done once, or anew for every sample.
        rows: the axes on which arguments have their rows, by name, where somebody says them.
        scores: the place of the scores in what the model returns: a name, an index, or a function
            of the output; by default a tensor, `.logits`, or the first floating one of a tuple. Of
            `kind="gaussian"` the places of `mean` and of `variance`, `log_variance` or `deviation`,
            by these names. Of several outputs one of these for each, by default its name.
        class_axis: the dimension of the scores that has the classes, such as 1 in
            `[batch, class, height, width]`; by default the one in which a model of Hugging Face has
            them, or that of the channels or units of the convolution or product that made them.
            Labels in the batch decide where this is not clear, and must agree where it is.
        quantiles: of `kind="quantile"`, those that the model predicts, in order, such as
            (0.05, 0.5, 0.95).
        mask: True for the items that count, shaped as the scores without their classes; by default
            what `attention_mask`, `key_padding_mask` and labels of -100 in the batch leave. The
            others are predicted, and in no mean over items.
        draws: `stratified` or `independent` masks.
        tolerance: with `auto`, the standard error of the probabilities that is small enough (a root
            mean square over the classes, of the row where it is largest), 0.01 where nothing is
            said; for values, as a share of the standard deviation of the samples, and 0.1.

    Raises:
        NoiseError: all samples would be equal, with the reason at each site; or it cannot be told
            which dimension of the scores has the classes, or the scores are not of this kind.
        ViewError: samples are to be stacked and cannot be, there is no such `mode` or `memory`, or
            the scores are not found in what the model returns.
    """
    size = SampleSize(samples=samples, draws=draws, tolerance=tolerance)
    check_sampling("predict", model, mode, memory, plan)
    check_bool("keep", keep)
    check_bool("replay", replay)
    model = unwrapped(model)
    options = HeadOptions(kind=kind, scores=scores, class_axis=class_axis, quantiles=quantiles)
    heads = options.heads(model)
    inputs = arguments(model, batch)
    with sampling(model, inputs, plan, seed, rows) as sampler:
        sampler.heads, sampler.strata = heads, size.strata
        way = sampler.remembered(("way", mode, replay), lambda: probe(sampler, mode, replay))
        collector = Collector(sampler, inputs, batch, way, size, keep=keep, mask=mask)
        for parts in run_samples(sampler, inputs, size, way, memory):
            collector.add(parts)
            if collector.is_complete():
                break
        if not collector.differ:
            names = sorted(sampler.noise.draw_counts)
            raise no_effect(model, sampler.probe_inputs, collector.count, names)
    for message in collector.messages():
        warnings.warn(message, stacklevel=2)
    predictions = collector.predictions()
    return predictions if isinstance(kind, Mapping) else predictions[None]
