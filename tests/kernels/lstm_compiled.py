"""What `test_triton` runs in a process of its own: Triton's compiler, for a Hopper GPU.

The interpreter takes more than the compiler does. A GPU is needed to run what comes out only.
"""

from typing import Any

FLOAT32 = ("cells", "d_hidden", "d_cell")
MASKS = ("mask", "hidden_share", "cell_share")
INTEGERS = ("mask_time", "hidden_time", "cell_time", "step", "batch", "unit")
BOTH_WAYS = {"precision": "tf32", "widen": False, "tile_rows": 16, "tile_units": 16, "depth": 32}


def compiled(step: Any, kind: str, mask_count: int | None, **constants: Any) -> Any:
    """A step compiled for tensors of one kind, without masks where `mask_count` is None."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    constants |= {**BOTH_WAYS, "mask_count": mask_count or 1}
    constants |= dict.fromkeys(MASKS if mask_count is None else ())
    types = dict.fromkeys(step.arg_names, f"*{kind}")
    types |= dict.fromkeys(FLOAT32, "*fp32") | dict.fromkeys(INTEGERS, "i32")
    types |= dict.fromkeys(constants, "constexpr")
    source = ASTSource(step, {name: types[name] for name in step.arg_names}, constants)
    hopper = GPUTarget("cuda", 90, 32)
    return triton.compile(source, target=hopper, options={"enable_fp_fusion": True})


def main() -> None:
    from dropsmith.kernels.lstm.triton_backward import backward_step
    from dropsmith.kernels.lstm.triton_forward import forward_step

    print(compiled(forward_step, "bf16", 4).name)
    print(compiled(forward_step, "fp32", None).name)
    print(compiled(backward_step, "bf16", 4, has_product=True, has_step=True).name)
    print(compiled(backward_step, "fp32", None, has_product=False, has_step=True).name)
    print(compiled(backward_step, "fp32", None, has_product=True, has_step=False).name)


if __name__ == "__main__":
    main()
