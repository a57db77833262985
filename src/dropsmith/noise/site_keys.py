"""The keys of a model's sites: what a site's masks are drawn from, but for the step."""

from hashlib import blake2s

from dropsmith.rng import Key

_MOST = 4096
"""Keys that are held, at most: a module in a loop over long texts has one for each of its calls."""


class SiteKeys:
    """A key for each site, domain, view and call, folded once and held.

    >>> keys = SiteKeys()
    >>> keys.prepare("head", seed=3, rank=0)
    >>> keys.of("head", 0, 1, 0) == keys.prefix("head").fold(0, 1, 0)
    True
    """

    def __init__(self) -> None:
        self._prefixes: dict[str, Key] = {}
        self._folded: dict[tuple[str, int, int, int], Key] = {}

    def prepare(self, site: str, seed: int, rank: int) -> None:
        """Fold what does not change during training, at install."""
        name = int.from_bytes(blake2s(site.encode(), digest_size=4).digest(), "big")
        self._prefixes[site] = Key.of(seed).fold(rank, name)
        self._folded.clear()

    def prefix(self, site: str) -> Key:
        """The key of a site alone."""
        return self._prefixes[site]

    def of(self, site: str, domain: int, view: int, call: int) -> Key:
        """The key of one draw of a site, but for the step, which alone differs from the last."""
        known = site, domain, view, call
        key = self._folded.get(known)
        if key is None:
            if len(self._folded) >= _MOST:
                self._folded.clear()
            key = self._folded[known] = self._prefixes[site].fold(domain, view, call)
        return key
