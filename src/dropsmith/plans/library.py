"""Sources of plans: a file, the name of a plan that comes with dropsmith, or the Hub."""

import re
from importlib.resources import as_file, files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from dropsmith.errors import DataError, PlanError, did_you_mean, excerpt
from dropsmith.files import read_json
from dropsmith.hub import HUB, retries_said_once
from dropsmith.record import Record

_ADDRESS = re.compile(r"hf://(?P<repo>[^/@]+/[^/@]+)(?:@(?P<revision>[^/]+))?/(?P<path>.+)")


_RECORDS = ".records.json"


def learned_plans() -> tuple[str, ...]:
    """The names of the plans that come with dropsmith, which `Plan.load` takes."""
    names = (file.name for file in _folder().iterdir() if file.name.endswith(".json"))
    return tuple(sorted(n.removesuffix(".json") for n in names if not n.endswith(_RECORDS)))


def records_of(name: str) -> tuple[Record, ...]:
    """The runs that a learned plan rests on: trained with it, and what they scored.

    Raises:
        PlanError: no plan of that name comes with dropsmith.
    """
    _check_learned(name)
    with as_file(_folder() / f"{name}{_RECORDS}") as path:
        return tuple(map(Record.from_json, read_json(path)))


def values_at(source: str | Path) -> Any:
    """The JSON values that a plan is made of, from wherever it is; see `Plan.load`."""
    address = str(source)
    if isinstance(source, str) and address.startswith(HUB):
        return _read(_fetch(address), address)
    if isinstance(source, Path) or not _is_name(address) or _exists(address):
        return _read(Path(address), address)
    _check_learned(address)
    with as_file(_folder() / f"{address}.json") as path:
        return _read(path, address)


def _is_name(address: str) -> bool:
    return "/" not in address and not address.endswith(".json")


def _exists(address: str) -> bool:
    try:
        return Path(address).exists()
    except OSError:  # a name that is too long for a file
        return False


def _folder() -> Traversable:
    return files("dropsmith.plans") / "learned"


def _check_learned(name: str) -> None:
    plan_names = learned_plans()
    if name not in plan_names:
        raise PlanError(
            f"no file is called {excerpt(name)}, and no plan of that name comes with dropsmith\n"
            f"  plans that do: {', '.join(plan_names) or 'none'}" + did_you_mean(name, plan_names)
        )


def _read(path: Path, where: str) -> Any:
    try:
        return read_json(path, unique_keys=True)
    except (OSError, ValueError) as error:
        raise PlanError(f"cannot read a plan from {where}\n  {error}") from None


def _fetch(address: str) -> Path:
    """The file at an address on the Hub, as its client keeps it: text, and never code."""
    match = _ADDRESS.fullmatch(address)
    if match is None:
        raise PlanError(
            f"not the address of a plan on the Hub: {address}\n"
            "  it is hf://USER/REPO/plan.json, or hf://USER/REPO@REVISION/plan.json"
        )
    from huggingface_hub import hf_hub_download

    try:
        with retries_said_once():
            return Path(hf_hub_download(match["repo"], match["path"], revision=match["revision"]))
    except Exception as error:  # the kinds of failure offline are many, and not its own to list
        why = str(error).partition("\n")[0]
        raise DataError(
            f"cannot fetch {address} from the Hub\n  {type(error).__name__}: {why}\n"
            "  give a file instead: a plan is a small JSON file"
        ) from None
