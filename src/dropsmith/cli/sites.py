"""`dropsmith sites`: where noise is or could be."""

from typing import TYPE_CHECKING

from dropsmith.cli._options import AsJson, DataFolder, ModelName, TaskName
from dropsmith.cli._output import console, print_json
from dropsmith.cli._values import find

if TYPE_CHECKING:
    from dropsmith.plans import Site
    from dropsmith.tasks import DataOptions


def sites(
    task: TaskName,
    data: DataFolder = None,
    data_options: "DataOptions | None" = None,
    model: ModelName = None,
    as_json: AsJson = False,
) -> None:
    """List every site of a task's model: the places where noise is or could be.

    A rule of a plan names one of these, or several by a glob.

    Example: dropsmith sites digits
    """
    from dataclasses import asdict

    from dropsmith.cli._model import model_and_batch
    from dropsmith.noise import sites as sites_of

    model_sites = sites_of(*model_and_batch(find(task, data, model, data_options), data))
    if as_json:
        print_json([asdict(site) for site in model_sites])
        return
    from rich import box
    from rich.table import Table

    table = Table("site", "kind", "module", "axes and sizes", "rate", box=box.SIMPLE_HEAD)
    for site in model_sites:
        rate = "" if site.rate is None else f"{site.rate:g}"
        table.add_row(site.name, site.kind, site.type, _sizes(site), rate)
    console().print(table)


def _sizes(site: "Site") -> str:
    if not site.axes:
        return " × ".join(map(str, site.sizes))
    if not site.sizes:  # a place inside a module's forward, which names its axes itself
        return " ".join(site.axes)
    return " ".join(f"{axis}={n}" for axis, n in zip(site.axes, site.sizes, strict=True))
