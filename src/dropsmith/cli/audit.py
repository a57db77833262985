"""`dropsmith audit`: measure whether noise is applied."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dropsmith.cli._options import (
    Allow,
    AsJson,
    DataFolder,
    MethodName,
    ModelName,
    PlanSource,
    Rate,
    TaskName,
)
from dropsmith.cli._output import print_json
from dropsmith.cli._values import allow_modules, find, plan_of

if TYPE_CHECKING:
    from dropsmith.passes import Audit
    from dropsmith.tasks import DataOptions

Eval = Annotated[bool, typer.Option("--eval", help="Audit the model in eval mode.")]


def audit(
    task: TaskName,
    with_: MethodName = "dropout",
    rate: Rate = None,
    plan: PlanSource = None,
    data: DataFolder = None,
    data_options: "DataOptions | None" = None,
    model: ModelName = None,
    evaluate: Eval = False,
    allow: Allow = None,
    as_json: AsJson = False,
) -> None:
    """Run a task's model with a plan, and report what each site drops.

    Dropped shares are counted in tensors, not read from settings. The exit code is 1 if a site that
    should have noise has none.

    Example: dropsmith audit digits --with blocks --rate 0.2
    """
    from dropsmith.cli._model import model_and_batch
    from dropsmith.passes import audit as audit_of

    allow_modules(allow)
    audit_task = find(task, data, model, data_options)
    audit_plan = plan_of(audit_task, with_, rate, plan, data=data, model=model)
    network, batch = model_and_batch(audit_task, data)
    with audit_plan.installed(network, batch):
        report = audit_of(network.train(not evaluate), batch)
    print_json(_as_object(report)) if as_json else print(report)
    if any(not row.on and row.how != "off" for row in report.rows):
        raise typer.Exit(1)


def _as_object(report: "Audit") -> dict[str, Any]:
    return {
        "mode": report.mode,
        "outputs_differ": report.outputs_differ,
        "rows": [asdict(row) for row in report.rows],
    }
