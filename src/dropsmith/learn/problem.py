"""The problem of a search: the children of a task, and the space of their plans."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch

from dropsmith.compare import check_plans
from dropsmith.errors import DataError, DropsmithError, SearchError, did_you_mean, excerpt
from dropsmith.files import check, json_text, read_json, write_text
from dropsmith.learn.schemas import StoredProblem
from dropsmith.pattern_search import Space, space_from_json, spaces
from dropsmith.plans import Plan
from dropsmith.record import config_id
from dropsmith.tasks import model_hash
from dropsmith.train import HASHES, Setup, code_hash, describe_environment, task_and_data

FORMAT, VERSION = "dropsmith.problem", 1
FILE = "problem.json"

Kind = Literal["auto", "conv", "sequence", "units"]
KINDS: tuple[Kind, ...] = ("auto", "conv", "sequence", "units")

_SPACES = {"sequence": spaces.sequence, "conv": spaces.conv, "units": spaces.units}
_ROWS = 4


@dataclass(frozen=True, kw_only=True)
class Problem:
    """The children and the space of searches whose scores can be compared.

    Args:
        config: the setup of every child in JSON.
        seeds: the number of children of a plan.
        loss: the loss of the scores, `nll` or `mse`.
        space: of the plans.
        environment: versions, device and data of the machine; not part of the id.
    """

    config: dict[str, Any]
    seeds: int
    loss: str
    space: Space
    environment: dict[str, Any] = field(default_factory=dict, compare=False)

    @property
    def id(self) -> str:
        """Twelve hexadecimal digits of the hash of children and space."""
        return config_id(self._identity())

    @property
    def fixed_plan(self) -> Plan:
        """The fixed rules of every child, before those that are searched."""
        return Plan.from_json(self.config["plan"])

    @property
    def task(self) -> str:
        """The task's name."""
        return self.config["task"]

    def to_json(self) -> dict[str, Any]:
        """A JSON object that `from_json` reads as an equal problem."""
        head = {"format": FORMAT, "version": VERSION, "id": self.id}
        return head | self._identity() | {"environment": self.environment}

    def _identity(self) -> dict[str, Any]:
        identity = {"config": self.config, "seeds": self.seeds, "loss": self.loss}
        return identity | {"space": self.space.to_json()}

    @classmethod
    def from_json(cls, values: Any) -> "Problem":
        """The problem in a JSON object; `DataError` for anything else."""
        if not isinstance(values, dict) or values.get("format") != FORMAT:
            raise DataError(f"it is not the problem of a search: its format is not {FORMAT!r}")
        if values.get("version") != VERSION:
            version = excerpt(values.get("version"))
            raise DataError(f"its version is {version}, and this dropsmith reads version {VERSION}")
        check(values, StoredProblem)
        problem = cls(
            config=values["config"],
            seeds=values["seeds"],
            loss=values["loss"],
            space=space_from_json(values["space"]),
            environment=values.get("environment", {}),
        )
        if problem.id != values["id"]:
            raise DataError(
                f"its contents hash to {problem.id!r}, but its id is {excerpt(values['id'])}"
            )
        return problem

    def bind(self, folder: Path) -> None:
        """Write the problem into a folder, which then has only searches of this problem.

        Raises:
            SearchError: the folder has searches of another problem.
        """
        path = folder / FILE
        if path.exists():
            _check_same(Problem.load(folder), self, folder)
            return
        folder.mkdir(parents=True, exist_ok=True)
        write_text(path, json_text(self.to_json()))

    @classmethod
    def load(cls, folder: Path) -> "Problem":
        """The problem of the searches in a folder; `DataError` if it cannot be read."""
        path = folder / FILE
        try:
            return cls.from_json(read_json(path))
        except (OSError, DropsmithError) as error:
            raise DataError(f"cannot read the problem of a search from {path}\n  {error}") from None


def problem_of(setup: Setup, seeds: int, kind: str = "auto") -> Problem:
    """The problem of a child's setup; builds the model once, to find its sites.

    Raises:
        SearchError: no space fits the model, or no space is of this kind.
        DropsmithError: the task or its data does not exist.
    """
    task, data = task_and_data(setup)
    check_plans(task, data, [setup.plan])
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(setup.seed)
        model = task.model(data)
    kind, space = _kind_and_space(model, data.train.rows(slice(0, _ROWS)), kind)
    circumstances = describe_environment(data, torch.device("cpu")) | {
        "data_given": setup.data_given,
        "space_kind": kind,
    }
    if (model_sha256 := model_hash(setup.model, data)) is not None:
        circumstances["model_sha256"] = model_sha256
    if (code_sha256 := code_hash(setup)) is not None:
        circumstances["code_sha256"] = code_sha256
    loss = "mse" if task.kind == "regression" else "nll"
    config = setup.to_json()
    return Problem(config=config, seeds=seeds, loss=loss, space=space, environment=circumstances)


def space_of(model: torch.nn.Module, batch: Any, kind: str = "auto") -> Space:
    """The space that fits a model: the first of those below that it has a place for.

    Runs of steps in Transformer blocks (`sequence`), tilings of the maps of convolutions (`conv`),
    units and weights of fully connected layers over rows of numbers (`units`).

    Args:
        model: the model.
        batch: an input of it.
        kind: `sequence`, `conv` or `units` to have that one, or `auto`.

    Raises:
        SearchError: the model has none of these, or no space is of this kind.
    """
    return _kind_and_space(model, batch, kind)[1]


def _kind_and_space(model: torch.nn.Module, batch: Any, kind: str) -> tuple[str, Space]:
    """A space, and the kind that makes it again."""
    if kind != "auto":
        if kind not in _SPACES:
            raise SearchError(
                f"no space is called {excerpt(kind)}\n  spaces: {', '.join(KINDS)}"
                + did_you_mean(kind, KINDS)
            )
        return kind, _SPACES[kind](model, batch)
    reasons: list[str] = []
    for name, make in _SPACES.items():
        try:
            return name, make(model, batch)
        except DropsmithError as error:
            reasons.append(str(error).partition("\n")[0])
    raise SearchError(
        f"no space of plans fits {type(model).__name__}\n"
        + "".join(f"  {reason}\n" for reason in reasons)
        + "  write one by hand: dropsmith.pattern_search.ListedSpace"
    )


def _check_same(earlier: Problem, problem: Problem, folder: Path) -> None:
    if earlier.id == problem.id:
        _check_data(earlier, problem, folder)
        return
    old, new = earlier.config | {"seeds": earlier.seeds}, problem.config | {"seeds": problem.seeds}
    changes = [key for key in old if old[key] != new.get(key)] or ["the space"]
    first = changes[0]
    short = first in old and not isinstance(old[first], dict)
    values = f": {excerpt(old[first])}, not {excerpt(new.get(first))}" if short else ""
    raise SearchError(
        f"the searches in {folder} differ from this one in {first}{values}\n"
        "  keep these apart: --out DIR"
    )


def _check_data(earlier: Problem, problem: Problem, folder: Path) -> None:
    for name, difference in HASHES.items():
        hashes = [p.environment.get(name) for p in (earlier, problem)]
        if None not in hashes and hashes[0] != hashes[1]:
            raise SearchError(
                f"the searches in {folder} were made {difference}: its hash differs\n"
                "  keep these apart: --out DIR"
            )
