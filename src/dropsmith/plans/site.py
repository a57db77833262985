"""Sites: places in a model where noise is, or could be, by name."""

from dataclasses import dataclass
from typing import Literal, get_args

Kind = Literal[
    "output",
    "input",
    "weight",
    "words",
    "state",
    "dropout",
    "path",
    "functional",
    "attention",
    "between",
    "code",
]


KINDS: tuple[Kind, ...] = tuple(kind for kind in get_args(Kind) if kind != "code")


NATIVE: tuple[Kind, ...] = ("dropout", "path", "functional", "attention", "between")


ROOT = "root"


@dataclass(frozen=True, kw_only=True)
class Site:
    """A place in a model where noise is or could be.

    Args:
        name: the module's name for its output, `<module>.input`, a parameter's name for its
            weight, `<module>.dropout()` for functional dropout, `<module>.attention()` for fused
            attention, `<module>.between()` between the layers of an `nn.LSTM`,
            `<module>.<place>` for a place that a module declares itself.
        kind: `output`, `input`, `weight`, `words` (an embedding's rows), `state` (a place a
            module declares), or noise the model already has: `dropout` (a module), `path` (a module
            of stochastic depth), `functional`, `attention`, `between`. A row of an audit may also
            be of kind `code`: noise that a module's own code draws, which no rule reaches.
        owner: the module that is hooked.
        type: the class name of that module.
        axes: the names of the tensor's dimensions, if a run has determined them.
        sizes: its sizes in that run.
        rate: the rate that the model declares, for noise it already has; `audit` measures the real
            one.
        group: a name shared by several sites: `lstm.recurrent` selects the recurrent state of all
            layers and directions.
    """

    name: str
    kind: Kind
    owner: str
    type: str
    axes: tuple[str, ...] = ()
    sizes: tuple[int, ...] = ()
    rate: float | None = None
    group: str = ""

    @property
    def native(self) -> bool:
        """True where the model drops here by itself."""
        return self.kind in NATIVE


def display_name(name: str) -> str:
    """A module's name for people: the root has none of its own."""
    return name or ROOT


_CALLS = {"functional": "dropout()", "attention": "attention()", "between": "between()"}


def call_name(owner: str, kind: Kind) -> str:
    """The name of the site of an owner's calls of one kind.

    >>> call_name("encoder.layer.0", "attention")
    'encoder.layer.0.attention()'
    """
    return f"{owner}.{_CALLS[kind]}"
