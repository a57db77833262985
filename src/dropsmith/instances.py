"""Checks that a value is of the type an argument takes, not its class, its name or something else.

Each kind of value has one check, beside its class: `check_model` here, `plans.check_plan`,
`patterns.check_pattern`, `objectives.check_objective`.
"""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from types import BuiltinFunctionType, FunctionType, MethodType

from torch import nn

from dropsmith.errors import ArgumentError, DropsmithError, ModelError, did_you_mean, excerpt


def check_model(model: object) -> None:
    """Raise `ModelError` unless a value is a `torch.nn.Module`.

    >>> check_model(nn.Linear(2, 1))
    >>> check_model(nn.Linear)
    Traceback (most recent call last):
    dropsmith.errors.ModelError: a model is a torch.nn.Module, but the class Linear was given
      write Linear(...), which makes a model of this class
    """
    if isinstance(model, nn.Module):
        return
    raise ModelError(f"a model is a torch.nn.Module, but {describe(model)} was given{_way(model)}")


def _way(model: object) -> str:
    """A line that says how to get at a model, where something that was given shows one."""
    if isinstance(model, type):
        name = model.__name__
        is_model = issubclass(model, nn.Module)
        return f"\n  write {name}(...), which makes a model of this class" if is_model else ""
    if isinstance(model, str):
        return "\n  load the model of this name first, and give what was loaded"
    for name in ("model", "module", "net", "network"):
        if isinstance(getattr(model, name, None), nn.Module):
            return f"\n  it holds a model: give its .{name}"
    return ""


def describe(value: object) -> str:
    """A value that is of the wrong type, as the subject of a sentence.

    >>> describe("rdrop"), describe(nn.Linear), describe(nn.Linear(2, 1)), describe(0.5)
    ("the string 'rdrop'", 'the class Linear', 'a value of type Linear', '0.5')
    """
    if isinstance(value, type):
        return f"the class {value.__name__}"
    if isinstance(value, str):
        return f"the string {excerpt(value)}"
    if value is None or isinstance(value, bool | int | float):
        return excerpt(value)
    is_function = isinstance(value, FunctionType | BuiltinFunctionType | MethodType)
    return "a function" if is_function else f"a value of type {type(value).__name__}"


def wrong_instance(
    error: type[DropsmithError],
    sentence: str,
    value: object,
    examples: Mapping[str, str],
    advice: str | None = None,
) -> DropsmithError:
    """The error for a value that is no instance of a class, with the line to type instead.

    >>> from dropsmith.errors import PatternError
    >>> lines = {"Bernoulli": "Bernoulli(rate=0.1)", "Off": "Off()"}
    >>> raise wrong_instance(PatternError, "a rule takes a pattern", "bernouli", lines)
    Traceback (most recent call last):
    dropsmith.errors.PatternError: a rule takes a pattern, but the string 'bernouli' was given
      did you mean Bernoulli(rate=0.1)?

    Args:
        error: its class.
        sentence: what takes an instance of what.
        value: what was given.
        examples: for the name of each class, a line that makes an instance; the first is the
            usual one.
        advice: the line for this very value, where one is known.
    """
    lines = {_plain(name): line for name, line in examples.items()}
    usual = next(iter(examples.values()))
    if advice is not None:
        hint = f"write {advice}"
    elif isinstance(value, type):
        hint = f"write {examples.get(value.__name__, usual)}"
    elif isinstance(value, str) and (close := get_close_matches(_plain(value), lines, n=1)):
        hint = f"did you mean {lines[close[0]]}?"
    else:
        hint = f"write {usual}, for example"
    return error(f"{sentence}, but {describe(value)} was given\n  {hint}")


def _plain(name: str) -> str:
    """A name without case and signs, in which people differ.

    >>> _plain("R-Drop"), _plain("two_sample")
    ('rdrop', 'twosample')
    """
    return "".join(sign for sign in name.lower() if sign.isalnum())


def check_type(name: str, value: object, kinds: type | tuple[type, ...], words: str) -> None:
    """Raise `ArgumentError` unless a value is of a type.

    >>> check_type("keep", 1, bool, "True or False")
    Traceback (most recent call last):
    dropsmith.errors.ArgumentError: keep is True or False, got 1

    Args:
        name: of the argument.
        value: that was given.
        kinds: the type, or several.
        words: what the argument is, as the message says it.
    """
    if not isinstance(value, kinds):
        raise ArgumentError(f"{name} is {words}, got {excerpt(value)}")


def check_bool(name: str, value: object) -> None:
    """Raise `ArgumentError` unless a value is True or False."""
    check_type(name, value, bool, "True or False")


def is_function(value: object) -> bool:
    """True if a value can be called and is no class, which a call would make a value of."""
    return callable(value) and not isinstance(value, type)


def check_word(name: str, value: object, words: Iterable[str], error: type[DropsmithError]) -> None:
    """Raise `error` unless a value is one of some words.

    >>> from dropsmith.errors import SearchError
    >>> check_word("direction", "maximize", ("maximise", "minimise"), SearchError)
    Traceback (most recent call last):
    dropsmith.errors.SearchError: direction is 'maximise' or 'minimise', got 'maximize'
      did you mean 'maximise'?
    """
    known = list(words)
    if not isinstance(value, str) or value not in known:
        listed = ", ".join(map(repr, known[:-1])) + f" or {known[-1]!r}"
        raise error(f"{name} is {listed}, got {excerpt(value)}" + did_you_mean(value, known))


def checked_path(name: str, value: object) -> Path:
    """The path that an argument stands for; `ArgumentError` where no file can be called so."""
    check_type(name, value, (str, Path), "a path, as a text or a pathlib.Path")
    text, path = str(value), Path(str(value))
    is_text = bool(text) and "\0" not in text and not any("\ud800" <= c <= "\udfff" for c in text)
    if not is_text or max(len(part.encode()) for part in (*path.parts, "")) > _LONGEST_PART:
        raise ArgumentError(f"{name} is a path, and no file can be called {excerpt(text)}")
    return path


_LONGEST_PART = 255
"""Bytes of the longest name of a file or folder."""
