"""ExecuTorch: an exported torch program to a file for its XNNPACK back end."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

_SMALLEST_SCALE = 2.0**-24


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
    import torch
    from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (
        XNNPACKQuantizer,
        get_symmetric_quantization_config,
    )
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    usual = get_symmetric_quantization_config(is_per_channel=True)
    fine = replace(usual, weight=_down_to_small_scales(usual.weight))
    quantizer = XNNPACKQuantizer().set_global(fine)
    prepared = prepare_pt2e(program.module(), quantizer)
    from answer import samples_of  # type: ignore[import-not-found]  # beside this script

    samples = torch.from_numpy(samples_of(calibration))
    with torch.no_grad():
        for sample in samples:
            prepared(sample[None])
    return torch.export.export(convert_pt2e(prepared), example)


def _down_to_small_scales(spec: Any) -> Any:
    """Observe weights that are small as well.

    The observers' smallest scale of 2^-12 rounds all weights to zero that follow a sum of many skip
    connections (folded normalisation makes them 1e-5), and XNNPACK refuses what is computed from
    such a scale (`xnn_status_unsupported_parameter`). Much below 2^-24 the bias of a channel
    without weights, which counts in that scale, may not fit 32 bits.
    """
    usual = spec.observer_or_fake_quant_ctr.p  # the observer's class and its arguments
    observer = usual.func.with_args(**{**usual.keywords, "eps": _SMALLEST_SCALE})
    return replace(spec, observer_or_fake_quant_ctr=observer)


if __name__ == "__main__":
    from answer import main

    main(convert)
