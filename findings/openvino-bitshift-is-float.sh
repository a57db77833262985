#!/usr/bin/env bash
# OpenVINO 2026.4.0: ONNX's BitShift works on unsigned integers. OpenVINO's ONNX frontend multiplies or divides
# by a power of two instead, and its CPU plugin does so in float32: of 32-bit words two thirds come out wrong at a shift by 7,
# without an error, where onnxruntime 1.32.0 and NumPy agree on all. Small words are right, so a short test passes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet onnx==1.23.2 onnxruntime==1.32.0 openvino==2026.4.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
import onnx
import onnxruntime as ort
import openvino
from onnx import TensorProto, helper

COUNT, SHIFT = 4096, 7


def model() -> bytes:
    """y = x >> 7 of unsigned 32-bit words."""
    x = helper.make_tensor_value_info("x", TensorProto.UINT32, (COUNT,))
    y = helper.make_tensor_value_info("y", TensorProto.UINT32, (COUNT,))
    amount = helper.make_tensor("amount", TensorProto.UINT32, (1,), [SHIFT])
    node = helper.make_node("BitShift", ["x", "amount"], ["y"], direction="RIGHT")
    graph = helper.make_graph([node], "graph", [x], [y], [amount])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(made, full_check=True)
    return made.SerializeToString()


def wrong(words: np.ndarray) -> tuple[float, float]:
    """The share of shifts that are not NumPy's, in onnxruntime and in OpenVINO."""
    want = words >> np.uint32(SHIFT)
    session = ort.InferenceSession(model(), providers=["CPUExecutionProvider"])
    by_ort = session.run(None, {"x": words})[0]
    compiled = openvino.Core().compile_model(openvino.Core().read_model(model()), "CPU")
    by_openvino = np.asarray(compiled([words])[0]).astype(np.uint32)
    return float((by_ort != want).mean()), float((by_openvino != want).mean())


generator = np.random.default_rng(0)
small = generator.integers(0, 1 << 16, COUNT, dtype=np.uint32)
large = generator.integers(0, 1 << 32, COUNT, dtype=np.uint32)
print("OpenVINO", openvino.__version__, "onnxruntime", ort.__version__)
for name, words in (("16-bit words", small), ("32-bit words", large)):
    print(name, "wrong: onnxruntime {:.3f}, OpenVINO {:.3f}".format(*wrong(words)))
assert wrong(small) == (0, 0), "small words are wrong, too"
by_ort, by_openvino = wrong(large)
assert by_ort == 0, "onnxruntime is wrong, too"
assert by_openvino > 0.1, "OpenVINO shifts large words right now"
PYTHON
echo "as found: OpenVINO shifts words of 32 bits as float32"
