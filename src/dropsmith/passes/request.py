"""The request of several views of one batch: how many, and how each of them is made."""

from dataclasses import dataclass
from typing import Literal

from dropsmith.activations import Reads
from dropsmith.errors import ViewError, excerpt
from dropsmith.instances import check_type, check_word
from dropsmith.noise import PREDICTION, ForwardPass, RowAxes
from dropsmith.numbers import is_count

Mode = Literal["auto", "stacked", "looped"]
MODES: tuple[Mode, ...] = ("auto", "stacked", "looped")


@dataclass(frozen=True, kw_only=True)
class ViewRequest:
    """A request of several views of one batch.

    Args:
        views: how many.
        mode: `stacked` into one forward, `looped`, or `auto` for stacked where that gives the same.
        noise_free: the views that run without any noise.
        batch_fraction: the leading share of the rows that views after the first see, in (0, 1].
        trunk: the first module that the views do not share, by name; None for no trunk.
        reads: what to read of each view's Transformer blocks; None for nothing.
        rows: the axes on which arguments have their rows, where somebody says them.
        report: whether a line says so where views that could be stacked are not.
        first_view: number of the first view, on which its masks depend.
        sampling_step: the training step whose rates are sampled in eval mode, by masks of
            prediction; None for views that train.
        strata: how many views that follow one another are stratified together, from view 0 on;
            0 for views that are independent.
    """

    views: int = 2
    mode: Mode = "auto"
    noise_free: tuple[int, ...] = ()
    batch_fraction: float = 1.0
    trunk: str | None = None
    reads: Reads | None = None
    rows: RowAxes | None = None
    report: bool = True
    first_view: int = 0
    sampling_step: int | None = None
    strata: int = 0

    def __post_init__(self) -> None:
        n, fraction = self.views, self.batch_fraction
        is_number = isinstance(fraction, int | float) and not isinstance(fraction, bool)
        if not is_count(n, 1) or not (is_number and 0 < fraction <= 1):
            raise ViewError(
                "views takes n >= 1 and batch_fraction in (0, 1], "
                f"got n={excerpt(n)} and batch_fraction={excerpt(fraction)}"
            )
        check_word("mode", self.mode, MODES, ViewError)
        check_type("trunk", self.trunk, (str, type(None)), "the name of a module, or None")
        check_type("reads", self.reads, (Reads, type(None)), "the reads of an objective, or None")
        check_type("noise_free", self.noise_free, tuple, "the numbers of views, such as (0,)")
        if not all(is_count(view, 0, n - 1) for view in self.noise_free):
            raise ViewError(
                f"noise_free={excerpt(self.noise_free)} names a view that does not exist: there "
                f"are {n}, from 0"
            )
        if self.mode == "stacked" and self.noise_free:
            raise ViewError(
                "a noise-free view cannot be stacked: torch's own noise falls on every row of a "
                'batch\n  use mode="looped"'
            )
        if self.trunk is not None and (self.noise_free or fraction < 1 or self.mode == "looped"):
            raise ViewError(
                "views that share a trunk are stacked above it, over the whole batch and all noisy"
                "\n  leave out trunk, or leave out noise_free, batch_fraction and mode"
            )

    def forward_pass(self, views: range, rows: int | None = None) -> ForwardPass:
        """One run of the model for some of the views.

        Args:
            views: which, counted from 0.
            rows: how many rows they have together in a stacked batch.
        """
        numbers = tuple(view + self.first_view for view in views)
        if self.sampling_step is None:
            return ForwardPass(
                views=numbers, noise_free=self.noise_free, rows=rows, strata=self.strata
            )
        return ForwardPass(
            views=numbers,
            domain=PREDICTION,
            step=self.sampling_step,
            sampling=True,
            rows=rows,
            strata=self.strata,
        )
