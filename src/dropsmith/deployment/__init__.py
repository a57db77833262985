"""Models with their noise as files for other runtimes: ONNX, PyTorch's own format and OpenVINO."""

from dropsmith.deployment.export import export
from dropsmith.deployment.exported import Exported, Format

__all__ = ["Exported", "Format", "export"]
