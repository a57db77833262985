"""A task with a model of the user's own, named on the command line as `package.module:function`."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from dropsmith.activations import Reads, read_blocks
from dropsmith.batches import call
from dropsmith.errors import TaskError
from dropsmith.models import AnyModel, upper_half
from dropsmith.plans import Plan
from dropsmith.tasks.budget import Budget
from dropsmith.tasks.data.part import Part
from dropsmith.tasks.generation import GenerationScores
from dropsmith.tasks.images.augmentation import Augmentation
from dropsmith.tasks.images.image_task import ImageTask, PatchTask
from dropsmith.tasks.images.imagenet import ImageNetTask
from dropsmith.tasks.images.pretrained import PretrainedImageTask
from dropsmith.tasks.meters import Meter
from dropsmith.tasks.mixed.mixed_task import MixedTask
from dropsmith.tasks.mixed.pretrained import with_pretrained_encoder
from dropsmith.tasks.model_function import build_model, required_parameters
from dropsmith.tasks.model_hash import hash_of_model
from dropsmith.tasks.seq2seq.pretrained import with_pretrained_writer
from dropsmith.tasks.seq2seq.seq2seq_task import Seq2SeqTask
from dropsmith.tasks.task import Data, Task
from dropsmith.tasks.text.pretrained import with_pretrained
from dropsmith.tasks.text.text_task import TextTask
from dropsmith.terms import Loss


@dataclass(frozen=True, kw_only=True)
class CustomModelTask(Task):
    """A task's data and loss with another model: see `with_model`.

    Args:
        task: whose data and loss.
        spec: `package.module:function`.
        places: where the model can take noise: the task says so of a model of its own kind.
        name, budget, noises, paired_noise, perplexity, kind, blocks, upper: as for any task.
        sha256: the hash of the model, see `model_hash`.
        input: what the model's forward calls the one input, where the task calls it otherwise.
    """

    task: Task
    spec: str
    places: AnyModel | Task
    name: str
    budget: Budget
    noises: tuple[str, ...]
    paired_noise: str = "dropout"
    perplexity: bool = False
    input: str | None = None
    kind: Literal["classification", "regression"] = "classification"
    blocks: bool = False
    upper: str | None = None
    sha256: str = ""

    def load(self, data: Path | None = None, limit: int | None = None) -> Data:
        data_as_task = self.task.load(data, limit)
        if self.input is None:
            return data_as_task
        parts = {part: getattr(data_as_task, part).rename_input(self.input) for part in _PARTS}
        steps = data_as_task.preprocessing
        renamed = None if steps is None else steps.rename_input(self.input)
        return replace(data_as_task, preprocessing=renamed, **parts)

    def model(self, data: Data) -> nn.Module:
        return build_model(self.spec, data)

    def plan(self, noise: str, rate: float) -> Plan:
        return self.places.plan(noise, rate)

    def loss(self, output: Any, batch: Mapping[str, Tensor]) -> Loss:
        return self.task.loss(output, batch)

    def strong_augmentations(self, data: Data) -> tuple[Augmentation, ...]:
        return self.task.strong_augmentations(data)

    def score(self, output: Any, batch: Mapping[str, Tensor]) -> dict[str, tuple[float, float]]:
        return self.task.score(output, batch)

    def meters(self) -> dict[str, Meter]:
        return self.task.meters()

    def score_generation(self, model: nn.Module, data: Data) -> GenerationScores:
        return self.task.score_generation(model, data)

    def measures(self, means: Mapping[str, float], part: Part) -> dict[str, float]:
        return self.task.measures(means, part)

    def carry(self, output: Any) -> Mapping[str, Any]:
        return self.task.carry(output)


_PARTS = ("train", "validation", "test")


def with_model(task: Task, spec: str, data: Data) -> Task:
    """The task with the model that the named function returns, or with a pretrained one.

    A task of sentences, of texts that are written, or of pictures takes the name of a pretrained
    model on the Hub, or its folder, as well: see `pretrained` in
    `tasks.text`, `tasks.seq2seq` and `tasks.images`.

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
    if ":" not in spec and (pretrained_task := _pretrained_task(task, spec)) is not None:
        return pretrained_task
    with torch.random.fork_rng():
        model = build_model(spec, data)
        same_class = type(model) is type(task.model(data))
    places, input_name = task if same_class else AnyModel.of(model), _input(model, data.train)
    return CustomModelTask(
        task=task,
        data_options=task.data_options,
        spec=spec,
        places=places,
        name=task.name,
        budget=task.budget,
        noises=places.noises,
        paired_noise=task.paired_noise if same_class else CustomModelTask.paired_noise,
        perplexity=task.perplexity,
        input=input_name,
        kind=task.kind,
        blocks=_has_blocks(model, data.train, input_name),
        upper=upper_half(model),
        sha256=hash_of_model(spec, model),
    )


def _pretrained_task(task: Task, checkpoint: str) -> Task | None:
    """The task with a pretrained model, where there are such for it."""
    if isinstance(task, TextTask):
        return with_pretrained(task, checkpoint)
    if isinstance(task, MixedTask):
        return with_pretrained_encoder(task, checkpoint)
    if isinstance(task, Seq2SeqTask):
        return with_pretrained_writer(task, checkpoint)
    if isinstance(task, ImageTask | PatchTask | ImageNetTask):
        return PretrainedImageTask(
            task=task, checkpoint=checkpoint, name=task.name, data_options=task.data_options
        )
    return None


def _has_blocks(model: nn.Module, part: Part, input_name: str | None) -> bool:
    """True if its Transformer blocks can be read, from a run over two rows."""
    try:
        with torch.no_grad(), torch.random.fork_rng(), read_blocks(model, Reads()):
            model_part = part if input_name is None else part.rename_input(input_name)
            call(model, model_part.rows(slice(0, 2)))
    except Exception:  # the user's own code, which fails where its run can say so better
        return False
    return True


def _input(model: nn.Module, part: Part) -> str | None:
    columns = [name for name in part.rows(slice(0, 1)) if name != "labels"]
    parameters = required_parameters(model.forward)
    if parameters and all(name in columns for name in parameters):
        return None
    if len(parameters) != 1 or len(columns) != 1:
        raise TaskError(
            f"forward of {type(model).__name__} takes {', '.join(parameters) or 'nothing'}\n"
            f"  the columns of this task are: {', '.join(columns)}"
        )
    return parameters[0]
