"""`dropsmith export`: a finished run's model, with its noise, as a file for another runtime."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dropsmith.cli._options import AsJson
from dropsmith.cli._output import print_json

if TYPE_CHECKING:
    from dropsmith.deployment import Exported
    from dropsmith.run_folder import Predictor


def export(
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN",
            help="The folder of a finished run, such as runs/TASK/ID, or hf://USER/REPO.",
        ),
    ],
    examples: Annotated[
        Path,
        typer.Argument(
            metavar="EXAMPLES",
            help="A table, a picture or a folder of pictures, as predict takes them: the graph is "
            "traced on the first rows.",
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            metavar="FILE",
            help="The file: its ending says the format, .onnx, .pt2, or .xml of OpenVINO.",
        ),
    ],
    samples: Annotated[
        int | None,
        typer.Option(
            "--samples",
            min=2,
            help="The number of samples that one call of the graph averages. Default: one sample "
            "a call, without an average.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write the model of a finished run, with its dropout, for a server without dropsmith.

    The graph draws the masks that predict draws for a seed, and is compared with it before the
    file is written. It takes the tensors that the run's preprocessing makes of new rows.

    Example: dropsmith export runs/films/ID films.csv --out films.onnx --samples 20
    """
    from dropsmith.run_folder import load

    predictor = load(run)
    exported = predictor.export(examples, out, samples=samples)
    if as_json:
        print_json(_as_object(exported, predictor))
    else:
        _show(exported, predictor)


def _as_object(exported: "Exported", predictor: "Predictor") -> dict[str, object]:
    description = predictor.description
    scale = {"unit": description.unit, "mean": description.mean}
    return {
        "run": predictor.record.id,
        "files": [str(path) for path in exported.files],
        "format": exported.format,
        "inputs": {
            name: {"type": dtype, "sizes": list(sizes)}
            for name, (dtype, sizes) in exported.inputs.items()
        },
        "outputs": list(exported.outputs),
        "samples": exported.samples,
        **({"classes": list(predictor.names)} if predictor.names else scale),
    }


def _show(exported: "Exported", predictor: "Predictor") -> None:
    for path in exported.files:
        print(f"{path}, {path.stat().st_size / 1024:,.0f} KiB")
    words = "one sample" if exported.samples is None else f"the mean of {exported.samples} samples"
    print(f"\nA call returns {', '.join(exported.outputs)}: {words}.")
    if predictor.names:
        print(f"The classes, in their order: {', '.join(predictor.names)}.")
    elif (predictor.description.mean, predictor.description.unit) != (0.0, 1.0):
        print(
            "Values are in the unit of training: multiply them by "
            f"{predictor.description.unit:.6g} and add {predictor.description.mean:.6g}; multiply "
            "a variance by the square of the first number."
        )
    print("It takes these tensors, in this order:")
    for name, (dtype, sizes) in exported.inputs.items():
        print(f"  {name}: {dtype} [{', '.join(map(str, sizes))}]")
    print(f"\nThe steps from a row to the tensors: {predictor.folder / 'preprocessing.json'}")
