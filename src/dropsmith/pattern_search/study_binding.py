"""A study's binding to its space, sampler, seed and direction; another study has another."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dropsmith.errors import SearchError, excerpt
from dropsmith.pattern_search.samplers.sampler import Sampler
from dropsmith.pattern_search.storage import (
    check_storage,
    parse_location,
    storage_error,
    storage_exceptions,
)
from dropsmith.pattern_search.trial_log import TrialLog

if TYPE_CHECKING:
    from optuna import Study
    from optuna.pruners import BasePruner
    from optuna.storages import BaseStorage

FORMAT, VERSION = "dropsmith.study", 1
_BINDING, _SPACE = "dropsmith", "space"


@contextmanager
def open_trial_log(
    storage: "str | Path | BaseStorage",
    name: str,
    sampler: Sampler,
    direction: str,
    pruner: "BasePruner",
    print_line: Callable[[str], None],
) -> Iterator[TrialLog]:
    """Open the log of a study, new or of an earlier run, while no other process has it.

    Raises:
        SearchError: the study of this name is bound to something else, or is being run.
    """
    if not isinstance(storage, str | Path):
        check_storage(storage)
        study = _study(storage, name, sampler, direction, pruner)
        yield TrialLog(study, sampler.space, None, print_line)
        return
    from dropsmith.pattern_search.storage_backends import open_storage

    location = parse_location(storage)
    with open_storage(location, name) as backend:
        try:
            study = _study(backend, name, sampler, direction, pruner)
        except storage_exceptions() as error:
            raise storage_error(location, error) from None
        except SearchError:
            raise
        except Exception as error:  # Optuna takes every row for right, and ends in any error
            reason = f"a row is invalid: {type(error).__name__}: {error}"
            raise storage_error(location, SearchError(reason)) from None
        yield TrialLog(study, sampler.space, location, print_line)


def _study(
    storage: "BaseStorage", name: str, sampler: Sampler, direction: str, pruner: "BasePruner"
) -> "Study":
    import optuna

    with _quiet():
        full = f"{name}@{sampler.space.version}"
        # Asked for nothing, here or elsewhere.
        unused = optuna.samplers.RandomSampler()
        # Optuna's `load_if_exists` would write to a journal to find that the study exists.
        if _exists(storage, name, full):
            study = optuna.load_study(
                study_name=full, storage=storage, sampler=unused, pruner=pruner
            )
        else:
            study = optuna.create_study(
                study_name=full,
                storage=storage,
                sampler=unused,
                pruner=pruner,
                direction="maximize" if direction == "maximise" else "minimize",
            )
    _bind(study, name, _binding(sampler, direction))
    space = json.loads(json.dumps(sampler.space.to_json()))
    if _SPACE not in study.user_attrs:
        study.set_user_attr(_SPACE, space)
    elif study.user_attrs[_SPACE] != space:
        raise _changed_error(name, f"field {_SPACE} is another space than its name says")
    return study


def _binding(sampler: Sampler, direction: str) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "version": VERSION,
        "space": sampler.space.version,
        "sampler": sampler.name,
        "settings": sampler.state().get("settings", {}),
        "seed": sampler.seed,
        "direction": direction,
    }


def _bind(study: "Study", name: str, binding: dict[str, Any]) -> None:
    earlier = study.user_attrs.get(_BINDING)
    if earlier is None:  # new, or its first run was ended before this line
        if study.get_trials(deepcopy=False):
            raise _changed_error(name, f"field {_BINDING} is missing")
        study.set_user_attr(_BINDING, binding)
        return
    if not isinstance(earlier, dict):
        raise _changed_error(
            name, f"field {_BINDING} should be a dictionary, but is {excerpt(earlier)}"
        )
    for key, value in binding.items():
        if earlier.get(key) != value:
            raise SearchError(
                f"the search {excerpt(name)} was started with {key} {excerpt(earlier.get(key))}, "
                f"not {excerpt(value)}\n"
                "  go on as it was begun, or give this one another name or storage"
            )
    directions = [way.name.lower() for way in study.directions]
    if directions != [binding["direction"].replace("ise", "ize")]:
        raise _changed_error(name, f"field directions is {directions}")


def _changed_error(name: str, reason: str) -> SearchError:
    return SearchError(
        f"cannot read the search {excerpt(name)}\n  {reason}\n"
        "  it was changed by hand: give this search another name or storage"
    )


def _exists(storage: "BaseStorage", name: str, full: str) -> bool:
    """True if a study is there; `SearchError` where one of its name is over another space."""
    names = [study.study_name for study in storage.get_all_studies()]
    if full not in names and any(other.rpartition("@")[0] == name for other in names):
        raise SearchError(
            f"the search {excerpt(name)} was started with another space\n"
            "  go on as it was begun, or give this one another name or storage"
        )
    return full in names


@contextmanager
def _quiet() -> Iterator[None]:
    # Optuna says in a line that it made or found a study.
    from optuna import logging

    verbosity = logging.get_verbosity()
    logging.set_verbosity(logging.WARNING)
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
