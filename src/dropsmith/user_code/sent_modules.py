"""Modules of the working directory, imported again in a process that is sent their objects."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dropsmith.user_code.references import import_module


@dataclass(frozen=True)
class SentModules:
    """Names of modules that a process imports as it unpickles this value.

    Python looks for a module by the search path alone when it unpickles an object, and a console
    script's path does not lead to the working directory. What is pickled after this value may be
    made of the modules.

    >>> import pickle
    >>> pickle.loads(pickle.dumps(SentModules(("json",))))
    SentModules(names=('json',))
    """

    names: tuple[str, ...]

    @classmethod
    def of_this_process(cls) -> "SentModules":
        """The imported modules of the working directory that the search path does not lead to."""
        directory = Path.cwd()
        if any(Path(folder or ".").resolve() == directory for folder in sys.path):
            return cls(())
        modules = list(sys.modules.items())
        return cls(
            tuple(sorted(name for name, module in modules if _is_in(directory, name, module)))
        )

    def __reduce__(self) -> "tuple[Callable[..., SentModules], tuple[tuple[str, ...]]]":
        return _imported, (self.names,)


def _imported(names: tuple[str, ...]) -> SentModules:
    for name in names:
        import_module(name)
    return SentModules(names)


def _is_in(directory: Path, name: str, module: object) -> bool:
    """True if a module lies in a folder under the name by which it is imported from there."""
    file = getattr(module, "__file__", None)
    place = directory.joinpath(*name.split("."))
    files = place.with_name(f"{place.name}.py"), place / "__init__.py"
    return file is not None and Path(file) in files
