"""What a study is bound to: its space, sampler, seed and direction, or it is another study."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dropsmith.errors import SearchError
from dropsmith.search.ledger import Ledger
from dropsmith.search.sampler import Sampler
from dropsmith.search.storage import opened, place_of, unusable, writing_errors

if TYPE_CHECKING:
    from optuna import Study
    from optuna.pruners import BasePruner
    from optuna.storages import BaseStorage

FORMAT, VERSION = "dropsmith.study", 1
_BOUND, _SPACE = "dropsmith", "space"


@contextmanager
def ledger_at(
    storage: "str | Path | BaseStorage",
    name: str,
    sampler: Sampler,
    direction: str,
    pruner: "BasePruner",
    say: Callable[[str], None],
) -> Iterator[Ledger]:
    """The rows of a study, new or as it was left, while no other process has it.

    Raises:
        SearchError: the study of this name is bound to something else, or is being run.
    """
    if not isinstance(storage, str | Path):
        study = _study(storage, name, sampler, direction, pruner)
        yield Ledger(study, sampler.space, None, say)
        return
    place = place_of(storage)
    with opened(place, name) as found:
        try:
            study = _study(found, name, sampler, direction, pruner)
        except writing_errors() as error:
            raise unusable(place, error) from None
        yield Ledger(study, sampler.space, place, say)


def _study(
    storage: "BaseStorage", name: str, sampler: Sampler, direction: str, pruner: "BasePruner"
) -> "Study":
    import optuna

    with _quiet():
        full = f"{name}@{sampler.space.version}"
        _check_alone(storage, name, full)
        study = optuna.create_study(
            study_name=full,
            storage=storage,
            sampler=optuna.samplers.RandomSampler(),  # asked for nothing, here or elsewhere
            pruner=pruner,
            direction="maximize" if direction == "maximise" else "minimize",
            load_if_exists=True,
        )
    _bind(study, name, _binding(sampler, direction))
    if _SPACE not in study.user_attrs:
        study.set_user_attr(_SPACE, sampler.space.to_json())
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
    before = study.user_attrs.get(_BOUND)
    if before is None:  # new, or its first run was ended before this line
        study.set_user_attr(_BOUND, binding)
        return
    for key, own in binding.items():
        if before.get(key) != own:
            raise SearchError(
                f"the search {name!r} was begun with {key} {before.get(key)!r}, not {own!r}\n"
                "  go on as it was begun, or give this one another name or storage"
            )


def _check_alone(storage: "BaseStorage", name: str, full: str) -> None:
    others = [one.study_name for one in storage.get_all_studies()]
    if full not in others and any(other.rpartition("@")[0] == name for other in others):
        raise SearchError(
            f"the search {name!r} was begun over another space\n"
            "  go on as it was begun, or give this one another name or storage"
        )


@contextmanager
def _quiet() -> Iterator[None]:
    # Optuna says in a line that it made or found a study.
    from optuna import logging

    before = logging.get_verbosity()
    logging.set_verbosity(logging.WARNING)
    try:
        yield
    finally:
        logging.set_verbosity(before)
