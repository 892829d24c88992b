"""Anchors on an NVIDIA GPU. Not run on hardware."""

from __future__ import annotations

from lookup_tables.measuring.anchor import Anchor
from lookup_tables.measuring.anchors import dispatch_anchor


def gpu_anchors() -> list[Anchor]:
    """A product of matrices and a copy on the GPU, each waited for, and the processor's calls."""
    import torch

    with torch.no_grad():
        matrix = torch.ones(512, 512, device="cuda")
        values = torch.ones(2**22, device="cuda")
        out_matrix, out_values = torch.empty_like(matrix), torch.empty_like(values)

    def compute() -> None:
        torch.mm(matrix, matrix, out=out_matrix)
        torch.cuda.synchronize()

    def memory() -> None:
        out_values.copy_(values)
        torch.cuda.synchronize()

    return [dispatch_anchor(), Anchor("gpu compute", compute), Anchor("gpu memory", memory)]
