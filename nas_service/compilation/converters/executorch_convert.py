"""ExecuTorch: an exported torch program to a file for its XNNPACK back end."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def convert(request: dict[str, Any]) -> dict[str, Any]:
    """Write the .pte at `out`; `notes` count what XNNPACK took and what it left."""
    import torch
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    program = torch.export.load(request["source"])
    example = program.example_inputs[0]
    if request["precision"] == "int8":
        program = _quantised(program, example, request["calibration"])
    lowered = to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()])
    operators = [
        node.target.__name__
        for node in lowered.exported_program().graph.nodes
        if node.op == "call_function"
    ]
    delegated = sum("executorch_call_delegate" in one for one in operators)
    left = [one for one in operators if "delegate" not in one and "getitem" not in one]
    with Path(request["out"]).open("wb") as file:
        lowered.to_executorch().write_to_file(file)
    return {"files": [request["out"]], "delegates": delegated, "left_on_portable_kernels": left}


def _quantised(program: Any, example: Any, calibration: str) -> Any:
    import numpy as np
    import torch
    from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (
        XNNPACKQuantizer,
        get_symmetric_quantization_config,
    )
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    quantizer = XNNPACKQuantizer().set_global(
        get_symmetric_quantization_config(is_per_channel=True)
    )
    prepared = prepare_pt2e(program.module(), quantizer)
    images = torch.from_numpy(np.load(calibration)["images"])
    with torch.no_grad():
        for image in images:
            prepared(image[None])
    return torch.export.export(convert_pt2e(prepared), example)


if __name__ == "__main__":
    from answer import main  # type: ignore[import-not-found]  # beside this script

    main(convert)
