"""The examples that the steps of a run see: with a label, and where they are counted without."""

from dropsmith.errors import TaskError
from dropsmith.tasks import Data, Part, PartlyLabelled, Task
from dropsmith.train._setup import Setup


def training_part(setup: Setup, task: Task, data: Data) -> Part:
    """The training examples as the steps of a run see them.

    Where there are examples without a label, an epoch is a pass over all examples, for every
    method, so that methods which read them and methods which do not have an equal budget.

    Raises:
        TaskError: the objective counts examples without a label, and there are none.
    """
    objective = setup.objective
    if data.unlabelled is None:
        if objective.reads_unlabelled and not _lacks_labels(data.train):
            raise TaskError(
                f"{objective} counts examples without a label, and {task.name} has none\n"
                "  hide the labels of some: labels=100 (--labels 100); or name other examples: "
                "unlabelled=PATH (--unlabelled PATH)"
            )
        return data.train
    return PartlyLabelled(
        data.train,
        data.unlabelled,
        ratio=setup.unlabelled_ratio if objective.reads_unlabelled else 0,
        augmentations=task.strong_augmentations(data) if objective.augment else (),
    )


def _lacks_labels(part: Part) -> bool:
    labels = part.tensors().get("labels")
    return labels is not None and not labels.is_floating_point() and bool((labels < 0).any())
