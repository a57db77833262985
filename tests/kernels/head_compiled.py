"""What `test_triton` runs in a process of its own: Triton's compiler, for a Hopper GPU."""

from typing import Any


def compiled(**constants: Any) -> Any:
    """The kernel compiled with these constants."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from dropsmith.kernels.fused_linear_consistency.triton_rows import loss_rows

    constants |= {"tile_rows": 1, "tile_classes": 4096}
    types = dict.fromkeys(loss_rows.arg_names, "fp32") | dict.fromkeys(("scores", "sums"), "*fp32")
    types |= {"labels": "*i64", "items": "i32", "classes": "i32"}
    types |= dict.fromkeys(constants, "constexpr")
    source = ASTSource(loss_rows, {name: types[name] for name in loss_rows.arg_names}, constants)
    hopper = GPUTarget("cuda", 90, 32)
    return triton.compile(source, target=hopper, options={"num_warps": 8})


def main() -> None:
    for two in (True, False):
        print(compiled(two=two, squared=False, has_cap=False, with_grads=True).name)
    print(compiled(two=True, squared=True, has_cap=True, with_grads=True).name)
    print(compiled(two=True, squared=False, has_cap=False, with_grads=False).name)


if __name__ == "__main__":
    main()
