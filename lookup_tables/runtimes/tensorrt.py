"""TensorRT 10 on NVIDIA GPUs and Jetson boards: not run on hardware.

The time of a run is that from an input in memory to outputs in memory: both copies count.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from lookup_tables.errors import LookupTableError
from lookup_tables.measuring.anchor import Anchor
from lookup_tables.measuring.anchors import GPU
from lookup_tables.model import Array, Input, Model
from lookup_tables.runtimes.base import Runtime
from lookup_tables.runtimes.cuda_anchors import gpu_anchors
from lookup_tables.runtimes.nvidia import nvidia_gpu, require_cuda
from lookup_tables.target import Target


class TensorRt(Runtime):
    """Reads engines."""

    name = "tensorrt"
    package = "tensorrt"
    state = GPU

    def version(self) -> str | None:
        """See `Runtime.version`."""
        return super().version() if nvidia_gpu() else None

    def anchors(self) -> Sequence[Anchor]:
        """See `Runtime.anchors`."""
        return gpu_anchors()

    def load(self, path: Path, target: Target) -> Model:
        """See `Runtime.load`."""
        del target  # an engine holds its own settings
        require_cuda(self.name)
        return TensorRtModel(path)


class TensorRtModel:
    """An engine, which holds for the GPU that it was built on."""

    def __init__(self, path: Path) -> None:
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
