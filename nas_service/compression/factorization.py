"""Low-rank layers: SVD of linear ones, Tucker and CP of convolutions.

Ranks come from one budget: singular values of all layers are compared, by the part of their layer's
energy that they hold for each parameter that they cost, and kept from the top until the parameters
are spent. A layer that would not get smaller stays as it is.
"""

from __future__ import annotations

import copy
import heapq
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from nas_service.compression.base import PassContext
from nas_service.compression.masks import Layer, weighted_layers
from nas_service.errors import Unsupported

_CP_ROUNDS = 60


class SvdPass:
    """Linear layers and 1x1 convolutions as two thin ones (Denton et al., 2014)."""

    def apply(self, network: nn.Module, context: PassContext) -> nn.Module:
        """The factorised copy; option: parameters, the share that those layers keep."""
        return _factorised(
            network, float(context.options["parameters"]), _is_matrix, _matrix_spectrum, _svd
        )


class TuckerPass:
    """Convolutions as 1x1, k x k, 1x1 by Tucker-2 (Kim et al., 2016)."""

    def apply(self, network: nn.Module, context: PassContext) -> nn.Module:
        """The factorised copy; option: parameters, the share that those layers keep."""
        return _factorised(
            network, float(context.options["parameters"]), _is_spatial, _tucker_spectrum, _tucker
        )


class CpPass:
    """Convolutions as 1x1, two depthwise, 1x1 by CP (Lebedev et al., 2015)."""

    def apply(self, network: nn.Module, context: PassContext) -> nn.Module:
        """The factorised copy; option: parameters, the share that those layers keep."""
        try:
            import tensorly  # noqa: F401  # looked for before anything is changed
        except ModuleNotFoundError as error:
            raise Unsupported(
                "pass cp needs tensorly: pip install 'nas-service[compression]'"
            ) from error
        return _factorised(
            network, float(context.options["parameters"]), _is_spatial, _cp_spectrum, _cp
        )


@dataclass(frozen=True)
class Spectrum:
    """What ranks of a layer hold and cost: `energy[r]` and `parameters(r)` of rank r + 1."""

    energy: list[float]
    parameters: Callable[[int], int]


def _is_matrix(layer: Layer) -> bool:
    if isinstance(layer, nn.Conv2d):
        return layer.groups == 1 and layer.kernel_size == (1, 1)
    return isinstance(layer, nn.Linear)


def _is_spatial(layer: Layer) -> bool:
    return isinstance(layer, nn.Conv2d) and layer.groups == 1 and layer.kernel_size != (1, 1)


def _matrix_spectrum(layer: Layer) -> Spectrum:
    rows, columns = layer.weight.shape[:2]
    values = torch.linalg.svdvals(layer.weight.detach().reshape(rows, columns))
    return Spectrum((values**2).tolist(), lambda rank: rank * (rows + columns))


def _tucker_spectrum(layer: Layer) -> Spectrum:
    """Rank r stands for both sides, each scaled to its own length."""
    weight = layer.weight.detach()
    out, into, k1, k2 = weight.shape
    outer = torch.linalg.svdvals(weight.reshape(out, -1))
    inner = torch.linalg.svdvals(weight.transpose(0, 1).reshape(into, -1))
    longest = max(out, into)

    def ranks(rank: int) -> tuple[int, int]:
        return _tucker_ranks(rank, out, into)

    def parameters(rank: int) -> int:
        r_out, r_in = ranks(rank)
        return into * r_in + r_in * r_out * k1 * k2 + r_out * out

    held = [0.0]
    for rank in range(1, longest + 1):
        r_out, r_in = ranks(rank)
        held.append(float((outer[:r_out] ** 2).sum() + (inner[:r_in] ** 2).sum()) / 2)
    return Spectrum([after - before for before, after in pairwise(held)], parameters)


def _tucker_ranks(rank: int, out: int, into: int) -> tuple[int, int]:
    longest = max(out, into)
    return max(1, rank * out // longest), max(1, rank * into // longest)


def _cp_spectrum(layer: Layer) -> Spectrum:
    weight = layer.weight.detach()
    out, into, k1, k2 = weight.shape
    values = torch.linalg.svdvals(weight.reshape(out, -1))
    energy = (values**2).tolist()
    # a sum of rank-one tensors needs more terms than the matrix has: spread its energy over them
    stretched = [energy[i // 2] / 2 for i in range(2 * len(energy))]
    return Spectrum(stretched, lambda rank: rank * (out + into + k1 + k2))


def _factorised(
    network: nn.Module,
    share: float,
    wanted: Callable[[Layer], bool],
    spectrum: Callable[[Layer], Spectrum],
    factorise: Callable[[Layer, int], nn.Module],
) -> nn.Module:
    copied = copy.deepcopy(network).eval()
    layers = [layer for layer in weighted_layers(copied) if wanted(layer)]
    if not layers:
        raise Unsupported("the network has no layer that this pass factorises")
    ranks = _ranks([spectrum(layer) for layer in layers], layers, share)
    made: dict[nn.Module, nn.Module] = {
        layer: factorise(layer, rank) for layer, rank in zip(layers, ranks, strict=True) if rank
    }
    for parent in list(copied.modules()):
        for name, child in list(parent.named_children()):
            if child in made:
                setattr(parent, name, made[child])
    return copied


def _ranks(spectra: list[Spectrum], layers: list[Layer], share: float) -> list[int]:
    """A rank a layer, 0 where it stays whole: greedily by energy held a parameter."""
    whole = [layer.weight.numel() for layer in layers]
    budget = share * sum(whole)
    totals = [sum(one.energy) or 1.0 for one in spectra]
    ranks = [1] * len(layers)
    spent = float(sum(one.parameters(1) for one in spectra))

    def worth(i: int) -> float:
        cost = spectra[i].parameters(ranks[i] + 1) - spectra[i].parameters(ranks[i])
        # relative to what the layer still lacks, so that no layer is starved for another's sake
        return spectra[i].energy[ranks[i]] / totals[i] / max(cost, 1)

    heap = [(-worth(i), i) for i in range(len(layers)) if ranks[i] < len(spectra[i].energy)]
    heapq.heapify(heap)
    while heap:
        _, i = heapq.heappop(heap)
        now = spectra[i].parameters(ranks[i])
        cost = spectra[i].parameters(ranks[i] + 1) - now
        if now + cost >= whole[i]:  # thinner no more: it stays whole
            if spent + whole[i] - now <= budget:
                spent += whole[i] - now
                ranks[i] = 0
            continue
        if spent + cost > budget:
            continue
        spent += cost
        ranks[i] += 1
        if ranks[i] < len(spectra[i].energy):
            heapq.heappush(heap, (-worth(i), i))
    return ranks


def _svd(layer: Layer, rank: int) -> nn.Module:
    out, into = layer.weight.shape[:2]
    u, s, v = torch.linalg.svd(layer.weight.detach().reshape(out, into), full_matrices=False)
    root = s[:rank].sqrt()
    left, right = u[:, :rank] * root, root[:, None] * v[:rank]
    if isinstance(layer, nn.Linear):
        first: Layer = nn.Linear(into, rank, bias=False)
        second: Layer = nn.Linear(rank, out, bias=layer.bias is not None)
    else:
        assert isinstance(layer, nn.Conv2d)
        first = nn.Conv2d(into, rank, 1, _two(layer.stride), _two(layer.padding), bias=False)
        second = nn.Conv2d(rank, out, 1, bias=layer.bias is not None)
    return _filled([first, second], [right, left], layer)


def _tucker(layer: Layer, rank: int) -> nn.Module:
    assert isinstance(layer, nn.Conv2d)
    weight = layer.weight.detach()
    out, into = weight.shape[:2]
    r_out, r_in = _tucker_ranks(rank, out, into)
    u_out = torch.linalg.svd(weight.reshape(out, -1), full_matrices=False).U[:, :r_out]
    u_in = torch.linalg.svd(weight.transpose(0, 1).reshape(into, -1), full_matrices=False).U[
        :, :r_in
    ]
    core = torch.einsum("oikl,or,is->rskl", weight, u_out, u_in)
    parts = [
        nn.Conv2d(into, u_in.shape[1], 1, bias=False),
        nn.Conv2d(
            u_in.shape[1],
            u_out.shape[1],
            _two(layer.kernel_size),
            _two(layer.stride),
            _two(layer.padding),
            bias=False,
        ),
        nn.Conv2d(u_out.shape[1], out, 1, bias=layer.bias is not None),
    ]
    return _filled(parts, [u_in.T, core, u_out], layer)


def _cp(layer: Layer, rank: int) -> nn.Module:
    import tensorly
    from tensorly.decomposition import parafac

    assert isinstance(layer, nn.Conv2d)
    tensorly.set_backend("numpy")
    weight = layer.weight.detach().double().numpy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a rank above a side's length is meant
        found = parafac(weight, rank=rank, n_iter_max=_CP_ROUNDS, init="svd", random_state=0)
    scale = torch.from_numpy(found.weights).float()
    out, into, high, wide = (torch.from_numpy(factor).float() for factor in found.factors)
    (k1, k2), (s1, s2), (p1, p2) = (
        _two(one) for one in (layer.kernel_size, layer.stride, layer.padding)
    )
    parts = [
        nn.Conv2d(into.shape[0], rank, 1, bias=False),
        nn.Conv2d(rank, rank, (k1, 1), (s1, 1), (p1, 0), groups=rank, bias=False),
        nn.Conv2d(rank, rank, (1, k2), (1, s2), (0, p2), groups=rank, bias=False),
        nn.Conv2d(rank, out.shape[0], 1, bias=layer.bias is not None),
    ]
    # factors of very different size train badly: each takes its share of the product
    sizes = [factor.norm(dim=0).clamp_min(1e-12) for factor in (into, high, wide, out)]
    even = (scale.abs() * sizes[0] * sizes[1] * sizes[2] * sizes[3]) ** 0.25
    into, high, wide, out = (
        factor / size * even for factor, size in zip((into, high, wide, out), sizes, strict=True)
    )
    return _filled(parts, [into.T, high.T, wide.T, out * scale.sign()], layer)


def _filled(parts: Sequence[Layer], weights: Sequence[Tensor], layer: Layer) -> nn.Sequential:
    """Layers in a row that stand for `layer`, with these weights and its bias."""
    for part, weight in zip(parts, weights, strict=True):
        part.weight = nn.Parameter(weight.reshape(part.weight.shape).contiguous().clone())
    if layer.bias is not None:
        parts[-1].bias = nn.Parameter(layer.bias.detach().clone())
    return nn.Sequential(*parts)


def _two(value: object) -> tuple[int, int]:
    """A kernel's, stride's or padding's two numbers."""
    if not isinstance(value, tuple) or len(value) != 2:
        raise Unsupported(f"a convolution with padding {value!r} is not factorised")
    return int(value[0]), int(value[1])
