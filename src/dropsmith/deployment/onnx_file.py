"""ONNX."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dropsmith.deployment.file_format import FileFormat, Run
from dropsmith.deployment.inputs import NUMBER, SEED
from dropsmith.deployment.onnx_functions import DOMAIN, FunctionLibrary
from dropsmith.deployment.quiet import quiet
from dropsmith.deployment.refusals import TORCH_DRAWS, reason_of
from dropsmith.deployment.trace import Traced
from dropsmith.errors import ExportError
from dropsmith.portable import Recorder


class Onnx(FileFormat):
    """ONNX, for onnxruntime and what else reads it."""

    name, suffix, runtime = "onnx", ".onnx", "onnxruntime"
    libraries = ("onnx", "onnxscript", "onnxruntime")

    def __init__(self) -> None:
        self.functions = FunctionLibrary()

    def recorder(self) -> Recorder:
        return self.functions

    def write(self, traced: Traced, path: Path) -> None:
        names = [SEED, NUMBER, *traced.columns.names]
        try:
            # With gradients, loops would also return what their backward needs.
            with quiet(), torch.no_grad():
                program = torch.onnx.export(traced.program, dynamo=True, verbose=False)
                assert program is not None
                _rename(program.model.graph, names, traced.outputs)
                _write_out(program.model, self.functions)
                program.save(path, external_data=_is_large(traced))
        except Exception as error:  # of many classes, by operation
            raise ExportError(
                f"ONNX has no form for something in this model: {reason_of(error)}\n"
                '  write PyTorch\'s own format: format="pt2"'
            ) from error
        _check_no_draws(path)

    def load(self, path: Path) -> Run:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
        taken = {node.name for node in session.get_inputs()}

        def run(inputs: Mapping[str, Tensor]) -> list[Tensor]:
            arrays = {n: x.detach().cpu().numpy() for n, x in inputs.items() if n in taken}
            return [torch.from_numpy(output) for output in session.run(None, arrays)]

        return run


def _rename(graph: Any, inputs: Sequence[str], outputs: Sequence[str]) -> None:
    """Give the inputs and outputs of a graph their names, and whatever has one of them another."""
    names = {*inputs, *outputs}
    for node in graph.all_nodes():
        for value in node.outputs:
            if value.name in names:
                value.name = f"{value.name}_inside"
    for values, chosen in ((graph.inputs, inputs), (graph.outputs, outputs)):
        for value, name in zip(values, chosen, strict=True):
            value.name = name


def _write_out(model: Any, library: FunctionLibrary) -> None:
    """Write out the functions that a graph calls: not every runtime knows functions."""
    import onnx_ir
    from onnx_ir.passes.common import InlinePass, NameFixPass, RemoveUnusedNodesPass

    for proto in library.protos(model.graph.opset_imports[""]):
        function = onnx_ir.serde.deserialize_function(proto)
        model.functions[function.identifier()] = function
    model.graph.opset_imports[DOMAIN] = 1
    InlinePass()(model)
    NameFixPass()(model)
    RemoveUnusedNodesPass()(model)
    del model.graph.opset_imports[DOMAIN]


def _is_large(traced: Traced) -> bool:
    """Whether tensors take more than a file of ONNX holds, of 2 GB at most."""
    state = traced.program.state_dict.values()
    return sum(x.numel() * x.element_size() for x in state if isinstance(x, Tensor)) > _LARGE


_LARGE = 1_500_000_000


def _check_no_draws(path: Path) -> None:
    """Raise `ExportError` where a graph draws noise by operations of its own."""
    import onnx

    model = onnx.load(path, load_external_data=False)
    graphs = [model.graph, *model.functions]
    while graphs:
        graph = graphs.pop()
        for node in graph.node:
            if node.op_type in TORCH_DRAWS:
                raise ExportError(
                    f"the graph holds the operation {node.op_type}, whose noise has no seed and "
                    "which onnxruntime leaves out\n  give its site a pattern that draws by key"
                )
            graphs += [a.g for a in node.attribute if a.HasField("g")]
