"""Core ML: an exported torch program to an ML program, int8 weights where that is asked for."""

from __future__ import annotations

from typing import Any


def convert(request: dict[str, Any]) -> dict[str, Any]:
    """Write the .mlpackage (a folder) at `out`."""
    import coremltools as ct
    import torch

    program = torch.export.load(request["source"]).run_decompositions({})
    computed_in = ct.precision.FLOAT32 if request["precision"] == "fp32" else ct.precision.FLOAT16
    model = ct.convert(
        program,
        minimum_deployment_target=ct.target.iOS16,
        compute_precision=computed_in,
        compute_units=ct.ComputeUnit.ALL,
    )
    if request["precision"] == "int8":
        from coremltools.optimize.coreml import (
            OpLinearQuantizerConfig,
            OptimizationConfig,
            linear_quantize_weights,
        )

        each = OpLinearQuantizerConfig(mode="linear_symmetric")
        model = linear_quantize_weights(model, OptimizationConfig(global_config=each))
    model.save(request["out"])
    operators = {op.op_type for f in model._mil_program.functions.values() for op in f.operations}
    return {"files": [request["out"]], "operators": sorted(operators - {"const"})}


if __name__ == "__main__":
    from answer import main  # type: ignore[import-not-found]  # beside this script

    main(convert)
