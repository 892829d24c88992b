"""AOTInductor: an exported torch program to a package of compiled code and weights."""

from __future__ import annotations

from typing import Any


def convert(request: dict[str, Any]) -> dict[str, Any]:
    """Write the package at `out`."""
    import torch

    torch.set_num_threads(request["threads"])  # what it compiles for
    program = torch.export.load(request["source"])
    torch._inductor.aoti_compile_and_package(
        program,
        package_path=request["out"],
        inductor_configs={"freezing": True},  # weights become constants: packed and folded
    )
    images = program.example_inputs[0]
    return {
        "files": [request["out"]],
        "inputs": {f"input{i}": list(one.shape) for i, one in enumerate(images)},
    }


if __name__ == "__main__":
    from answer import main  # type: ignore[import-not-found]  # beside this script

    main(convert)
