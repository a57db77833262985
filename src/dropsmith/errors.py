"""Every error says what is wrong, what was there, and what to type instead.

Each class is both a `DropsmithError` and the built-in it specialises, so a caller may catch
either.
"""

import re
from collections import Counter
from collections.abc import Iterable
from difflib import get_close_matches
from reprlib import Repr


class DropsmithError(Exception):
    """The base of every error this library raises on purpose.

    A line of its message that is very long, because of what was given, is cut in the middle.
    """

    def __init__(self, *args: object) -> None:
        super().__init__(*(_with_short_lines(a) if isinstance(a, str) else a for a in args))


class ArgumentError(DropsmithError, TypeError):
    """An argument is of a type that the function does not take."""


class ModelError(DropsmithError, TypeError):
    """Something was given as a model that is no `torch.nn.Module`."""


class AxisError(DropsmithError, ValueError):
    """A named axis is missing, unknown or ambiguous."""


class PatternError(DropsmithError, ValueError):
    """A pattern was given settings that cannot mean anything."""


class PlanError(DropsmithError, ValueError):
    """A plan cannot be read, written or installed as it stands."""


class SiteError(DropsmithError, LookupError):
    """A rule or a question names a place the model does not have, or one that never ran."""


class NoiseError(DropsmithError, RuntimeError):
    """Noise is off where it is needed, or its masks could not be drawn again."""


class NoNoiseError(NoiseError):
    """Samples were asked for of a model whose noise changes nothing: all would be the same."""


class ExportError(DropsmithError, RuntimeError):
    """A model cannot leave torch with its noise, or a runtime would draw other masks."""


class ViewError(DropsmithError, RuntimeError):
    """Several passes over one batch cannot be made, or have the same noise."""


class ObjectiveError(DropsmithError, ValueError):
    """An objective or a task loss has wrong settings, or does not fit outputs or labels."""


class KernelError(DropsmithError, RuntimeError):
    """A kernel that was asked for cannot run on what it was given."""


class TaskError(DropsmithError, ValueError):
    """A task, a method or a setting of a run does not exist or does not fit."""


class TrackerError(TaskError):
    """A tracker of a run does not exist, is not installed or does not start."""


class DataError(DropsmithError, ValueError):
    """A data file or folder is missing or is not what it should be."""


class TrainingError(DropsmithError, RuntimeError):
    """A run stopped because going on would have meant nothing."""


class SearchError(DropsmithError, ValueError):
    """A search, its space or its sampler cannot be what was asked for."""


class CheckpointError(DropsmithError, RuntimeError):
    """A checkpoint cannot be written, or is not the one this run can resume from."""


class BusyError(DropsmithError, RuntimeError):
    """A folder is in the hands of another process."""


class MissingExtra(DropsmithError, ImportError):
    """An optional library is needed and not installed."""

    def __init__(self, what: str, library: str, extra: str) -> None:
        super().__init__(
            f'{what} needs {library}, which is not installed\n  pip install "dropsmith[{extra}]"'
        )


def excerpt(value: object) -> str:
    """A value as an error repeats it: its `repr`, however long or deep it is, in 80 characters.

    >>> excerpt("rate"), excerpt([0] * 1000)
    ("'rate'", '[0, 0, 0, 0, 0, 0, 0, 0, ...]')
    """
    try:
        text = _EXCERPTS.repr(value)
    except ValueError:  # Python spells no whole number of more than some thousand digits
        return "a number of thousands of digits"
    return text if len(text) <= _EXCERPT else f"{text[:_EXCERPT]}..."


_EXCERPT = 80
_EXCERPTS = Repr()
_EXCERPTS.maxlist = _EXCERPTS.maxtuple = _EXCERPTS.maxdict = 8
_EXCERPTS.maxstring = _EXCERPTS.maxlong = 60
_EXCERPTS.maxother = _EXCERPT


def _with_short_lines(text: str) -> str:
    if len(text) <= _LINE:
        return text
    return "\n".join(
        line if len(line) <= _LINE else f"{line[: _LINE - 100]} ... {line[-60:]}"
        for line in text.split("\n")
    )


_LINE = 800


def printable(text: str) -> str:
    """The text with its invisible characters spelled, so that none acts on what stands around it.

    >>> printable("r-drop\\u202e"), printable("a\\x00b")
    ('r-drop\\\\u202e', 'a\\\\x00b')
    """
    return _INVISIBLE.sub(lambda match: ascii(match[0])[1:-1], text)


_INVISIBLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u2028\u2029\u202a-\u202e\u2060-\u2069\ufeff\ufffe\uffff\ud800-\udfff]"
)
"""Control characters, halves of characters, and signs that turn the direction of what follows."""


def first_repeated(words: Iterable[str]) -> str | None:
    """The first word that is there more than once; None where each is there once.

    >>> first_repeated(["a", "b", "b", "a"]), first_repeated("abc")
    ('a', None)
    """
    return next((word for word, count in Counter(words).items() if count > 1), None)


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """A line naming the closest known word, or nothing where none is close.

    >>> did_you_mean("tmie", ["batch", "time"])
    "\\n  did you mean 'time'?"
    >>> did_you_mean("xyz", ["batch", "time"])
    ''
    """
    if not isinstance(word, str) or len(word) > _EXCERPT:
        return ""
    close = get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f"\n  did you mean {close[0]!r}?" if close else ""
