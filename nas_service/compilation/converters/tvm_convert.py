"""Apache TVM: an ONNX graph to a shared library for this machine's processor."""

from __future__ import annotations

from typing import Any


def convert(request: dict[str, Any]) -> dict[str, Any]:
    """Write the .so at `out`; with the option `trials`, tuned by MetaSchedule."""
    import onnx
    import tvm
    from tvm import relax
    from tvm.relax.frontend.onnx import from_onnx

    target = tvm.target.Target.from_device("cpu")
    graph = onnx.load(request["source"])
    # weights as constants from the start: bound later, they would be read anew in every run
    module = from_onnx(graph, keep_params_in_input=False)
    prepare = [
        relax.transform.DecomposeOpsForInference(),
        relax.transform.LegalizeOps(),
        relax.transform.FoldConstant(),
        relax.transform.AnnotateTIROpPattern(),
        relax.transform.FuseOps(),
        relax.transform.FuseTIR(),
    ]
    trials = int(request["options"].get("trials", 0))
    with target, tvm.transform.PassContext(opt_level=3):
        module = tvm.transform.Sequential(prepare)(module)
        if trials:
            work = request["out"] + ".tuning"
            module = relax.transform.MetaScheduleTuneIRMod(
                params={}, work_dir=work, max_trials_global=trials
            )(module)
            module = relax.transform.MetaScheduleApplyDatabase(work)(module)
        executable = tvm.compile(module, target=target)
    executable.export_library(request["out"])
    weights = {one.name for one in graph.graph.initializer}
    inputs = {
        one.name: [size.dim_value for size in one.type.tensor_type.shape.dim]
        for one in graph.graph.input
        if one.name not in weights
    }
    return {
        "files": [request["out"]],
        "inputs": inputs,
        "processor": str(target.attrs.get("mcpu", "")),
        "trials": trials,
    }


if __name__ == "__main__":
    from answer import main  # type: ignore[import-not-found]  # beside this script

    main(convert)
