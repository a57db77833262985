"""Checks of the arguments that everything that samples a model takes."""

from dropsmith.errors import ViewError
from dropsmith.instances import check_model, check_word
from dropsmith.numbers import check_number
from dropsmith.passes import MODES
from dropsmith.plans import check_plan


def check_sampling(
    function: str, model: object, mode: object, memory: object, plan: object
) -> None:
    """Raise an error of ours where one of these is not what it should be.

    Args:
        function: the name of the function that takes them.
        model, mode, memory, plan: as they are given.
    """
    check_model(model)
    check_word("mode", mode, MODES, ViewError)
    if memory is not None:
        check_number("memory", memory, ViewError)
    if plan is not None:
        check_plan(plan, f"{function} takes a plan, or None")
