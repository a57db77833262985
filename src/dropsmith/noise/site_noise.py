"""A pattern at its site: draws its masks from the keys of the site, and multiplies."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2s
from threading import get_ident

import torch
from torch import Tensor, nn

from dropsmith.axes import UNKNOWN, Axes
from dropsmith.errors import PlanError, ViewError
from dropsmith.interception import checkpointing
from dropsmith.key_series import KeySeries
from dropsmith.noise.draw_keys import ORDER
from dropsmith.noise.forward_pass import in_backward, recomputed_call
from dropsmith.noise.state import Noise
from dropsmith.noise.view_rows import batch_dim, keep_noise_free_views
from dropsmith.patterns import Pattern, WordDropout
from dropsmith.plans import Site, names_of
from dropsmith.rng import Key, Source, Strata, Word

_MAX_SERIES = 4096
"""Series that a site keeps, at most: a module in a loop over a long text has one for each call."""

_CALLS_IN_SERIES = 16
"""Calls of a pass whose keys are made ahead; of a loop over a long text, only the first ones."""


@dataclass(eq=False)
class SiteNoise:
    """The noise of one site; picklable, and nothing but values and the noise of the model.

    Args:
        noise: the state of the model's noise, with its seed and rank.
        site: where this is.
        pattern: what is dropped, with its rate resolved for the site's depth.
        shared: whether the views of a batch share one mask.
        axes: the names given in the rule, or None.
        mask_name: what the sites that drop by one mask are called together, or None.
        once: whether all calls of the site within a pass drop by one mask.

    Attributes:
        counter: the name under which its calls are counted. An embedding is one name for two
            sites, of which one may have its own mask.
        prefix: the key of the site alone: what does not change during training.
    """

    noise: Noise
    site: Site
    pattern: Pattern
    shared: bool = False
    axes: str | None = None
    mask_name: str | None = None
    once: bool = False
    counter: str = field(init=False)
    prefix: Key = field(init=False)
    _series: dict[tuple[int, int, int], tuple[tuple[int, ...], KeySeries]] = field(
        init=False, default_factory=dict
    )

    def __post_init__(self) -> None:
        site, label = self.site.name, self.mask_name or self.site.name
        self.counter = site if self.mask_name is None else f"{site} of {self.mask_name}"
        name = int.from_bytes(blake2s(label.encode(), digest_size=4).digest(), "big")
        self.prefix = Key.of(self.noise.seed).fold(self.noise.rank, name)
        self.noise.words[self.counter] = name

    def drop(self, x: Tensor, module: nn.Module) -> Tensor:
        """`x` with this site's noise, in the pass that is running."""
        noise, sources = self.noise, self.sources(x.device)
        names, views = self.site.axes, len(sources)
        if self.axes is not None:
            names = Axes.read(self.axes, tuple(x.shape)).names
        elif len(names) != x.ndim:
            names = names_of(module, self.site.kind, x.ndim)
        if self.mask_name is not None or self.once:
            self._agree(names, tuple(x.shape))
        if views > 1:
            dim = batch_dim(self, names, tuple(x.shape), views)
            output = self._product(x, names, sources)
            if noise.current.noise_free:
                output = keep_noise_free_views(noise, x, output, dim)
        elif noise.current.noise_free and noise.noise_free_views()[0]:
            output = x
        else:
            output = self._product(x, names, sources)
        if noise.observer is not None:
            noise.observer(self.site.name, self.site.kind, x, output)
        return output

    def _product(self, x: Tensor, names: tuple[str, ...], sources: Sequence[Source]) -> Tensor:
        held = self.noise.current.held
        if held is None:
            return self.pattern.drop(x, names, sources)
        mask = held.mask(self.site.name, self.pattern, Axes(names, tuple(x.shape)), sources)
        if mask is None:
            return self.pattern.drop(x, names, sources)
        return (x * mask).to(x.dtype)

    def sources(self, device: torch.device) -> Sequence[Source]:
        """The sources of the next mask, one for each view of the pass; the same one where shared.

        Args:
            device: where the mask is drawn.
        """
        if torch.compiler.is_compiling():
            return self._traced_sources(device)
        call, current = self._count_call(), self.noise.current
        step, forward = self.noise.clock.numbers_of(current)
        numbers = (step, forward) if forward else (step,)
        views = (0,) if self.shared else current.views
        strata = 0 if self.shared else current.strata
        if current.step is None:
            keys: Sequence[Key] = [self._key((current.domain, v, call), numbers) for v in views]
            if strata:
                keys = _stratified(self.prefix, keys, current.domain, views, call, numbers, strata)
        else:
            # A pass that names its step, as a prediction does, often draws what it drew before.
            keys = _keys_again(self.prefix, current.domain, views, call, numbers, strata)
        if len(views) == 1:
            return (Source(keys[0], step, device, views[0]),) * len(current.views)
        return tuple([Source(k, step, device, v) for k, v in zip(keys, views, strict=True)])

    def _key(self, draw: tuple[int, int, int], numbers: tuple[int, ...]) -> Key:
        """The site's key for a draw (domain, view and call) of a step, and perhaps of a forward.

        From pass to pass the last number alone grows.
        """
        if draw[2] >= _CALLS_IN_SERIES:
            return self.prefix.fold(*draw, *numbers)
        before = numbers[:-1]
        last = self._series.get(draw)
        if last is None or last[0] != before:
            if len(self._series) >= _MAX_SERIES:
                self._series.clear()
            last = self._series[draw] = before, KeySeries(self.prefix.fold(*draw, *before))
        return last[1].key(numbers[-1])

    def _count_call(self) -> int:
        """Count a call of the site, and return its number within the pass."""
        noise, site, counter = self.noise, self.site.name, self.counter
        if noise.pass_is_set and noise.thread != get_ident():
            noise.check_thread(training=False)
        current = noise.current
        noise.draw_counts[site] = noise.draw_counts.get(site, 0) + 1
        if checkpointing.backward() != -1:
            noise.restore_pass_of_part()
            return recomputed_call(counter, noise.current)
        if noise.awaits_root and not (noise.running or noise.pass_is_set):
            noise.note_draw_outside(self.site)
        call = current.calls.get(counter, 0)
        may_run_again = (
            not torch.is_grad_enabled() or checkpointing.saved_tensor_hooks(True) is not None
        )
        current.may_run_again |= may_run_again
        # A part that is called by itself has no pass to hold a mask for.
        if self.once and call and (noise.running or noise.pass_is_set):
            return 0
        current.calls[counter] = call + 1
        if may_run_again:
            noise.keep_pass_with_part()
            current.places.setdefault(counter, {})[call] = checkpointing.place()
        return call

    def _traced_sources(self, device: torch.device) -> Sequence[Source]:
        """The sources in code that is being compiled, where the clock is two tensors."""
        current, clock = self.noise.current, self.noise.clock
        call = 0 if self.once else current.calls.get(self.counter, 0)
        current.calls[self.counter] = call + 1
        if current.keys is not None and not self.shared:
            return current.keys.sources(self.counter, call, device)
        step, forward = current.step, None
        if step is None:
            step, forward = clock.traced_numbers()
        elif current.call:
            forward = current.call
        last = (step,) if forward is None else (step, forward)
        views = (0,) * len(current.views) if self.shared else current.views
        keys = [self.prefix.fold(current.domain, view, call, *last) for view in views]
        if current.strata and not self.shared:
            strata = current.strata
            keys = _stratified(self.prefix, keys, current.domain, views, call, last, strata)
        return tuple(Source(key, step, device, v) for key, v in zip(keys, views, strict=True))

    def weight(self, weight: Tensor) -> Tensor:
        """A parameter with this site's noise; one pass has one mask for it."""
        sources = self.sources(weight.device)
        noise_free = self.noise.noise_free_views()
        if all(noise_free):
            return weight
        if len(set(sources)) > 1 or any(noise_free):
            raise ViewError(
                f"site {self.site.name!r} is a weight: the views of a stacked batch would share "
                'its mask\n  use mode="looped", or rule(..., views="shared")'
            )
        sizes = tuple(weight.shape)
        names = Axes.read(self.axes, sizes).names if self.axes else (UNKNOWN,) * len(sizes)
        self._agree(names, sizes)
        noisy_weight = self.pattern.drop(weight, names, sources[:1])
        return self._observe(weight, noisy_weight)

    def mask(self, sizes: tuple[int, ...], device: torch.device) -> Tensor:
        """A mask for a tensor of these sizes; whoever asks for it multiplies."""
        sources = self.sources(device)
        names = Axes.read(self.axes, sizes).names if self.axes is not None else self.site.axes
        self._agree(names, sizes)
        dim = batch_dim(self, names, sizes, len(sources))
        held, axes = self.noise.current.held, Axes(names, sizes)
        mask = None if held is None else held.mask(self.site.name, self.pattern, axes, sources)
        if mask is None:
            mask = self.pattern.masks(sizes, names, sources)
        mask = keep_noise_free_views(self.noise, torch.ones_like(mask), mask, dim)
        return self._observe(torch.ones_like(mask), mask)

    def words(self, rows: Tensor, ids: Tensor) -> Tensor:
        """Embedded words with whole word types dropped; `rows` is `ids` with one more axis."""
        assert isinstance(self.pattern, WordDropout)
        sources = self.sources(rows.device)
        names = tuple(self.axes.split()) if self.axes is not None else self.site.axes
        dim = batch_dim(self, names or ("batch",), tuple(ids.shape), len(sources))
        output = self.pattern.drop_rows(rows, ids, sources, dim)
        return self._observe(rows, keep_noise_free_views(self.noise, rows, output, dim))

    def _observe(self, before: Tensor, after: Tensor) -> Tensor:
        if self.noise.observer is not None:
            self.noise.observer(self.site.name, self.site.kind, before, after)
        return after

    def _agree(self, names: tuple[str, ...], shape: tuple[int, ...]) -> None:
        """Raise `PlanError` where sites or calls that drop by one mask need several sizes."""
        if (self.mask_name is None and not self.once) or in_backward():
            return
        noise, site, label = self.noise, self.site.name, self.mask_name or self.site.name
        sizes = self.pattern.mask_sizes(Axes(names, shape))
        call = 1 if self.once else noise.current.calls.get(self.counter, 1)
        first, want = noise.current.shared_sizes.setdefault(f"{call} {label}", (site, sizes))
        if sizes != want and (noise.running or noise.pass_is_set or not self.once):
            raise PlanError(
                f"the sites of one rule cannot share a mask: they need masks of different sizes\n"
                f"  rule's sites: {label}\n"
                f"  {first} needs {want}\n  {site} needs {sizes}\n"
                "  write a rule for each size, or leave mask= and calls= out"
            )


@lru_cache(maxsize=64)
def _keys_again(
    prefix: Key,
    domain: int,
    views: tuple[int, ...],
    call: int,
    numbers: tuple[int, ...],
    strata: int,
) -> Sequence[Key]:
    """The keys of the views of a pass that names its step; see `SiteNoise.sources`."""
    keys = [prefix.fold(domain, view, call, *numbers) for view in views]
    if not strata:
        return keys
    return _stratified(prefix, keys, domain, views, call, numbers, strata)


def _stratified(
    prefix: Key,
    keys: Sequence[Key],
    domain: int,
    views: tuple[int, ...],
    call: int,
    numbers: tuple[Word, ...],
    count: int,
) -> list[Key]:
    """The keys of views, each among those of its block of `count` that are stratified."""
    orders = {
        block: prefix.fold(domain, ORDER, call, *numbers, block)
        for block in {view // count for view in views}
    }
    return [
        Key(key.first, key.second, Strata(orders[view // count], view % count, count))
        for key, view in zip(keys, views, strict=True)
    ]
