"""Apache TVM: an ONNX graph to a shared library for this machine's processor."""

from __future__ import annotations

from typing import Any

LEARNING = 64
"""Trials an operator from which on schedules are evolved under a learned cost model."""


def convert(request: dict[str, Any]) -> dict[str, Any]:
    """Write the .so at `out`; with the option `trials`, so many schedules an operator are tried."""
    import onnx
    import tvm
    from tvm import relax
    from tvm.relax.frontend.onnx import from_onnx

    host = tvm.target.Target.from_device("cpu")
    target = tvm.target.Target({**host.export(), "num-cores": request["threads"]})
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
        tuned = 0
        if trials:
            module, tuned = _tuned(module, target, request["out"] + ".tuning", trials)
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
        "tuned_operators": tuned,
    }


def _tuned(module: Any, target: Any, folder: str, trials: int) -> tuple[Any, int]:
    """Schedules found by MetaSchedule (Shao et al., 2022), timed here; of how many operators."""
    from tvm import relax
    from tvm.s_tir.meta_schedule import relax_integration

    operators = relax_integration.extract_tasks(module, target, {})
    # a cost model learns nothing from a few dozen schedules, and evolving a population under it
    # takes longer than building and timing them: so few are drawn at random
    few = trials < LEARNING
    database = relax_integration.tune_relax(
        module,
        {},
        target,
        work_dir=folder,
        max_trials_global=trials * len(operators),
        max_trials_per_task=trials,
        num_trials_per_iter=min(trials, LEARNING),
        strategy="replay-trace" if few else "evolutionary",
        cost_model="random" if few else "xgb",
        builder=_builder(),
        seed=1,
    )
    with database:
        module = relax.transform.MetaScheduleApplyDatabase()(module)
    scheduled = [
        one.attrs and "tirx.is_scheduled" in one.attrs for one in module.functions.values()
    ]
    return module, sum(map(bool, scheduled))


def _builder() -> Any:
    """Builds candidates here: TVM's own starts a process for each batch, 25 s of imports a time.

    This process has limits of its own, and nothing but this network to lose.
    """
    from tvm.ir.utils import derived_object
    from tvm.s_tir.meta_schedule.builder import BuilderResult, PyBuilder
    from tvm.s_tir.meta_schedule.builder.local_builder import default_build, default_export

    @derived_object
    class HereBuilder(PyBuilder):  # type: ignore[misc]  # untyped
        def build(self, build_inputs: Any) -> list[Any]:
            found = []
            for one in build_inputs:
                try:
                    module = default_build(one.mod, one.target, None)
                    found.append(BuilderResult(default_export(module), None))
                except Exception as error:  # noqa: BLE001  # a schedule that does not build is one less
                    found.append(BuilderResult(None, str(error)))
            return found

    return HereBuilder()


if __name__ == "__main__":
    from answer import main  # type: ignore[import-not-found]  # beside this script

    main(convert)
