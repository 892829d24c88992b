"""OpenVINO: an ONNX graph to OpenVINO's own format, int8 by NNCF."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def convert(request: dict[str, Any]) -> dict[str, Any]:
    """Write the .xml at `out` and the .bin beside it."""
    import openvino

    model = openvino.convert_model(request["source"])
    rounded = {"FakeQuantize", "FakeConvert"}
    quantised = any(one.get_type_name() in rounded for one in model.get_ops())
    if request["precision"] == "int8" and not quantised:
        model = _quantised(model, request)
    # the plug-in chooses what to compute in when it loads the file; weights stay as they are
    openvino.save_model(model, request["out"], compress_to_fp16=False)
    weights = Path(request["out"]).with_suffix(".bin")
    return {"files": [request["out"], str(weights)]}


def _quantised(model: Any, request: dict[str, Any]) -> Any:
    import nncf
    from answer import recorded_of, samples_of  # type: ignore[import-not-found]  # beside this
    from nncf.quantization.range_estimator import RangeEstimatorParametersSet

    rows = recorded_of(request["calibration"])
    if rows is None:
        samples = samples_of(request["calibration"])
        rows = [samples[i : i + 1] for i in range(len(samples))]
    # the tool's default is the mean of the samples' ranges, which cuts off what the strongest give:
    # 3 to 8 dB on networks where the widest range gives 37 to 39
    widest = nncf.AdvancedQuantizationParameters(
        activations_range_estimator_params=RangeEstimatorParametersSet.MINMAX
    )
    return nncf.quantize(
        model,
        nncf.Dataset(rows),
        subset_size=len(rows),
        preset=nncf.QuantizationPreset.MIXED,
        advanced_parameters=widest,
        ignored_scope=_ignored(model, request["keep_float"]),
    )


def _ignored(model: Any, names: list[str]) -> Any:
    """The operators of layers that stay in float; a layer with a bias is one without, and a sum."""
    import nncf

    if not names:
        return None
    there = {one.get_friendly_name() for one in model.get_ops()}
    found = []
    for name in names:
        some = [one for one in (name, f"{name}/WithoutBiases") if one in there]
        if not some:
            raise ValueError(f"OpenVINO has no operator of layer {name}, which stays in float")
        found += some
    return nncf.IgnoredScope(names=found)


if __name__ == "__main__":
    from answer import main

    main(convert)
