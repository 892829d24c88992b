"""Model files made ready to run, by the name of their runtime.

A runtime is imported when a file of it is loaded, so that a device needs none but its own.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import ZipFile

import numpy as np

from lookup_tables.errors import LookupTableError
from lookup_tables.model import Array, Input, Model
from lookup_tables.target import Target
from lookup_tables.torch_runtimes import (
    AotInductorModel,
    CudaInductorModel,
    ExecuTorchModel,
    TensorRtModel,
    nvidia_gpu,
)

if TYPE_CHECKING:
    import onnxruntime

PACKAGES = {
    "onnxruntime": "onnxruntime",
    "openvino": "openvino",
    "litert": "ai-edge-litert",
    "executorch": "executorch",
    "tvm": "apache-tvm",
    "tvm-tuned": "apache-tvm",
    "aot-inductor": "torch",
    "aot-inductor-cuda": "torch",
    "tensorrt": "tensorrt",
}
"""Runtimes by name, and the package of each."""

_ON_NVIDIA = frozenset({"aot-inductor-cuda", "tensorrt"})


def runtime_versions() -> dict[str, str]:
    """The runtimes that are installed and have what they run on, with their versions."""
    found = {}
    for name, package in PACKAGES.items():
        if name in _ON_NVIDIA and not nvidia_gpu():
            continue
        try:
            found[name] = version(package)
        except PackageNotFoundError:
            continue
    return found


def load(path: Path, target: Target) -> Model:
    """Load a file with the target's settings.

    Raises:
        LookupTableError: no such runtime, its package is not installed, or it needs a GPU that
            is not here.
    """
    if target.runtime not in _LOADERS:
        known = ", ".join(_LOADERS)
        raise LookupTableError(f"no runtime {target.runtime!r}; known: {known}")
    try:
        return _LOADERS[target.runtime](path, target)
    except ModuleNotFoundError as error:
        package = PACKAGES[target.runtime]
        raise LookupTableError(
            f"runtime {target.runtime} is not installed here: pip install {package}"
        ) from error


def runner(path: Path, target: Target, seed: int = 0) -> Callable[[], object]:
    """Loads a file; each call runs it once on inputs drawn from a seed."""
    model = load(path, target)
    feeds = random_inputs(model.inputs, seed)
    return lambda: model.run(feeds)


def random_inputs(inputs: Mapping[str, Input], seed: int = 0) -> dict[str, Array]:
    """Inputs of these shapes and types."""
    generator = np.random.default_rng(seed)
    found: dict[str, Array] = {}
    for name, one in inputs.items():
        if one.dtype.kind == "f":
            found[name] = generator.standard_normal(one.shape).astype(one.dtype)
        else:
            found[name] = generator.integers(0, 127, one.shape).astype(one.dtype)
    return found


def session_options(threads: int) -> onnxruntime.SessionOptions:
    """The session settings that tables and measurements of this project are made with."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return options


def inputs_of_session(session: onnxruntime.InferenceSession) -> dict[str, Input]:
    """What an ONNX Runtime session reads."""
    kinds = {"tensor(float)": np.float32, "tensor(uint8)": np.uint8, "tensor(int8)": np.int8}
    return {
        one.name: Input(tuple(one.shape), np.dtype(kinds[one.type])) for one in session.get_inputs()
    }


class OrtModel:
    """ONNX Runtime's CPU provider."""

    def __init__(self, path: Path, target: Target) -> None:
        import onnxruntime

        self._session = onnxruntime.InferenceSession(
            str(path), session_options(target.threads), providers=["CPUExecutionProvider"]
        )
        self.inputs = inputs_of_session(self._session)

    def run(self, feeds: Mapping[str, Array]) -> list[Array]:
        """See `Model.run`."""
        found: list[Array] = self._session.run(None, dict(feeds))
        return found


class OpenVinoModel:
    """OpenVINO's CPU plug-in; reads ONNX, its own format, and that in a zip of its two files."""

    def __init__(self, path: Path, target: Target) -> None:
        import openvino

        hint = {"fp32": "f32", "int8": "f32", "bf16": "bf16", "fp16": "f16"}[target.precision]
        settings = {
            "INFERENCE_NUM_THREADS": target.threads,
            "NUM_STREAMS": 1,
            "INFERENCE_PRECISION_HINT": hint,
        }
        core = openvino.Core()
        if path.suffix == ".zip":
            with ZipFile(path) as packed:
                model = core.read_model(packed.read("model.xml"), packed.read("model.bin"))
        else:
            model = core.read_model(str(path))
        compiled = core.compile_model(model, "CPU", settings)
        self._request = compiled.create_infer_request()
        self._n_outputs = len(compiled.outputs)
        self.inputs = {
            one.any_name: Input(tuple(one.shape), np.dtype(one.element_type.to_dtype()))
            for one in compiled.inputs
        }

    def run(self, feeds: Mapping[str, Array]) -> list[Array]:
        """See `Model.run`."""
        self._request.infer(dict(feeds))
        return [self._request.get_output_tensor(i).data for i in range(self._n_outputs)]


class LiteRtModel:
    """LiteRT's interpreter with XNNPACK."""

    def __init__(self, path: Path, target: Target) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self._interpreter = Interpreter(model_path=str(path), num_threads=target.threads)
        self._interpreter.allocate_tensors()
        details = self._interpreter.get_input_details()
        self._places = {one["name"]: one for one in details}
        self._outputs = self._interpreter.get_output_details()
        self.inputs = {
            one["name"]: Input(tuple(int(v) for v in one["shape"]), np.dtype(one["dtype"]))
            for one in details
        }

    def run(self, feeds: Mapping[str, Array]) -> list[Array]:
        """See `Model.run`."""
        for name, values in feeds.items():
            place = self._places[name]
            self._interpreter.set_tensor(place["index"], _to_integers(values, place))
        self._interpreter.invoke()
        return [
            _to_floats(self._interpreter.get_tensor(one["index"]), one) for one in self._outputs
        ]


def _to_integers(values: Array, place: Mapping[str, Any]) -> Array:
    """Floats as a quantised input takes them, by the file's own scale; others as they are."""
    kind = np.dtype(place["dtype"])
    if kind.kind == "f" or values.dtype == kind:
        return values
    scale, zero = place["quantization"]
    limits = np.iinfo(kind)
    rounded = np.clip(np.rint(values / scale) + zero, limits.min, limits.max)
    return np.asarray(rounded, dtype=kind)


def _to_floats(values: Array, place: Mapping[str, Any]) -> Array:
    """What a quantised output stands for; others as they are."""
    scale, zero = place["quantization"]
    if values.dtype.kind == "f" or not scale:
        return values
    return np.asarray((values.astype(np.float32) - zero) * np.float32(scale))


class TvmModel:
    """TVM's virtual machine on the CPU; reads a zip of the library and the shapes of its inputs."""

    def __init__(self, path: Path, target: Target) -> None:
        os.environ["TVM_NUM_THREADS"] = str(target.threads)  # read when its threads start
        import tvm
        from tvm import relax

        self._tvm = tvm
        with ZipFile(path) as packed, tempfile.TemporaryDirectory() as folder:
            library = tvm.runtime.load_module(packed.extract("model.so", folder))
            shapes: dict[str, list[int]] = json.loads(packed.read("inputs.json"))
        self._machine = relax.VirtualMachine(library, tvm.cpu())
        self.inputs = {
            name: Input(tuple(shape), np.dtype(np.float32)) for name, shape in shapes.items()
        }

    def run(self, feeds: Mapping[str, Array]) -> list[Array]:
        """See `Model.run`."""
        found = self._machine["main"](*(self._tvm.runtime.tensor(feeds[n]) for n in self.inputs))
        return [one.numpy() for one in ([found] if hasattr(found, "numpy") else found)]


_LOADERS: dict[str, Callable[[Path, Target], Model]] = {
    "onnxruntime": OrtModel,
    "openvino": OpenVinoModel,
    "litert": LiteRtModel,
    "executorch": ExecuTorchModel,
    "tvm": TvmModel,
    "tvm-tuned": TvmModel,
    "aot-inductor": AotInductorModel,
    "aot-inductor-cuda": CudaInductorModel,
    "tensorrt": TensorRtModel,
}
