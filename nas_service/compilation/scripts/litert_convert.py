"""LiteRT (TensorFlow Lite): an exported torch program to a .tflite file, int8 in full."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def convert(request: dict[str, Any]) -> dict[str, Any]:
    """Write the .tflite at `out`."""
    import litert_torch
    import torch

    program = torch.export.load(request["source"])
    converted = litert_torch.convert(program.module(), program.example_inputs[0])
    if request["precision"] == "int8":
        plain = request["out"] + ".fp32"
        converted.export(plain)
        _quantise(plain, request["calibration"], request["out"])
        Path(plain).unlink()
    else:
        converted.export(request["out"])
    return {"files": [request["out"]]}


def _quantise(plain: str, calibration: str, out: str) -> None:
    from ai_edge_litert.interpreter import Interpreter
    from ai_edge_quantizer import calibrator, quantizer, recipe, recipe_manager
    from ai_edge_quantizer.utils import qsv_utils
    from answer import samples_of  # type: ignore[import-not-found]  # beside this script

    samples = samples_of(calibration)
    reader = Interpreter(model_path=plain)
    signatures = reader.get_signature_list()
    (signature, told) = next(iter(signatures.items()))
    (name,) = told["inputs"]
    wanted = recipe.static_wi8_ai8()
    manager = recipe_manager.RecipeManager()
    manager.load_quantization_recipe(wanted)
    # the tool's own update is a moving average of the samples' ranges, which cuts off the strongest
    seen = calibrator.Calibrator(plain, qsv_update_func=qsv_utils.min_max_update)
    seen.calibrate({signature: [{name: sample[None]} for sample in samples]}, manager)
    tool = quantizer.Quantizer(plain, wanted)
    tool.quantize(seen.get_model_qsvs()).export_model(out, overwrite=True)


if __name__ == "__main__":
    from answer import main

    main(convert)
