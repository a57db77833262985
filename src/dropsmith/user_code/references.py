"""References to objects of the user's own code: `module:name`, as in Python's entry points.

A module is looked for in the working directory too. Only what a person has typed is imported;
for names in files there is `imported_object`, which imports nothing.
"""

import importlib
import os
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from dropsmith.errors import DropsmithError, TaskError, did_you_mean, excerpt
from dropsmith.user_code.fault_lines import fault_line

_REFERENCE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")

Instance = TypeVar("Instance")


def is_reference(text: object) -> bool:
    """True if a text has the form of `module:name` or `package.module:name`.

    >>> is_reference("myfile:Cosine"), is_reference("r-drop"), is_reference("C:/data")
    (True, False, False)
    """
    return isinstance(text, str) and _REFERENCE.fullmatch(text) is not None


def reference_of(cls: type) -> str:
    """The reference to a class.

    >>> from pathlib import PurePath
    >>> reference_of(PurePath).endswith(":PurePath")
    True
    """
    # In a process that multiprocessing starts, the main module has another name.
    module = "__main__" if cls.__module__ == "__mp_main__" else cls.__module__
    return f"{module}:{cls.__qualname__}"


def recorded_name(cls: type) -> str:
    """The name of a class in JSON: its own for a class of this library, else its reference.

    >>> recorded_name(TaskError)
    'TaskError'
    """
    return cls.__name__ if cls.__module__.partition(".")[0] == "dropsmith" else reference_of(cls)


def imported_class(name: str, base: type[Instance], extra: Iterable[type]) -> type[Instance] | None:
    """The class of the user's own that a file names, or None; nothing is imported.

    Args:
        name: the class's own name, or its reference where its module has been imported.
        base: which it is to be a subclass of.
        extra: classes that were given beside the file.
    """
    for cls in extra:
        if issubclass(cls, base) and name.rpartition(":")[2] == cls.__name__:
            return cls
    cls = imported_object(name)
    return cls if isinstance(cls, type) and issubclass(cls, base) else None


def import_advice(name: str) -> str:
    """A line on a class that a file names and whose module is not imported; empty for others."""
    if not is_reference(name):
        return ""
    module = name.partition(":")[0]
    return (
        f"\n  reading a file imports nothing: import {module} before it, or on the command line "
        f"give --allow {module}"
    )


def imported_object(reference: object) -> Any:
    """The object of a reference where its module has been imported already, else None.

    Nothing is imported and no code of the module runs, so a name that a file holds may be looked
    up so.
    """
    if not is_reference(reference):
        return None
    module_name, _, name = str(reference).partition(":")
    module = sys.modules.get(module_name)
    return None if module is None else vars(module).get(name)


def import_object(
    reference: str,
    what: str,
    error: type[DropsmithError] = TaskError,
    names: str = "object",
) -> Any:
    """The object of a reference that a person has typed; its module is imported.

    Args:
        reference: `module:name`.
        what: what it is to be, such as `model`, for messages.
        error: the class of the error.
        names: what the names in the module are called in messages, such as `function`.

    Raises:
        DropsmithError: of the class `error`: the reference has another form, there is no such
            module or name, or the module's code fails, with the line.
    """
    module_name, colon, name = reference.partition(":")
    if not (module_name and colon and name):
        raise error(
            f"not a {what}: {reference!r}\n"
            f"  name it as package.module:{'function' if names == 'function' else 'NAME'}"
        )
    module = import_module(module_name, f" for the {what} {reference!r}", error)
    value: Any = module
    for part in name.split("."):
        if not hasattr(value, part):
            raise error(
                f"module {module_name!r} has no {names} {name!r}{_place(module)}"
                + did_you_mean(part, [word for word in dir(value) if not word.startswith("_")])
            )
        value = getattr(value, part)
    return value


def import_module(
    name: str, purpose: str = "", error: type[DropsmithError] = TaskError
) -> ModuleType:
    """The module of a name, from the working directory or from where Python finds modules.

    Args:
        name: of the module.
        purpose: the end of the message, such as ` for the model 'm:f'`.
        error: the class of the error.

    Raises:
        DropsmithError: of the class `error`: there is no such module, or its code fails.
    """
    start = f"cannot import {name!r}{purpose}"
    if name.endswith(".py") or not all(part.isidentifier() for part in name.split(".")):
        raise error(f"{start}\n  {_spelling(name)}")
    try:
        with _working_directory():
            return importlib.import_module(name)
    except ModuleNotFoundError as fault:
        if fault.name is None or not (name == fault.name or name.startswith(f"{fault.name}.")):
            raise error(f"{start}\n  {fault}{fault_line(fault)}") from fault
        files = (path.stem for path in Path.cwd().glob("*.py"))
        raise error(
            f"{start}\n  {fault}, neither here in {os.getcwd()} nor installed"
            + did_you_mean(name, files)
        ) from fault
    except (Exception, SystemExit) as fault:  # the module's own code, whatever it does
        kind = "" if isinstance(fault, ImportError) else f"{type(fault).__name__}: "
        raise error(f"{start}\n  {kind}{fault}{fault_line(fault)}") from fault


def import_instance(
    reference: str, base: type[Instance], what: str, error: type[DropsmithError] = TaskError
) -> Instance:
    """The value of a reference, of the class `base`; a class is called without arguments.

    Raises:
        DropsmithError: of the class `error`: as of `import_object`, or it is something else, or
            the class needs arguments.
    """
    return instance_of(import_object(reference, what, error), reference, (base,), what, error)


def instance_of(
    value: Any,
    reference: str,
    bases: tuple[type, ...],
    what: str,
    error: type[DropsmithError] = TaskError,
) -> Any:
    """The value, or what its class gives without arguments, if it is of one of the `bases`."""
    if isinstance(value, type) and issubclass(value, bases):
        try:
            return value()
        except Exception as fault:
            raise error(
                f"the class {reference} cannot be used without arguments: {fault}"
                f"{fault_line(fault)}\n"
                f"  give every field a default, or name a value: VALUE = {value.__name__}(...)"
            ) from fault
    if not isinstance(value, bases):
        kind = f"the class {value.__name__}" if isinstance(value, type) else f"{excerpt(value)}"
        rooms = (".".join(base.__module__.split(".")[:2]) for base in bases)
        names = " or ".join(
            f"{room}.{base.__name__}" for room, base in zip(rooms, bases, strict=True)
        )
        raise error(f"{reference} is no {what}: it is {kind}\n  expected: {names}")
    return value


def _spelling(name: str) -> str:
    """What to type where a file's path stands in place of a module's name."""
    stem = Path(name).name.removesuffix(".py")
    if stem.isidentifier():
        return f"give the name of the module, {stem!r}, and run this in its folder"
    return "it is no name of a module"


def _place(module: ModuleType) -> str:
    """The file of a module, where another of its name lies in the working directory."""
    here = Path.cwd() / f"{module.__name__.partition('.')[0]}.py"
    file = getattr(module, "__file__", None)
    if not here.exists() or (file is not None and Path(file).resolve() == here.resolve()):
        return ""
    return f": it is that of {file or 'Python itself'}\n  rename {here.name}"


@contextmanager
def _working_directory() -> Iterator[None]:
    # A console script does not look there, and a user's code stands there more often than not.
    directory = os.getcwd()
    sys.path.insert(0, directory)
    try:
        yield
    finally:
        sys.path.remove(directory)
