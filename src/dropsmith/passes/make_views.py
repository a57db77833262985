"""Views of one batch: several passes of a model, each with noise of its own."""

from contextlib import nullcontext
from dataclasses import replace
from typing import Any

from torch import nn

from dropsmith.activations import Reads
from dropsmith.batches import arguments
from dropsmith.instances import check_model
from dropsmith.noise import Noise, RowAxes, find_noise, taking_turns
from dropsmith.passes.block_views import reader_of
from dropsmith.passes.noise_free import noise_disabled
from dropsmith.passes.request import Mode, ViewRequest
from dropsmith.passes.runner import plan_run
from dropsmith.passes.view_values import Scores, Views, check_scores


@taking_turns
def views(
    model: nn.Module,
    batch: Any,
    n: int = 2,
    *,
    mode: Mode = "auto",
    noise_free: tuple[int, ...] = (),
    batch_fraction: float = 1.0,
    trunk: str | None = None,
    reads: Reads | None = None,
    rows: RowAxes | None = None,
    scores: Scores | None = None,
) -> Views:
    """Run a model `n` times on one batch, each time with different noise.

    The passes are stacked into one forward if each row's output depends on that row alone and noise
    is drawn for each row; otherwise they run one after the other. This is found by running a few
    rows when a kind of batch is seen for the first time, and one line on standard error gives the
    reason against stacking. They also run one after the other for noise on weights without
    `views="shared"`, for layers or branches that the model skips as a whole, for noise-free views,
    and for a fraction of the batch under a plan. Both ways give the same masks. In train mode the
    step advances once.

    >>> import torch
    >>> net = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5))
    >>> pair = views(net, torch.ones(2, 3))
    >>> len(pair), pair.outputs[1].shape
    (2, torch.Size([2, 4]))

    Args:
        model: any module, also inside DistributedDataParallel.
        batch: its input: a tensor, a tuple of arguments, or a mapping of them by name. Entries that
            `forward` does not take, such as `labels`, are left out.
        n: how many views.
        mode: `stacked`, `looped`, or `auto` for the rule above.
        noise_free: views that run without any noise.
        batch_fraction: the leading share of the rows that the second and later views see, in
            (0, 1].
        trunk: name of the first module that the views do not share; everything before it runs
            once. Labels in the batch are repeated for all views, for the model's own loss.
        reads: what to read from the Transformer blocks of each view: an objective's `reads`.
        rows: the axes on which arguments have their rows, by name, as in `{"mask": None}` for an
            argument without rows. If not given, they are found by running.
        scores: where the scores are in the output: a name, an index, or a function of the output;
            by default the usual place, see `Views.logits`.

    Raises:
        ViewError: the passes cannot be made in the requested way.
        SiteError: the blocks cannot be read.
    """
    check_model(model)
    check_scores(scores)
    request = ViewRequest(
        views=n,
        mode=mode,
        noise_free=noise_free,
        batch_fraction=batch_fraction,
        trunk=trunk,
        reads=reads,
        rows=rows,
    )
    noise = find_noise(model)
    if noise is not None:
        noise.begin(model.training)
    result = make_views(model, request, batch, noise)
    return result if scores is None else replace(result, scores=scores)


def make_views(model: nn.Module, request: ViewRequest, batch: Any, noise: Noise | None) -> Views:
    """Make the views of a request by the model's own forwards, without counting a step."""
    run = plan_run(model, request, arguments(model, batch), batch, noise or Noise())
    try:
        args, kwargs = run.begin(reader_of(model, request.reads, run.below))
        with noise_disabled(model) if 0 in request.noise_free else nullcontext():
            output = model(*args, **kwargs)
        return run.finish(output)
    finally:
        run.close()
