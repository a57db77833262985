"""The contract of every objective; inherit the class and list yours."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from math import ceil, inf, nan, prod
from typing import Any, ClassVar

import torch
from torch import Tensor

import dropsmith.objectives
from dropsmith.objectives import Objective, from_json, losses
from dropsmith.passes import Views
from dropsmith.terms import Loss, Terms, total
from dropsmith.testing.checks import check_frozen, check_json, check_repr


@dataclass(frozen=True)
class Rows:
    """Rows of a batch: their labels, and their scores in each view.

    Args:
        scores: `[rows, ...]` for each view; later views may have the first rows only.
        labels: `[rows, ...]`.
    """

    scores: tuple[Tensor, ...]
    labels: Tensor

    @property
    def shared_rows(self) -> int:
        """The number of rows of every view."""
        return min(len(score) for score in self.scores)

    def views(self) -> Views:
        """The views of a model with these scores."""
        batches = tuple(self.labels[: len(score)] for score in self.scores)
        return Views(
            outputs=self.scores,
            batches=batches,
            rows=len(self.labels),
            shared_rows=self.shared_rows,
        )

    def __add__(self, rows: "Rows") -> "Rows":
        """The joined batch, with the rows of all views first."""
        ends = self.shared_rows, rows.shared_rows
        first, *later_scores = zip(self.scores, rows.scores, strict=True)
        return Rows(
            (_join_parts(first, ends), *map(torch.cat, later_scores)),
            _join_parts((self.labels, rows.labels), ends),
        )


class ObjectiveContract:
    """Tests that pytest runs once for each of your `objectives`, on outputs of your kind.

    Scores are float64, drawn from fixed seeds; views differ by noise.

    >>> from dropsmith.objectives import RDrop
    >>> class TestMine(ObjectiveContract):
    ...     objectives = [RDrop(alpha=1), RDrop(alpha=5, views=3, warmup=100)]

    Attributes:
        objectives: the objectives to test.
        shape: the scores of one row; by default 5 tokens and 7 classes.
        softmax: whether the last dimension of the scores is classes, some of which may be −inf;
            else labels have the shape of the scores.
        ignore_label: the label of items that are not counted.
    """

    objectives: ClassVar[Sequence[Objective]] = ()
    shape: ClassVar[tuple[int, ...]] = (5, 7)
    softmax: ClassVar[bool] = True
    ignore_label: ClassVar[float] = -100

    def pytest_generate_tests(self, metafunc: Any) -> None:
        if "objective" in metafunc.fixturenames:
            metafunc.parametrize("objective", type(self).objectives, ids=repr)

    def loss(self, output: Any, batch: Any) -> Loss:
        """The task loss of one view; `batch` holds the labels."""
        return losses.tokens(output, batch)

    def labels(self, rows: int, generator: torch.Generator) -> Tensor:
        """Labels of some rows, none of them ignored."""
        return torch.randint(self.shape[-1], (rows, *self.shape[:-1]), generator=generator)

    def test_it_is_a_frozen_value(self, objective: Objective) -> None:
        check_frozen(objective)

    def test_it_comes_back_from_json(self, objective: Objective) -> None:
        check_json(objective, lambda values: from_json(values, extra=[type(objective)]))

    def test_what_it_prints_can_be_typed(self, objective: Objective) -> None:
        names = {type(objective).__name__: type(objective)}
        check_repr(objective, vars(dropsmith.objectives) | names)

    def test_it_says_which_views_it_needs(self, objective: Objective) -> None:
        counts = {objective.views_at(step) for step in range(1, 100)}
        assert min(counts) >= 1, f"{objective!r} asks for {min(counts)} views"
        assert 0 < objective.batch_fraction <= 1, (
            f"{objective!r} has batch_fraction={objective.batch_fraction}"
        )
        assert all(0 < view < max(counts) for view in objective.noise_free), (
            f"{objective!r} has noise-free views {objective.noise_free} of {max(counts)}; "
            "view 0 is noisy"
        )

    def test_views_that_agree_cost_the_task_loss_and_no_more(self, objective: Objective) -> None:
        rows = self.rows(objective, 4)
        alike = Rows(tuple(rows.scores[0][: len(score)] for score in rows.scores), rows.labels)
        task = self.terms(objective, alike)["task"].value
        assert torch.equal(self.value(objective, alike), task), (
            f"{objective!r} is not zero for equal views"
        )

    def test_the_task_term_is_a_mean_over_views(self, objective: Objective) -> None:
        rows = self.rows(objective, 4)
        view_losses = torch.stack(
            [self.loss(score, rows.labels[: len(score)]).mean.value for score in rows.scores]
        )
        task = self.terms(objective, rows)["task"].value
        assert view_losses.min() - 1e-9 <= task <= view_losses.max() + 1e-9, (
            f"{objective!r}: the task term is {task}, the views' losses are {view_losses.tolist()}"
        )

    def test_every_row_twice_changes_nothing(self, objective: Objective) -> None:
        rows = self.rows(objective, 4)
        self._check_equal(objective, rows, rows + rows, "when every row is repeated")

    def test_padding_changes_nothing_even_if_it_is_not_a_number(self, objective: Objective) -> None:
        rows, padding = self.rows(objective, 4), self.rows(objective, 4)
        padding = Rows(
            tuple(torch.full_like(score, nan) for score in padding.scores),
            torch.full_like(padding.labels, self.ignore_label),
        )
        self._check_equal(objective, rows, rows + padding, "when padding is added")

    def test_padding_has_no_gradient(self, objective: Objective) -> None:
        rows = self.rows(objective, 4)
        rows.labels[1] = self.ignore_label
        for score in rows.scores:
            score[1:2] = nan
        first, *later = self.gradients(objective, rows)
        assert first[0].any(), f"{objective!r} has no gradient at a row that is counted"
        for gradient in (first, *later):
            assert not gradient[1:2].any(), f"{objective!r} has gradients in padding"
            assert gradient.isfinite().all(), f"{objective!r}: padding makes gradients infinite"

    def test_accumulated_batches_equal_the_whole(self, objective: Objective) -> None:
        parts = [self.rows(objective, rows, seed) for seed, rows in enumerate((4, 2, 6))]
        parts[1].labels[:1] = self.ignore_label
        sums = [self.terms(objective, part) for part in parts]
        batch = self.value(objective, parts[0] + parts[1] + parts[2])
        torch.testing.assert_close(objective.total(_sum_terms(sums), self.step(objective)), batch)

    def test_ranks_that_divide_by_the_common_count_equal_the_whole(
        self, objective: Objective
    ) -> None:
        ranks = [self.rows(objective, rows, seed) for seed, rows in enumerate((4, 2))]
        ranks[1].labels[:1] = self.ignore_label
        local = [self.gradients(objective, rank, other_ranks=ranks) for rank in ranks]
        batch = self.gradients(objective, ranks[0] + ranks[1])
        joined = Rows(tuple(local[0]), ranks[0].labels) + Rows(tuple(local[1]), ranks[1].labels)
        for result, want in zip(joined.scores, batch, strict=True):
            torch.testing.assert_close(result, want)

    def test_impossible_classes_change_nothing(self, objective: Objective) -> None:
        if not self.softmax:
            return
        rows = self.rows(objective, 4)
        more = [torch.cat((score, torch.full_like(score, -inf)), -1) for score in rows.scores]
        wider = Rows(tuple(more), rows.labels)
        self._check_equal(objective, rows, wider, "when impossible classes are added")
        for gradient in self.gradients(objective, wider):
            assert gradient.isfinite().all(), f"{objective!r}: -inf scores make gradients infinite"

    def test_huge_scores_of_half_precision_stay_finite(self, objective: Objective) -> None:
        rows = self.rows(objective, 4)
        for dtype in (torch.float16, torch.bfloat16):
            huge = Rows(tuple((score * 1e4).to(dtype) for score in rows.scores), rows.labels)
            value = self.value(objective, huge)
            assert value.isfinite(), f"{objective!r} is {value} on {dtype}"
            assert value.dtype == torch.float32, f"{objective!r} sums {dtype} in {value.dtype}"

    def step(self, objective: Objective) -> int:
        """The first step at which the objective needs all its views."""
        return max(range(1, 100), key=lambda step: (objective.views_at(step), -step))

    def rows(self, objective: Objective, rows: int, seed: int = 0) -> Rows:
        """Random rows, whose views differ by noise."""
        generator = torch.Generator().manual_seed(seed)
        draw = prod((rows, *self.shape))
        common = torch.randn(draw, generator=generator, dtype=torch.float64)
        scores = []
        for view in range(objective.views_at(self.step(objective))):
            noise = torch.randn(draw, generator=generator, dtype=torch.float64)
            kept = rows if view == 0 else ceil(rows * objective.batch_fraction)
            scores.append((common + noise / 2).view(rows, *self.shape)[:kept])
        return Rows(tuple(scores), self.labels(rows, generator))

    def terms(self, objective: Objective, rows: Rows) -> Terms:
        """The objective's terms on these rows."""
        return objective.terms(self.views(rows), self.loss)

    def views(self, rows: Rows) -> Views:
        """The views of a model with these scores; add `layers` for an objective that reads them."""
        return rows.views()

    def value(self, objective: Objective, rows: Rows) -> Tensor:
        """The loss on these rows."""
        return objective.total(self.terms(objective, rows), self.step(objective))

    def gradients(
        self, objective: Objective, rows: Rows, other_ranks: Sequence[Rows] = ()
    ) -> list[Tensor]:
        """Gradients of the loss by each view's scores; with other rows, of this rank's part."""
        leaves = tuple(score.detach().requires_grad_() for score in rows.scores)
        terms = self.terms(objective, Rows(leaves, rows.labels))
        further = [self.terms(objective, rank) for rank in other_ranks if rank is not rows]
        value = objective.total(_sum_terms([terms, *further]), self.step(objective))
        gradients = torch.autograd.grad(value, leaves, allow_unused=True, materialize_grads=True)
        return list(gradients)

    def _check_equal(self, objective: Objective, rows: Rows, variant: Rows, condition: str) -> None:
        before, after = self.value(objective, rows), self.value(objective, variant)
        assert torch.isclose(before, after, rtol=1e-9), (
            f"{objective!r} changes from {before} to {after} {condition}"
        )


def _join_parts(parts: Sequence[Tensor], ends: tuple[int, int]) -> Tensor:
    (first, second), (end, second_end) = parts, ends
    return torch.cat((first[:end], second[:second_end], first[end:], second[second_end:]))


def _sum_terms(parts: Sequence[Terms]) -> Terms:
    names = reduce(lambda left_names, right_names: left_names | right_names, map(set, parts))
    return {name: total(part[name] for part in parts) for name in names}
