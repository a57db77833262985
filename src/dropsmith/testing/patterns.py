"""The contract of every pattern; inherit the class and list yours."""

from collections.abc import Sequence
from dataclasses import fields, replace
from math import prod
from typing import Any, ClassVar

import torch
from torch import Tensor

import dropsmith.patterns
from dropsmith.axes import Axes
from dropsmith.errors import ViewError
from dropsmith.kernels import self_adjoint
from dropsmith.patterns import Pattern, from_json
from dropsmith.rng import Key, Source
from dropsmith.testing.checks import (
    check_frozen,
    check_json,
    check_mean,
    check_repr,
    record_saved_tensors,
)

STEP = 1
"""The training step of all masks."""


class PatternContract:
    """Tests that pytest runs once for each of your `patterns`.

    A statistical test draws `draws` masks from a fixed seed and allows five standard errors, which
    it estimates from the masks. So it needs no tolerance, and its result is the same each time.

    >>> from dropsmith.patterns import Bernoulli
    >>> class TestMine(PatternContract):
    ...     patterns = [Bernoulli(rate=0.3), Bernoulli(rate=0.3, shared="time")]

    Attributes:
        patterns: the patterns to test.
        names, sizes: axes of the tensor at the site; patterns on words take ids of all axes but
            the last.
        draws: the number of masks of a statistical test.
    """

    patterns: ClassVar[Sequence[Pattern]] = ()
    names: ClassVar[str] = "batch time unit"
    sizes: ClassVar[tuple[int, ...]] = (6, 5, 8)
    draws: ClassVar[int] = 400

    def pytest_generate_tests(self, metafunc: Any) -> None:
        if "pattern" in metafunc.fixturenames:
            metafunc.parametrize("pattern", type(self).patterns, ids=repr)

    def zeros(self, pattern: Pattern) -> float:
        """The expected share of zeros in the mask: the rate, for patterns that drop."""
        return float(pattern.rate_at(STEP))

    def mask(self, pattern: Pattern, source: Source) -> Tensor:
        """One mask, as the pattern draws it."""
        if pattern.goes_on == "words":
            return pattern.mask(self._ids(), source, self._rows())  # pyright: ignore
        return pattern.draw(self._axes(), source)

    def drop(self, pattern: Pattern, x: Tensor, sources: Sequence[Source]) -> Tensor:
        """`x`, with a view for each source, under the pattern's noise."""
        if pattern.goes_on == "words":
            ids = self._stack([self._ids()] * len(sources))
            return pattern.drop_rows(x, ids, sources, self._rows())  # pyright: ignore
        return pattern.drop(x, self._axes().names, sources)

    def test_it_is_a_frozen_value(self, pattern: Pattern) -> None:
        check_frozen(pattern)

    def test_it_comes_back_from_json(self, pattern: Pattern) -> None:
        check_json(pattern, lambda values: from_json(values, extra=_classes(pattern)))

    def test_what_it_prints_can_be_typed(self, pattern: Pattern) -> None:
        names = {cls.__name__: cls for cls in _classes(pattern)}
        check_repr(pattern, vars(dropsmith.patterns) | names)

    def test_the_same_source_gives_the_same_mask(self, pattern: Pattern) -> None:
        first = self.mask(pattern, _source(0))
        torch.rand(3)  # random numbers of other code must not matter
        assert torch.equal(first, self.mask(pattern, _source(0))), f"{pattern!r} drew two masks"

    def test_another_source_gives_another_mask(self, pattern: Pattern) -> None:
        masks = torch.stack([self.mask(pattern, _source(seed)) for seed in range(64)])
        assert (masks != masks[0]).any(), f"{pattern!r} drew the same mask from 64 sources"

    def test_the_mask_broadcasts_to_the_tensor(self, pattern: Pattern) -> None:
        mask = self.mask(pattern, _source(0))
        assert mask.is_floating_point(), f"{pattern!r} drew a mask of {mask.dtype}"
        shape = (1,) * (len(self.sizes) - mask.ndim) + tuple(mask.shape)
        spread = tuple(n if m == 1 else m for m, n in zip(shape, self.sizes, strict=False))
        assert spread == self.sizes, (
            f"{pattern!r} drew a mask of {tuple(mask.shape)} for a tensor of {self.sizes}"
        )

    def test_the_mean_of_the_mask_is_one(self, pattern: Pattern) -> None:
        check_mean([m.mean() for m in self._masks(pattern)], 1.0, f"the mean of {pattern!r}")

    def test_the_dropped_share_is_the_rate(self, pattern: Pattern) -> None:
        shares = [(m == 0).double().mean() for m in self._masks(pattern)]
        check_mean(shares, self.zeros(pattern), f"the dropped share of {pattern!r}")

    def test_rate_zero_changes_nothing(self, pattern: Pattern) -> None:
        if not any(field.name == "rate" for field in fields(pattern)):
            return
        x = self._x()
        silent = replace(pattern, rate=0.0)  # pyright: ignore[reportCallIssue]
        assert torch.equal(self.drop(silent, x, [_source(0)]), x), f"{silent!r} changed its input"

    def test_drop_multiplies_by_the_mask_and_so_does_its_gradient(self, pattern: Pattern) -> None:
        x = self._x().requires_grad_()
        mask = self.mask(pattern, _source(0)).expand(self.sizes)
        product = self.drop(pattern, x, [_source(0)])
        torch.testing.assert_close(product, x * mask)
        (gradient,) = torch.autograd.grad(product.sum(), x)
        torch.testing.assert_close(gradient, mask.contiguous())

    def test_nothing_large_is_kept_for_the_backward_pass(self, pattern: Pattern) -> None:
        count = self_adjoint.LARGEST_MASK // self._x().nbytes + 1
        x = self._stack([self._x()] * count).requires_grad_()
        sources = [_source(0)] if pattern.goes_on == "weights" else list(map(_source, range(count)))
        with record_saved_tensors() as tensors:
            self.drop(pattern, x, sources)
        large = sum(tensor.nbytes for tensor in tensors) > self_adjoint.LARGEST_MASK
        assert not large, f"{pattern!r} saves {[tuple(t.shape) for t in tensors]} for backward"

    def test_stacked_views_equal_views_one_by_one(self, pattern: Pattern) -> None:
        sources = [_source(0), _source(1), _source(2)]
        x = self._x()
        if pattern.goes_on == "weights":
            self._check_refused(pattern, x, sources)
            return
        single_views = self._stack([self.drop(pattern, x, [source]) for source in sources])
        assert torch.equal(self.drop(pattern, self._stack([x] * 3), sources), single_views), (
            f"{pattern!r} draws other masks when views are stacked in one batch"
        )

    def test_half_precision_drops_the_same_places(self, pattern: Pattern) -> None:
        mask = self.mask(pattern, _source(0)).expand(self.sizes)
        for dtype in (torch.float16, torch.bfloat16):
            x = self._x().to(dtype)
            half = self.drop(pattern, x, [_source(0)])
            assert half.dtype == dtype, f"{pattern!r} turns {dtype} into {half.dtype}"
            assert torch.equal(half == 0, mask == 0), f"{pattern!r} drops other units in {dtype}"
            torch.testing.assert_close(half, (x.float() * mask).to(dtype))

    def test_compiled_code_draws_the_same_mask(self, pattern: Pattern) -> None:
        def run(x: Tensor) -> Tensor:
            return self.drop(pattern, x, [_source(0)])

        torch._dynamo.reset()
        compiled_run = torch.compile(run, backend="aot_eager", fullgraph=True)
        assert torch.equal(compiled_run(self._x()), run(self._x())), f"{pattern!r} differs compiled"

    def _axes(self) -> Axes:
        return Axes.read(self.names, self.sizes)

    def _rows(self) -> int:
        return self._axes().dim("batch") if "batch" in self.names else 0

    def _stack(self, views: Sequence[Tensor]) -> Tensor:
        return torch.cat(list(views), dim=self._rows())

    def _x(self) -> Tensor:
        """A tensor without zeros, so that every zero in the result was dropped."""
        return torch.linspace(1, 2, prod(self.sizes)).view(self.sizes)

    def _ids(self) -> Tensor:
        ids = torch.arange(prod(self.sizes[:-1])) ** 2 % 17
        return ids.view(self.sizes[:-1])

    def _masks(self, pattern: Pattern) -> list[Tensor]:
        return [self.mask(pattern, _source(seed)) for seed in range(self.draws)]

    def _check_refused(self, pattern: Pattern, x: Tensor, sources: Sequence[Source]) -> None:
        try:
            self.drop(pattern, x, sources)
        except ViewError:
            return
        raise AssertionError(f"{pattern!r} accepts several views of one parameter: raise ViewError")


def _source(seed: int) -> Source:
    return Source(Key.of(seed).fold(3), step=STEP)


def _classes(pattern: Pattern) -> tuple[type, ...]:
    values = (getattr(pattern, field.name) for field in fields(pattern))
    schedules = (type(value) for value in values if isinstance(value, dropsmith.patterns.Schedule))
    return (type(pattern), *schedules)
