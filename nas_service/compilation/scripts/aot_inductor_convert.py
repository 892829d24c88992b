"""AOTInductor: an exported torch program to a package of compiled code and weights."""

from __future__ import annotations

from typing import Any


def convert(request: dict[str, Any]) -> dict[str, Any]:
    """Write the package at `out`."""
    import torch

    torch.set_num_threads(request["threads"])  # what it compiles for
    program = torch.export.load(request["source"])
    device = request["options"].get("device", "cpu")
    if device != "cpu":
        from torch.export.passes import move_to_device_pass

        if not torch.cuda.is_available():
            raise SystemExit("torch reaches no NVIDIA GPU here")
        torch.backends.cudnn.allow_tf32 = False  # TF32 is not fp32
        torch.backends.cuda.matmul.allow_tf32 = False
        program = move_to_device_pass(program, device)
    torch._inductor.aoti_compile_and_package(
        program,
        package_path=request["out"],
        inductor_configs={"freezing": True},  # weights become constants: packed and folded
    )
    samples = program.example_inputs[0]
    return {
        "files": [request["out"]],
        "inputs": {f"input{i}": list(one.shape) for i, one in enumerate(samples)},
    }


if __name__ == "__main__":
    from answer import main  # type: ignore[import-not-found]  # beside this script

    main(convert)
