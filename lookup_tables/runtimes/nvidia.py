"""Whether an NVIDIA GPU is here, and whether torch reaches it."""

from __future__ import annotations

from pathlib import Path

from lookup_tables.errors import LookupTableError

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


def require_cuda(runtime: str) -> None:
    """Raise `LookupTableError` where torch reaches no GPU; else have it compute in plain fp32."""
    import torch

    if not torch.cuda.is_available():
        why = "this torch is built without CUDA" if torch.version.cuda is None else "none answers"
        raise LookupTableError(f"{runtime} needs an NVIDIA GPU: {why}")
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
