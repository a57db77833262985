"""The names of methods: picked for a task, looked up, and spelled in one way."""

from collections.abc import Iterable, Sequence
from dataclasses import fields, replace

from dropsmith.compare.cost_reduction import PLUS, CostReduction
from dropsmith.compare.method import Method
from dropsmith.compare.methods import CONTROL, METHODS, RATES
from dropsmith.compare.user_methods import method_of_value, user_method
from dropsmith.errors import ArgumentError, TaskError, did_you_mean, excerpt
from dropsmith.instances import check_type
from dropsmith.tasks import Task
from dropsmith.user_code import imported_object, is_reference

SYNONYMS = {"bernoulli": "dropout"}

_USUAL = ("none", "dropout", "spatial", "blocks", "locked", "words", "fraternal", "pi", "r-drop")


def pick(names: Sequence[str], task: Task) -> tuple[str, ...]:
    """The methods a comparison runs, in order: each once, and the control with two-view methods.

    Raises:
        TaskError: a name is unknown, or its noise has no place in the task's model.
    """
    check_type("task", task, Task, "a task, such as find_task('digits')")
    if isinstance(names, str) or not isinstance(names, Iterable):
        raise ArgumentError(
            f"methods are several names, such as ('dropout',), got {excerpt(names)}"
        )
    for name in names:
        check_type("a method", name, str, "a name")
    choices = list(dict.fromkeys(_full_spelling(name.strip()) for name in names))
    if not choices:
        raise TaskError(f"no method to compare\n  methods for {task.name}: {_fitting(task)}")
    for name in choices:
        if not find_method(name).fits(task):
            raise TaskError(
                f"method {excerpt(name)} does not fit the task {excerpt(task.name)}: "
                f"{_why(name, task)}\n"
                f"  methods that fit: {_fitting(task)}"
            )
    many_views = [name for name in choices if find_method(name).views > 1]
    if many_views and CONTROL not in choices:
        choices.insert(choices.index(many_views[0]), CONTROL)
    return tuple(choices)


def find_method(name: str) -> Method:
    """The method of a name, which may add cost reductions: `r-drop+trunk`, `lr-drop+every-4`.

    `module:name` is one of the user's own: a `Method`, or an objective, which is then used with
    the noise that the task has for methods of two views. The module is imported.

    >>> find_method("r-drop+every-4").goal({"rate": 0.3, "alpha": 1.0})
    RDrop(alpha=1.0, every=4)

    Raises:
        TaskError: there is no such method, or its cost cannot be reduced like this.
    """
    check_type("method", name, str, "the name of a method")
    base, *words = name.split(PLUS)
    method = _method(base)
    if not words:
        return method
    reduction = CostReduction.of(*words)
    _check_reduction(base, method, reduction, words)
    about = f"{method.about}; {reduction.about}"
    return replace(method, about=about, reduction=reduction)


def is_method(name: str) -> bool:
    """True if a name in a record is of a method, and not of a plan.

    >>> is_method("r-drop+trunk"), is_method("myfile:Cosine"), is_method("learned")
    (True, True, False)
    """
    return full(name) in METHODS or is_reference(full(name))


def known_method(name: str) -> Method | None:
    """The method that a record names; None for a plan's name and where it is not imported.

    A record imports nothing: a method of the user's own is known once something else has.
    """
    base = full(name)
    if base in METHODS:
        return find_method(name)
    return method_of_value(imported_object(base), base, RATES)


def _method(base: str) -> Method:
    return user_method(base, RATES) if is_reference(base) else METHODS[_canonical(base)]


def full(name: str) -> str:
    """The name of the same method without a reduction of its cost.

    >>> full("r-drop+trunk"), full("r-drop")
    ('r-drop', 'r-drop')
    """
    return name.partition(PLUS)[0]


def _check_reduction(
    base: str, method: Method, reduction: CostReduction, words: Sequence[str]
) -> None:
    if method.views == 1 or base == CONTROL:
        kind = "makes one pass" if method.views == 1 else "has no consistency loss"
        able = [name for name, row in METHODS.items() if row.views > 1 and name != CONTROL]
        raise TaskError(
            f"{excerpt(base)} {kind}, so no part of further passes can be saved\n"
            f"  methods that can: {', '.join(able)}"
        )
    usual = method.goal(method.settings[0])
    names = {field.name for field in fields(usual)}
    if lacking := [name for name in reduction.settings if name not in names]:
        raise TaskError(
            f"{base!r} has no setting {lacking[0]!r}, so {PLUS.join(['', *words])} cannot be used\n"
            "  derive its objective from dropsmith.ConsistencyObjective, which has it"
        )
    if reduction.trunk and usual.noise_free:
        raise TaskError(
            f"{excerpt(base)} makes a pass without noise, and passes that share lower layers are "
            f"all noisy\n  leave out {PLUS}trunk"
        )
    if usual.augment and (reduction.trunk or reduction.share < 1):
        raise TaskError(
            f"the second pass of {base!r} sees augmented examples without a label, and shares no "
            f"part of the first\n  use {base}{PLUS}every-4"
        )
    if reduction.trunk and reduction.share < 1:
        raise TaskError(
            "passes that share lower layers see the whole batch\n"
            f"  use {base}{PLUS}trunk or {base}{replace(reduction, trunk=False).ending}"
        )


def _why(name: str, task: Task) -> str:
    method = find_method(name)
    if task.kind not in method.kinds:
        return "its model predicts values, and the method compares probabilities"
    if method.blocks and not task.blocks:
        return "its model has no Transformer blocks, whose states and attention are compared"
    if method.reduction.trunk and task.upper is None:
        return "its model has no stack of layers whose lower half could run once"
    return f"its model has no place for {method.noise_in(task)} noise"


def usual(task: Task) -> tuple[str, ...]:
    """The methods of a comparison by default: the best known ones that fit the task."""
    return tuple(name for name in _USUAL if METHODS[name].fits(task))


def _full_spelling(name: str) -> str:
    """A name as records have it: without synonyms, and its reductions in one order."""
    reduction = find_method(name).reduction
    base = full(name)
    return (base if is_reference(base) else _canonical(base)) + reduction.ending


def _canonical(name: str) -> str:
    name = SYNONYMS.get(name, name)
    if name not in METHODS:
        raise TaskError(
            f"no method is called {excerpt(name)}\n  methods: {', '.join(METHODS)}; or "
            "module:name, for a "
            "method of your own" + did_you_mean(name, [*METHODS, *SYNONYMS])
        )
    return name


def _fitting(task: Task) -> str:
    return ", ".join(name for name, method in METHODS.items() if method.fits(task))
