"""What a detector is taught by: cells that answer for a box, its score and its sides."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor
from torch.nn import functional

from lookup_tables.blocks.box_head import SIDES
from nas_service.learning.detection.cells import cells, grid_of

_NEAR = 1.25
"""Cells whose middle lies so near to a box's, in cells, answer for it, if they are inside it."""
_FINE, _COARSE = 8.0, 5.0
"""Longest side, in cells of the finer map, that is left to it; shortest that the other takes."""


def loss_of(outputs: Tensor, targets: Tensor) -> Tensor:
    """Of outputs `(n, classes + 4, cells)` and rows of class, x1, y1, x2, y2 `(n, k, 5)`.

    Scores learn how well their box meets the true one (Li et al., 2020, quality focal loss), boxes
    by their generalised overlap (Rezatofighi et al., 2019).
    """
    scores, boxes = outputs[:, :-SIDES].float(), boxes_of(outputs)
    answers = _assigned(targets, outputs.shape[2])
    has = answers >= 0
    wanted = torch.zeros_like(scores)
    count = has.sum().clamp_min(1)
    rows, places = has.nonzero(as_tuple=True)
    mine = targets[rows, answers[rows, places]]
    iou, giou = overlap(boxes[rows, places], mine[:, 1:])
    wanted[rows, mine[:, 0].long(), places] = iou.detach().clamp_min(0.0)
    return (_focal(scores, wanted) + (1.0 - giou).sum()) / count


def imitation_loss(outputs: Tensor, answers: Tensor) -> Tensor:
    """The same, where scores and boxes are another network's, weighted by its scores."""
    theirs = torch.sigmoid(answers[:, :-SIDES].float())
    weight = theirs.amax(dim=1)
    total = weight.sum().clamp_min(1.0)
    _, giou = overlap(boxes_of(outputs), boxes_of(answers))
    return (_focal(outputs[:, :-SIDES].float(), theirs) + (weight * (1.0 - giou)).sum()) / total


def boxes_of(outputs: Tensor) -> Tensor:
    """Boxes of every cell as shares of the picture: `(n, cells, 4)`."""
    middles, sides = _cells(grid_of(outputs.shape[2]), outputs.device)
    reach = functional.softplus(outputs[:, -SIDES:].float()).transpose(1, 2) * sides[:, None]
    low, high = middles - reach[..., :2], middles + reach[..., 2:]
    return torch.cat([low, high], dim=2)


def overlap(some: Tensor, others: Tensor) -> tuple[Tensor, Tensor]:
    """Intersection over union of pairs of boxes `(..., 4)`, and the generalised one: `(...)`."""
    low, high = (
        torch.maximum(some[..., :2], others[..., :2]),
        torch.minimum(some[..., 2:], others[..., 2:]),
    )
    both = (high - low).clamp_min(0.0).prod(dim=-1)
    mine, theirs = ((one[..., 2:] - one[..., :2]).prod(dim=-1) for one in (some, others))
    whole = (mine + theirs - both).clamp_min(1e-9)
    around = torch.maximum(some[..., 2:], others[..., 2:]) - torch.minimum(
        some[..., :2], others[..., :2]
    )
    hull = around.prod(dim=-1).clamp_min(1e-9)
    iou = both / whole
    return iou, iou - (hull - whole) / hull


def _focal(scores: Tensor, wanted: Tensor) -> Tensor:
    far = (torch.sigmoid(scores) - wanted).square()
    found: Tensor = (
        far * functional.binary_cross_entropy_with_logits(scores, wanted, reduction="none")
    ).sum()
    return found


def _assigned(targets: Tensor, count: int) -> Tensor:
    """The number of the box that each cell answers for, -1 where it is none: `(n, cells)`.

    Of several the smallest (Tian et al., 2019).
    """
    grid = grid_of(count)
    middles, sides = _cells(grid, targets.device)
    fine = torch.arange(count, device=targets.device) < grid**2
    x1, y1, x2, y2 = targets[..., 1:].unsqueeze(-1).unbind(2)  # (n, k, 1)
    width, height = x2 - x1, y2 - y1
    off_x, off_y = (middles[:, 0] - (x1 + x2) / 2).abs(), (middles[:, 1] - (y1 + y2) / 2).abs()
    inside = (off_x < width / 2) & (off_y < height / 2)
    near = torch.maximum(off_x, off_y) <= _NEAR * sides
    at_middle = torch.maximum(off_x, off_y) <= 0.5 * sides
    longest = torch.maximum(width, height) * grid
    level = torch.where(fine, longest <= _FINE, longest >= _COARSE)
    mine = level & ((inside & near) | at_middle) & (targets[..., :1] >= 0)
    area = torch.where(mine, width * height, torch.inf)
    if not area.shape[1]:
        return torch.full((len(targets), count), -1, device=targets.device)
    smallest, number = area.min(dim=1)
    return torch.where(torch.isfinite(smallest), number, -1)


@cache
def _cells(grid: int, device: torch.device) -> tuple[Tensor, Tensor]:
    middles, sides = cells(grid)
    with torch.inference_mode(False):  # whoever asks first: they are read in training, too
        return (
            torch.tensor(middles, dtype=torch.float32, device=device),
            torch.tensor(sides, dtype=torch.float32, device=device),
        )
