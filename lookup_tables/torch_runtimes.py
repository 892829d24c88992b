"""Runtimes that take torch's tensors: ExecuTorch, AOTInductor on processor and GPU, TensorRT.

On a GPU the time of a run is that from an image in memory to logits in memory: both copies count.
CUDA and TensorRT are not run on hardware.
"""

from __future__ import annotations

import json
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from zipfile import ZipFile

import numpy as np

from lookup_tables.errors import LookupTableError
from lookup_tables.model import Array, Input
from lookup_tables.target import Target

_DEVICES = ("/dev/nvidiactl", "/dev/nvhost-gpu", "/dev/nvgpu", "/dev/dxg")
"""Of drivers for cards, for Jetson boards before and since Orin, and for WSL."""


def nvidia_gpu() -> bool:
    """Whether the kernel offers a GPU of NVIDIA's; asks no package."""
    return any(Path(one).exists() for one in _DEVICES)


def nvidia_models() -> list[str]:
    """What GPUs of NVIDIA's are here, as their driver tells; on a Jetson, what board it is."""
    cards = sorted(Path("/proc/driver/nvidia/gpus").glob("*/information"))
    lines = [line for card in cards for line in card.read_text().splitlines()]
    found = [line.partition(":")[2].strip() for line in lines if line.startswith("Model:")]
    board = Path("/proc/device-tree/model")
    if not found and nvidia_gpu() and board.exists():
        found.append(board.read_text().strip("\0\n "))
    return found


class ExecuTorchModel:
    """ExecuTorch's portable runtime; it takes torch tensors and uses one pool of threads."""

    def __init__(self, path: Path, target: Target) -> None:
        import torch

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of its own imports
            from executorch.extension.pybindings import portable_lib

        portable_lib._unsafe_reset_threadpool(target.threads)
        self._torch = torch
        self._module = portable_lib._load_for_executorch(str(path))
        meta = self._module.method_meta("forward")
        self.inputs = {
            f"input{i}": Input(tuple(meta.input_tensor_meta(i).sizes()), np.dtype(np.float32))
            for i in range(meta.num_inputs())
        }

    def run(self, feeds: Mapping[str, Array]) -> list[Array]:
        """See `Model.run`."""
        tensors = [self._torch.from_numpy(feeds[name]) for name in self.inputs]
        return [np.asarray(one) for one in self._module.forward(tensors)]


class AotInductorModel:
    """A package of AOTInductor on the CPU; torch's threads are those of the process."""

    device = "cpu"

    def __init__(self, path: Path, target: Target) -> None:
        import torch

        torch.set_num_threads(target.threads)
        self._torch = torch
        with ZipFile(path) as packed, tempfile.TemporaryDirectory() as folder:
            package = packed.extract("model.pt2", folder)
            shapes: dict[str, list[int]] = json.loads(packed.read("inputs.json"))
            self._model = torch._inductor.aoti_load_package(package)
        self.inputs = {
            name: Input(tuple(shape), np.dtype(np.float32)) for name, shape in shapes.items()
        }

    def run(self, feeds: Mapping[str, Array]) -> list[Array]:
        """See `Model.run`."""
        with self._torch.inference_mode():
            images = (self._torch.from_numpy(feeds[n]).to(self.device) for n in self.inputs)
            found = self._model(*images)
            every = found if isinstance(found, (list, tuple)) else [found]
            return [one.cpu().numpy() for one in every]


class CudaInductorModel(AotInductorModel):
    """The same on the first GPU, in plain fp32: TF32 would keep ten bits of a factor."""

    device = "cuda"

    def __init__(self, path: Path, target: Target) -> None:
        require_cuda(target.runtime)
        super().__init__(path, target)


class TensorRtModel:
    """An engine of TensorRT 10, which holds for the GPU that it was built on."""

    def __init__(self, path: Path, target: Target) -> None:
        require_cuda(target.runtime)
        import tensorrt
        import torch

        runtime = tensorrt.Runtime(tensorrt.Logger(tensorrt.Logger.WARNING))
        engine = runtime.deserialize_cuda_engine(path.read_bytes())
        if engine is None:
            raise LookupTableError(f"{path.name} is no engine for this GPU and this TensorRT")
        self._torch, self._runtime, self._engine = torch, runtime, engine
        self._context = engine.create_execution_context()
        self._stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]  # torch stubs
        self._buffers = {}
        self.inputs: dict[str, Input] = {}
        self._outputs: list[str] = []
        for number in range(engine.num_io_tensors):
            name = engine.get_tensor_name(number)
            shape = tuple(engine.get_tensor_shape(name))
            kind = np.dtype(tensorrt.nptype(engine.get_tensor_dtype(name)))
            empty = torch.from_numpy(np.empty(shape, kind)).to("cuda")
            self._buffers[name] = empty
            self._context.set_tensor_address(name, empty.data_ptr())
            if engine.get_tensor_mode(name) == tensorrt.TensorIOMode.INPUT:
                self.inputs[name] = Input(shape, kind)
            else:
                self._outputs.append(name)

    def run(self, feeds: Mapping[str, Array]) -> list[Array]:
        """See `Model.run`."""
        with self._torch.cuda.stream(self._stream):
            for name in self.inputs:
                self._buffers[name].copy_(self._torch.from_numpy(feeds[name]))
            if not self._context.execute_async_v3(self._stream.cuda_stream):
                raise LookupTableError("TensorRT did not run the engine")
            return [self._buffers[name].cpu().numpy() for name in self._outputs]  # waits for all


def require_cuda(runtime: str) -> None:
    """Raise `LookupTableError` where torch reaches no GPU; else have it compute in plain fp32."""
    import torch

    if not torch.cuda.is_available():
        why = "this torch is built without CUDA" if torch.version.cuda is None else "none answers"
        raise LookupTableError(f"{runtime} needs an NVIDIA GPU: {why}")
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
