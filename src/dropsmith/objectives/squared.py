"""One squared-distance term between the logits of views, and the three methods that have it.

In all of them κ multiplies the mean over items and classes (time × batch × vocabulary in a
language model) of the squared difference of scores before the softmax, as in the authors' code.
The task loss is the mean over the views that carry it, so that adding the term never changes the
learning rate.
"""

from dataclasses import dataclass

from dropsmith.errors import ObjectiveError, excerpt
from dropsmith.objectives._agreement import ConsistencyObjective, ConsistencyTerm
from dropsmith.objectives._objective import check_number, check_view, make_tuple
from dropsmith.objectives.distances import squared_distance


@dataclass(frozen=True, kw_only=True, repr=False)
class SquaredDistance(ConsistencyObjective):
    """Mean task loss + kappa × mean squared difference of logits, with all choices as settings.

    For logits z₁, z₂ of two views, `[items, classes]`:

        loss = mean task loss + kappa × mean over items and classes of (z₁ − z₂)²

    >>> SquaredDistance(kappa=0.15, task_loss_views=(0,), stop_gradient=0)
    SquaredDistance(kappa=0.15, task_loss_views=(0,), stop_gradient=0)

    Args:
        kappa: the weight of the term.
        task_loss_views: the views whose task loss is averaged, view 0 among them; None for all.
        noise_free: the views that run with all noise off; not view 0, which is the model's output.
        stop_gradient: the view that is a constant target in the term, or None.
    """

    kappa: float
    task_loss_views: tuple[int, ...] | None = None
    noise_free: tuple[int, ...] = ()  # pyright: ignore[reportIncompatibleMethodOverride] - a setting
    stop_gradient: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "kappa")
        if self.task_loss_views is not None:
            make_tuple(self, "task_loss_views")
        make_tuple(self, "noise_free")
        for view in (*(self.task_loss_views or ()), *self.noise_free, self.stop_gradient):
            check_view(self, view)
        if self.task_loss_views is not None and 0 not in self.task_loss_views:
            raise ObjectiveError(
                f"{excerpt(self)}: view 0 must carry the task loss, add 0 to task_loss_views"
            )
        if 0 in self.noise_free:
            raise ObjectiveError(
                f"{excerpt(self)}: view 0 must be noisy, make another view noise-free"
            )

    @property
    def consistency_term(self) -> ConsistencyTerm:
        return ConsistencyTerm(
            weight=self.kappa,
            distance=squared_distance,
            task_loss_views=self.task_loss_views,
            stop_gradient=self.stop_gradient,
        )


@dataclass(frozen=True, kw_only=True, repr=False)
class Fraternal(ConsistencyObjective):
    """Fraternal Dropout (Zolna et al. 2018, arXiv 1711.00066, section 2).

    For logits z₁, z₂ of two views, `[items, classes]`:

        loss = ½ (CE(z₁, y) + CE(z₂, y)) + kappa × mean over items and classes of (z₁ − z₂)²

    Both views have gradients. The authors use kappa 0.1 and 0.15 on language models.

    >>> Fraternal(kappa=0.15)
    Fraternal(kappa=0.15)

    Args:
        kappa: the weight of the mean squared difference of logits.
    """

    kappa: float

    @property
    def consistency_term(self) -> ConsistencyTerm:
        return SquaredDistance(kappa=self.kappa).consistency_term


@dataclass(frozen=True, kw_only=True, repr=False)
class PiModel(ConsistencyObjective):
    """The Π-model, in the form that Zolna et al. (2018) compare Fraternal Dropout with.

    For logits z₁, z₂ of two views, `[items, classes]`:

        loss = CE(z₁, y) + kappa × mean over items and classes of (z₁ − z₂)²

    Laine & Aila (2017) take the difference after the softmax and raise the weight during training,
    see `warmup`.

    >>> PiModel(kappa=0.15, warmup=1000)
    PiModel(kappa=0.15, warmup=1000)

    Args:
        kappa: the weight of the mean squared difference of logits.
    """

    kappa: float

    @property
    def consistency_term(self) -> ConsistencyTerm:
        return SquaredDistance(kappa=self.kappa, task_loss_views=(0,)).consistency_term


@dataclass(frozen=True, kw_only=True, repr=False)
class ExpectationLinear(ConsistencyObjective):
    """Expectation-linear dropout (Ma et al. 2017): the noisy output should be the noise-free one.

    For noisy logits z₁ and logits z₂ of a pass without noise, `[items, classes]`:

        loss = CE(z₁, y) + kappa × mean over items and classes of (z₁ − z₂)²

    Gradients reach the model through both views, as in the code of Zolna et al. (2018), whose
    default is kappa 0.25.

    >>> ExpectationLinear(kappa=0.25).noise_free
    (1,)

    Args:
        kappa: the weight of the mean squared difference of logits.
    """

    kappa: float

    @property
    def noise_free(self) -> tuple[int, ...]:
        return (1,)

    @property
    def consistency_term(self) -> ConsistencyTerm:
        return SquaredDistance(kappa=self.kappa, task_loss_views=(0,)).consistency_term
