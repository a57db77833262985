"""One autograd function over the whole sequence, with a Triton kernel for each step.

As in `sequence`, the gradient of the weight is one product after the loop.
"""

from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from dropsmith.errors import KernelError, MissingExtra
from dropsmith.kernels.double_backward import outline
from dropsmith.kernels.lstm.sequence import replay
from dropsmith.kernels.lstm.triton_settings import Precision, Tiles, Triton
from dropsmith.kernels.state_noise import NO_NOISE, StateNoise, weight_gradient

TYPES = (torch.float32, torch.bfloat16, torch.float16)
_Settings = tuple[Precision, Tiles]


def lstm(
    gates: Tensor,
    hidden: Tensor,
    cell: Tensor,
    weight: Tensor,
    noise: StateNoise = NO_NOISE,
    kernel: Triton | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """See `dropsmith.kernels.lstm.lstm`."""
    kernel = kernel or Triton()
    _check_runs(gates, kernel)
    states, last = _Sequence.apply(gates, hidden, cell, weight, noise, kernel)  # pyright: ignore
    return states, states[-1], last


class _Sequence(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        gates: Tensor,
        hidden: Tensor,
        cell: Tensor,
        weight: Tensor,
        noise: StateNoise,
        kernel: Triton,
    ) -> tuple[Tensor, Tensor]:
        matrix = weight.detach().to(gates.dtype).contiguous()
        masks = _expand_masks(noise, gates)
        operands = gates.contiguous(), hidden, cell, matrix, *masks
        acts, hiddens, cells = _run(_forward, kernel, operands)
        ctx.save_for_backward(acts, hiddens, cells, hidden, cell, weight, matrix, *masks)
        ctx.kernel, ctx.noise, ctx.outline = kernel, noise, outline(gates)
        return hiddens[1:].clone(), cells[-1].to(gates.dtype, copy=True)

    @staticmethod
    def backward(ctx: Any, *operands: Tensor) -> Any:  # pyright: ignore
        acts, hiddens, cells, *inputs, matrix = ctx.saved_tensors[:7]
        if torch.is_grad_enabled():
            inputs = ctx.outline, *inputs
            return (
                *replay(acts, inputs, ctx.noise, ctx.needs_input_grad[:4], operands),
                None,
                None,
            )
        weight, masks = inputs[-1], ctx.saved_tensors[7:]
        d_states, d_cell = (grad.contiguous() for grad in operands)
        tensors = acts, cells, d_states, d_cell, matrix, *masks
        grads, d_hidden, d_cell = _run(_backward, ctx.kernel, tensors)
        d_weight = None
        if ctx.needs_input_grad[3]:
            hidden_inputs = hiddens[:-1, :, None]
            hidden_inputs = hidden_inputs if masks[0] is None else hidden_inputs * masks[0]
            d_weight = weight_gradient(grads, hidden_inputs).to(weight.dtype)
        return grads, d_hidden, d_cell, d_weight, None, None


def _run(steps: Any, kernel: Triton, operands: tuple[Tensor | None, ...]) -> tuple[Tensor, ...]:
    settings = kernel.precision, kernel.tiles
    # Triton launches on the current device, which may not be that of the tensors.
    with torch.cuda.device_of(operands[0]):
        if kernel.graphs is None:
            return steps(settings, *operands)
        return kernel.graphs.run(steps, settings, operands)


def _forward(
    settings: _Settings, gates: Tensor, hidden: Tensor, cell: Tensor, weight: Tensor, *masks: Tensor
) -> tuple[Tensor, ...]:
    from dropsmith.kernels.lstm.triton_forward import forward_step

    time, batch, _, unit = gates.shape
    acts = torch.empty_like(gates)
    hiddens = gates.new_empty(time + 1, batch, unit)
    cells = gates.new_empty(time + 1, batch, unit, dtype=torch.float32)
    hiddens[0], cells[0] = hidden, cell
    launch: Any = forward_step[_grid(settings, batch, unit)]
    mask_arguments, tiles = _with_strides(masks), _constants(settings, weight, masks[0])
    for step in range(time):
        launch(gates, acts, hiddens, cells, weight, *mask_arguments, step, batch, unit, **tiles)
    return acts, hiddens, cells


def _backward(
    settings: _Settings,
    acts: Tensor,
    cells: Tensor,
    d_states: Tensor,
    d_last: Tensor,
    weight: Tensor,
    *masks: Tensor,
) -> tuple[Tensor, ...]:
    from dropsmith.kernels.lstm.triton_backward import backward_step

    time, batch, _, unit = acts.shape
    grads = torch.empty_like(acts)
    d_cell = d_last.to(torch.float32, copy=True)
    d_hidden = torch.zeros_like(d_cell)
    launch: Any = backward_step[_grid(settings, batch, unit)]
    mask_arguments, tiles = _with_strides(masks), _constants(settings, weight, masks[0])
    tensors = acts, cells, d_states, grads, d_hidden, d_cell, weight, *mask_arguments
    for step in reversed(range(-1, time)):
        parts = {"has_product": step < time - 1, "has_step": step >= 0}
        launch(*tensors, step, batch, unit, **parts, **tiles)
    return grads, d_hidden, d_cell


def _expand_masks(noise: StateNoise, gates: Tensor) -> list[Tensor | None]:
    """The masks expanded over rows and units; dimensions of time and gates stay as they are."""
    _, batch, _, unit = gates.shape
    mask, *shares = noise.recurrent, noise.hidden_update, noise.cell_update
    wide = [None if mask is None else mask.expand(-1, batch, -1, unit)]
    wide += [None if share is None else share.expand(-1, batch, unit) for share in shares]
    return [None if x is None else x.to(gates.dtype).contiguous() for x in wide]


def _with_strides(masks: tuple[Tensor | None, ...]) -> list[Any]:
    """Each mask with its stride between time steps."""
    mask_arguments: list[Any] = []
    for mask in masks:
        mask_arguments += [mask, 0 if mask is None or len(mask) == 1 else mask.stride(0)]
    return mask_arguments


def _grid(settings: _Settings, batch: int, unit: int) -> tuple[int, int]:
    tiles = settings[1]
    return -(-unit // tiles.units), -(-batch // tiles.rows)


def _constants(settings: _Settings, weight: Tensor, mask: Tensor | None) -> dict[str, Any]:
    precision, tiles = settings
    mask_count = 1 if mask is None else mask.shape[2]
    widen = weight.dtype == torch.bfloat16 and _uses_interpreter()
    kinds = {"mask_count": mask_count, "precision": precision, "widen": widen}
    sizes = {"tile_rows": tiles.rows, "tile_units": tiles.units, "depth": tiles.depth}
    # `ieee` is Triton's default, but it warns unless it is named.
    launch_options = {
        "num_warps": tiles.warps,
        "num_stages": tiles.stages,
        "enable_fp_fusion": True,
    }
    return {**kinds, **sizes, **launch_options}


def _uses_interpreter() -> bool:
    """Say whether Triton's interpreter is on, which runs kernels on the CPU."""
    import triton

    from dropsmith.kernels.lstm.triton_forward import forward_step

    return not isinstance(forward_step, triton.JITFunction)


def supports(gates: Tensor) -> bool:
    """Say whether there is a kernel for this type and this size of a step."""
    return gates.dtype in TYPES and not _too_large(gates)


def _too_large(gates: Tensor) -> bool:
    _, batch, _, unit = gates.shape
    return max(4 * batch * unit, unit * unit) >= 2**31


def _check_runs(gates: Tensor, kernel: Triton) -> None:
    if find_spec("triton") is None:
        raise MissingExtra("the LSTM's Triton kernel", "triton", "triton")
    if gates.dtype not in TYPES:
        names = ", ".join(str(kind).removeprefix("torch.") for kind in TYPES)
        raise KernelError(
            f"the LSTM's Triton kernel does not support {str(gates.dtype).removeprefix('torch.')}\n"
            f"  it supports {names}; for other types leave the layer's kernel at None"
        )
    if _too_large(gates):
        _, batch, _, unit = gates.shape
        raise KernelError(
            f"a step of {batch} rows and {unit} units is too large for the LSTM's Triton kernel\n"
            "  split the batch, or leave the layer's kernel at None"
        )
    if not gates.is_cuda and (kernel.graphs is not None or not _uses_interpreter()):
        raise KernelError(
            f"the LSTM's Triton kernel runs on a GPU, but the input is on {gates.device}\n"
            "  move layer and input to a GPU, or leave the layer's kernel at None"
        )
