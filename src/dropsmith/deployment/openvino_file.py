"""OpenVINO's format."""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dropsmith.deployment.file_format import Run
from dropsmith.deployment.onnx_file import Onnx
from dropsmith.deployment.refusals import reason_of
from dropsmith.deployment.trace import Traced
from dropsmith.errors import ExportError


class OpenVino(Onnx):
    """OpenVINO's own format, which is made of ONNX."""

    name, suffix, runtime = "openvino", ".xml", "OpenVINO"
    libraries = ("onnx", "onnxscript", "openvino")
    closed_loops = True

    def write(self, traced: Traced, path: Path) -> None:
        openvino: Any = import_module("openvino")

        graph = path.with_suffix(".onnx")
        super().write(traced, graph)
        try:
            model = openvino.convert_model(graph)
            # Weights of 16 bits, the default, would change every output.
            openvino.save_model(model, path, compress_to_fp16=False)
        except Exception as error:
            raise ExportError(
                f"OpenVINO has no form for something in this model: {reason_of(error)}\n"
                '  write ONNX for another runtime: format="onnx"'
            ) from error
        finally:
            for file in (graph, graph.with_name(f"{graph.name}.data")):
                file.unlink(missing_ok=True)

    def load(self, path: Path) -> Run:
        openvino: Any = import_module("openvino")

        # Some processors would multiply in bfloat16 by default.
        hint = {"INFERENCE_PRECISION_HINT": "f32"}
        compiled = openvino.Core().compile_model(path, "CPU", hint)
        taken = {name for port in compiled.inputs for name in port.names}

        def run(inputs: Mapping[str, Tensor]) -> list[Tensor]:
            arrays = {n: x.detach().cpu().numpy() for n, x in inputs.items() if n in taken}
            outputs = compiled(arrays)
            return [torch.from_numpy(outputs[port].copy()) for port in compiled.outputs]

        return run
