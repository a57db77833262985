"""`dropsmith audit`: is the noise on?"""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dropsmith.cli._options import (
    AsJson,
    DataFolder,
    MethodName,
    ModelName,
    PlanSource,
    Rate,
    TaskName,
)
from dropsmith.cli._values import find, plan_of

if TYPE_CHECKING:
    from dropsmith.passes import Audit

Eval = Annotated[bool, typer.Option("--eval", help="Audit the model in eval mode.")]


def audit(
    task: TaskName,
    with_: MethodName = "dropout",
    rate: Rate = None,
    plan: PlanSource = None,
    data: DataFolder = None,
    model: ModelName = None,
    evaluate: Eval = False,
    as_json: AsJson = False,
) -> None:
    """Run a task's model with a plan, and say site by site what noise is on.

    Rates are counted from tensors, never read from settings. The exit code is 1 if a site that
    should have noise has none.

    Example: dropsmith audit digits --with blocks --rate 0.2
    """
    import json

    from dropsmith.cli._model import model_and_batch
    from dropsmith.passes import audit as audit_of

    found = find(task, data, model)
    made = plan_of(found, with_, rate, plan, data=data, model=model)
    network, batch = model_and_batch(found, data)
    with made.installed(network, batch):
        seen = audit_of(network.train(not evaluate), batch)
    print(json.dumps(_as_object(seen), indent=1) if as_json else seen)
    if any(not row.on and row.how != "off" for row in seen.rows):
        raise typer.Exit(1)


def _as_object(seen: "Audit") -> dict[str, Any]:
    return {
        "mode": seen.mode,
        "outputs_differ": seen.outputs_differ,
        "rows": [asdict(row) for row in seen.rows],
    }
