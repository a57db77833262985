"""A task with a model of the user's own, named on the command line as `package.module:function`."""

import importlib
import inspect
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from dropsmith.activations import Reads, read_blocks
from dropsmith.batches import call
from dropsmith.errors import TaskError, did_you_mean
from dropsmith.models import AnyModel
from dropsmith.models.upper import upper_half
from dropsmith.plans import Plan
from dropsmith.tasks._budget import Budget
from dropsmith.tasks._part import Part
from dropsmith.tasks._task import Data, Task
from dropsmith.tasks.cifar10_vit import PatchTask
from dropsmith.tasks.imagenet import ImageNetTask
from dropsmith.tasks.images import ImageTask
from dropsmith.tasks.meters import Meter
from dropsmith.tasks.pretrained import with_pretrained
from dropsmith.tasks.pretrained_images import PretrainedImageTask
from dropsmith.tasks.pretrained_writer import with_pretrained_writer
from dropsmith.tasks.seq2seq import Seq2SeqTask
from dropsmith.tasks.texts import TextTask
from dropsmith.tasks.written import Written
from dropsmith.terms import Loss


@dataclass(frozen=True, kw_only=True)
class OwnModelTask(Task):
    """A task's data and loss with another model: see `with_model`.

    Args:
        task: whose data and loss.
        spec: `package.module:function`.
        places: where the model can take noise: the task says so of a model of its own kind.
        name, budget, noises, paired, perplexity, kind, blocks, upper: as for any task.
        input: what the model's forward calls the one input, where the task calls it otherwise.
    """

    task: Task
    spec: str
    places: AnyModel | Task
    name: str
    budget: Budget
    noises: tuple[str, ...]
    paired: str = "dropout"
    perplexity: bool = False
    input: str | None = None
    kind: Literal["classes", "values"] = "classes"
    blocks: bool = False
    upper: str | None = None

    def load(self, data: Path | None = None, limit: int | None = None) -> Data:
        loaded = self.task.load(data, limit)
        if self.input is None:
            return loaded
        parts = {part: getattr(loaded, part).renamed(self.input) for part in _PARTS}
        return replace(loaded, **parts)

    def model(self, data: Data) -> nn.Module:
        return made(self.spec, data)

    def plan(self, noise: str, rate: float) -> Plan:
        return self.places.plan(noise, rate)

    def loss(self, output: Any, batch: Mapping[str, Tensor]) -> Loss:
        return self.task.loss(output, batch)

    def score(self, output: Any, batch: Mapping[str, Tensor]) -> dict[str, tuple[float, float]]:
        return self.task.score(output, batch)

    def meters(self) -> dict[str, Meter]:
        return self.task.meters()

    def written(self, model: nn.Module, data: Data) -> Written:
        return self.task.written(model, data)

    def measures(self, means: Mapping[str, float], part: Part) -> dict[str, float]:
        return self.task.measures(means, part)

    def carry(self, output: Any) -> Mapping[str, Any]:
        return self.task.carry(output)


_PARTS = ("train", "validation", "test")


def with_model(task: Task, spec: str, data: Data) -> Task:
    """The task with the model that the named function returns, or with a pretrained one.

    A task of sentences, of texts that are written, or of pictures takes the name of a pretrained
    model on the Hub, or its folder, as well: see `tasks.pretrained`, `tasks.pretrained_writer` and
    `tasks.pretrained_images`.

    The function is called with the data if it takes an argument. Modules are looked for in the
    working directory too. The model's forward may call its input what it likes where there is
    only one. Noise goes where the types of its modules allow, see `models.AnyModel`; in a model of
    the class of the task's own, of another size, it goes where it goes in that one.

    Args:
        task: whose data and loss to use.
        spec: `package.module:function`, or a name such as `bert-base-cased`.
        data: the task's data, to make the model once and look at it.

    Raises:
        TaskError: the name cannot be followed, what it names does not make a module, or the
            module's forward does not take what the task has.
    """
    if ":" not in spec and (tuned := _pretrained(task, spec)) is not None:
        return tuned
    with torch.random.fork_rng():
        model = made(spec, data)
        own = type(model) is type(task.model(data))
    places, own_input = task if own else AnyModel.of(model), _input(model, data.train)
    return OwnModelTask(
        task=task,
        spec=spec,
        places=places,
        name=task.name,
        budget=task.budget,
        noises=places.noises,
        paired=task.paired if own else OwnModelTask.paired,
        perplexity=task.perplexity,
        input=own_input,
        kind=task.kind,
        blocks=_has_blocks(model, data.train, own_input),
        upper=upper_half(model),
    )


def _pretrained(task: Task, checkpoint: str) -> Task | None:
    """The task with a pretrained model, where there are such for it."""
    if isinstance(task, TextTask):
        return with_pretrained(task, checkpoint)
    if isinstance(task, Seq2SeqTask):
        return with_pretrained_writer(task, checkpoint)
    if isinstance(task, ImageTask | PatchTask | ImageNetTask):
        return PretrainedImageTask(task=task, checkpoint=checkpoint, name=task.name)
    return None


def _has_blocks(model: nn.Module, part: Part, own_input: str | None) -> bool:
    """Whether its Transformer blocks can be read, from a run over two rows."""
    try:
        with torch.no_grad(), torch.random.fork_rng(), read_blocks(model, Reads()):
            named = part if own_input is None else part.renamed(own_input)
            call(model, named.rows(slice(0, 2)))
    except Exception:  # the user's own code, which fails where its run can say so better
        return False
    return True


def made(spec: str, data: Any) -> nn.Module:
    """The model that the named function returns: see `with_model`."""
    function = _function(spec)
    needed = _needed(function)
    if len(needed) > 1:
        raise TaskError(f"{spec} needs {', '.join(needed)}: it may take the data and nothing else")
    try:
        model = function(data) if needed else function()
    except Exception as error:  # the user's own code, whatever it does
        raise TaskError(f"{spec} failed: {type(error).__name__}: {error}{_line(error)}") from error
    if not isinstance(model, nn.Module):
        raise TaskError(f"{spec} returned a {type(model).__name__}, not a torch.nn.Module")
    return model


def _line(error: BaseException) -> str:
    """Where the error arose, for there is no traceback to say so."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"\n  at {frames[-1].filename}, line {frames[-1].lineno}" if frames else ""


def _function(spec: str) -> Callable[..., Any]:
    module, colon, name = spec.partition(":")
    if not (module and colon and name):
        raise TaskError(f"not a model: {spec!r}\n  name it as package.module:function")
    try:
        with _working_directory():
            found = importlib.import_module(module)
    except ImportError as error:
        raise TaskError(f"cannot import {module!r} for the model {spec!r}\n  {error}") from error
    except Exception as error:  # the module's own code
        raise TaskError(
            f"cannot import {module!r} for the model {spec!r}\n"
            f"  {type(error).__name__}: {error}{_line(error)}"
        ) from error
    function = getattr(found, name, None)
    if not callable(function):
        raise TaskError(
            f"module {module!r} has no function {name!r}" + did_you_mean(name, dir(found))
        )
    return function


@contextmanager
def _working_directory() -> Iterator[None]:
    # A console script does not look there, and a user's model stands there more often than not.
    here = os.getcwd()
    sys.path.insert(0, here)
    try:
        yield
    finally:
        sys.path.remove(here)


def _needed(function: Callable[..., Any]) -> list[str]:
    """The positional arguments without a default."""
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = inspect.signature(function).parameters.values()
    return [p.name for p in parameters if p.kind in positional and p.default is p.empty]


def _input(model: nn.Module, part: Part) -> str | None:
    columns = [name for name in part.rows(slice(0, 1)) if name != "labels"]
    needed = _needed(model.forward)
    if needed and all(name in columns for name in needed):
        return None
    if len(needed) != 1 or len(columns) != 1:
        raise TaskError(
            f"forward of {type(model).__name__} takes {', '.join(needed) or 'nothing'}\n"
            f"  the columns of this task are: {', '.join(columns)}"
        )
    return needed[0]
