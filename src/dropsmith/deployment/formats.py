"""The formats that there are, and the one that is meant."""

from pathlib import Path

from dropsmith.deployment.file_format import FileFormat
from dropsmith.deployment.onnx_file import Onnx
from dropsmith.deployment.openvino_file import OpenVino
from dropsmith.deployment.pt2_file import Pt2
from dropsmith.deployment.refusals import refused_format
from dropsmith.errors import ExportError, did_you_mean, excerpt

FORMATS: tuple[type[FileFormat], ...] = (Onnx, Pt2, OpenVino)


def format_of(path: Path, name: str | None) -> type[FileFormat]:
    """The format of that name, or else of a path's ending.

    Raises:
        ExportError: there is none, or the path ends as another format's.
    """
    by_name = {file_format.name: file_format for file_format in FORMATS}
    if name is None:
        name = next((f.name for f in FORMATS if f.suffix == path.suffix), None)
        if name is None:
            raise ExportError(
                f"cannot tell the format of {excerpt(str(path))}" + _known(path.suffix[1:])
            )
    if not isinstance(name, str) or name not in by_name:
        raise ExportError(
            f"there is no format {excerpt(name)}{did_you_mean(name, by_name)}" + _known(name)
        )
    if path.suffix != (suffix := by_name[name].suffix):
        raise ExportError(
            f"a file of the format {name!r} ends in {suffix}, got {excerpt(path.name)}"
        )
    return by_name[name]


def _known(word: object) -> str:
    reason = refused_format(word) if isinstance(word, str) else ""
    known = ", ".join(f"{f.name} ({f.suffix})" for f in FORMATS)
    return (f"\n  {reason}" if reason else "") + f"\n  formats: {known}"
