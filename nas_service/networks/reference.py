"""Networks that everybody knows, as torch modules: what compression is compared on.

Widths scale and the stem's stride follows the image, so that they train on small images too.
MobileNetV1 (Howard et al., 2017), V2 (Sandler et al., 2018), V3 (Howard et al., 2019), EfficientNet
and its Lite form (Tan and Le, 2019; hard swish and gates left out), ResNet (He et al., 2016; the
small one as in MLPerf Tiny, Banbury et al., 2021), Inception v3 (Szegedy et al., 2016), ViT
(Dosovitskiy et al., 2021).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from nas_service.errors import InvalidSpec

Make = Callable[[int, int, int, float], nn.Module]
"""Channels and side of images, classes, width."""


def reference(
    name: str, *, channels: int, size: int, classes: int, width: float = 1.0, seed: int = 0
) -> nn.Module:
    """The network of that name, weights drawn from `seed`: `(n, channels, size, size)` to logits.

    Raises:
        InvalidSpec: no such network, or images too small for it.
    """
    if name not in NETWORKS:
        raise InvalidSpec(
            f"no reference network {name!r}; known: {', '.join(NETWORKS)}",
            field="reference",
            known_names=list(NETWORKS),
        )
    if not 0.05 <= width <= 4.0:
        raise InvalidSpec(f"width has to be 0.05 to 4, not {width}", field="width")
    if size < 16:
        raise InvalidSpec(f"reference networks take images of 16 pixels up, not {size}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return NETWORKS[name](channels, size, classes, width)


def _wide(channels: float, width: float) -> int:
    """Scaled to a multiple of eight, as the papers round."""
    return max(8, int(channels * width + 4) // 8 * 8)


def _unit(
    inputs: int,
    outputs: int,
    kernel: int | tuple[int, int] = 3,
    stride: int = 1,
    groups: int = 1,
    activation: Callable[[], nn.Module] | None = nn.ReLU,
    padding: int | tuple[int, int] | None = None,
) -> nn.Sequential:
    """Convolution, normalisation, activation."""
    if padding is None:
        padding = kernel // 2 if isinstance(kernel, int) else (kernel[0] // 2, kernel[1] // 2)
    layers: list[nn.Module] = [
        nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    ]
    if activation is not None:
        layers.append(activation())
    return nn.Sequential(*layers)


def _head(features: int, classes: int) -> list[nn.Module]:
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(features, classes)]


def _stem_stride(size: int) -> int:
    """Half the side at once only where there is something to halve."""
    return 2 if size >= 96 else 1


def _mobilenet_v1(channels: int, size: int, classes: int, width: float) -> nn.Module:
    plan = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5]
    plan += [(1024, 2), (1024, 1)]
    now = _wide(32, width)
    layers: list[nn.Module] = [_unit(channels, now, 3, _stem_stride(size))]
    for out, stride in plan:
        layers.append(_unit(now, now, 3, stride, groups=now))
        layers.append(_unit(now, _wide(out, width), 1))
        now = _wide(out, width)
    return nn.Sequential(*layers, *_head(now, classes))


class _Gate(nn.Module):
    """Squeeze and excitation."""

    def __init__(self, channels: int, inner: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels, inner, 1)
        self.excite = nn.Conv2d(inner, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        scale = torch.relu(self.squeeze(x.mean((2, 3), keepdim=True)))
        return x * torch.nn.functional.hardsigmoid(self.excite(scale))


class _Inverted(nn.Module):
    """Inverted bottleneck, with a gate where `gate` is not zero."""

    def __init__(
        self,
        inputs: int,
        mid: int,
        outputs: int,
        kernel: int,
        stride: int,
        activation: Callable[[], nn.Module],
        gate: int = 0,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        if mid != inputs:
            layers.append(_unit(inputs, mid, 1, activation=activation))
        layers.append(_unit(mid, mid, kernel, stride, groups=mid, activation=activation))
        if gate:
            layers.append(_Gate(mid, gate))
        layers.append(_unit(mid, outputs, 1, activation=None))
        self.layers = nn.Sequential(*layers)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layers(x)
        return x + y if self.residual else y


def _mobilenet_v2(channels: int, size: int, classes: int, width: float) -> nn.Module:
    plan = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1)]
    plan += [(6, 160, 3, 2), (6, 320, 1, 1)]
    now = _wide(32, width)
    layers: list[nn.Module] = [_unit(channels, now, 3, _stem_stride(size), activation=nn.ReLU6)]
    for expand, out, repeats, stride in plan:
        for number in range(repeats):
            wide = _wide(out, width)
            step = stride if number == 0 else 1
            layers.append(_Inverted(now, now * expand, wide, 3, step, nn.ReLU6))
            now = wide
    last = _wide(1280, max(width, 1.0))
    return nn.Sequential(*layers, _unit(now, last, 1, activation=nn.ReLU6), *_head(last, classes))


_V3_SMALL = (
    [(3, 16, 16, True, nn.ReLU, 2), (3, 72, 24, False, nn.ReLU, 2), (3, 88, 24, False, nn.ReLU, 1)]
    + [(5, 96, 40, True, nn.Hardswish, 2)]
    + [(5, 240, 40, True, nn.Hardswish, 1)] * 2
    + [(5, 120, 48, True, nn.Hardswish, 1), (5, 144, 48, True, nn.Hardswish, 1)]
    + [(5, 288, 96, True, nn.Hardswish, 2)]
    + [(5, 576, 96, True, nn.Hardswish, 1)] * 2
)
_V3_LARGE = (
    [(3, 16, 16, False, nn.ReLU, 1), (3, 64, 24, False, nn.ReLU, 2), (3, 72, 24, False, nn.ReLU, 1)]
    + [(5, 72, 40, True, nn.ReLU, 2)]
    + [(5, 120, 40, True, nn.ReLU, 1)] * 2
    + [(3, 240, 80, False, nn.Hardswish, 2), (3, 200, 80, False, nn.Hardswish, 1)]
    + [(3, 184, 80, False, nn.Hardswish, 1)] * 2
    + [(3, 480, 112, True, nn.Hardswish, 1), (3, 672, 112, True, nn.Hardswish, 1)]
    + [(5, 672, 160, True, nn.Hardswish, 2)]
    + [(5, 960, 160, True, nn.Hardswish, 1)] * 2
)
_V3_LAYERS = Sequence[tuple[int, int, int, bool, Callable[[], nn.Module], int]]
"""Kernel, inner and outer channels, gate, activation, stride."""


def _mobilenet_v3(plan: _V3_LAYERS, features: int, hidden: int) -> Make:
    def make(channels: int, size: int, classes: int, width: float) -> nn.Module:
        now = _wide(16, width)
        layers: list[nn.Module] = [
            _unit(channels, now, 3, _stem_stride(size), activation=nn.Hardswish)
        ]
        for kernel, mid, out, gated, activation, stride in plan:
            wide = _wide(mid, width)
            gate = _wide(wide / 4, 1.0) if gated else 0
            layers.append(_Inverted(now, wide, _wide(out, width), kernel, stride, activation, gate))
            now = _wide(out, width)
        last, inner = _wide(features, width), _wide(hidden, width)
        layers.append(_unit(now, last, 1, activation=nn.Hardswish))
        layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(last, inner), nn.Hardswish()]
        return nn.Sequential(*layers, nn.Linear(inner, classes))

    return make


def _efficientnet(lite: bool) -> Make:
    plan = [(1, 16, 1, 1, 3), (6, 24, 2, 2, 3), (6, 40, 2, 2, 5), (6, 80, 3, 2, 3)]
    plan += [(6, 112, 3, 1, 5), (6, 192, 4, 2, 5), (6, 320, 1, 1, 3)]
    activation = nn.ReLU6 if lite else nn.SiLU

    def make(channels: int, size: int, classes: int, width: float) -> nn.Module:
        now = _wide(32, width)
        layers: list[nn.Module] = [
            _unit(channels, now, 3, _stem_stride(size), activation=activation)
        ]
        for expand, out, repeats, stride, kernel in plan:
            for number in range(repeats):
                wide, step = _wide(out, width), stride if number == 0 else 1
                gate = 0 if lite else max(4, now // 4)
                layers.append(_Inverted(now, now * expand, wide, kernel, step, activation, gate))
                now = wide
        last = _wide(1280, width)
        return nn.Sequential(
            *layers, _unit(now, last, 1, activation=activation), *_head(last, classes)
        )

    return make


class _Residual(nn.Module):
    """Two convolutions and a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = _unit(inputs, outputs, 3, stride)
        self.second = _unit(outputs, outputs, 3, activation=None)
        same = stride == 1 and inputs == outputs
        self.shortcut = (
            nn.Identity() if same else _unit(inputs, outputs, 1, stride, activation=None)
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.second(self.first(x)) + self.shortcut(x))


def _resnet8(channels: int, size: int, classes: int, width: float) -> nn.Module:
    del size
    w = [_wide(c, width) for c in (16, 16, 32, 64)]
    blocks = [_Residual(w[i], w[i + 1], 1 if i == 0 else 2) for i in range(3)]
    return nn.Sequential(_unit(channels, w[0]), *blocks, *_head(w[3], classes))


def _resnet18(channels: int, size: int, classes: int, width: float) -> nn.Module:
    now = _wide(64, width)
    layers: list[nn.Module] = [_unit(channels, now, 3 if size < 96 else 7, _stem_stride(size))]
    if size >= 96:
        layers.append(nn.MaxPool2d(3, 2, 1))
    for number, out in enumerate((64, 128, 256, 512)):
        for again in range(2):
            stride = 2 if number and not again else 1
            layers.append(_Residual(now, _wide(out, width), stride))
            now = _wide(out, width)
    return nn.Sequential(*layers, *_head(now, classes))


class _Branches(nn.Module):
    """Branches side by side, joined by channels."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.branches], dim=1)


def _inception_v3(channels: int, size: int, classes: int, width: float) -> nn.Module:
    """Without its auxiliary head; on small images the stem keeps the side."""

    def w(count: int) -> int:
        return _wide(count, width)

    stem = _stem_stride(size)
    layers: list[nn.Module] = [
        _unit(channels, w(32), 3, stem),
        _unit(w(32), w(32)),
        _unit(w(32), w(64)),
        nn.MaxPool2d(3, stem, 1),
        _unit(w(64), w(80), 1),
        _unit(w(80), w(192)),
        nn.MaxPool2d(3, 2, 1),
    ]
    now = w(192)

    def pool(out: int) -> nn.Module:
        return nn.Sequential(nn.AvgPool2d(3, 1, 1), _unit(now, out, 1))

    def double(inner: int, out: int, stride: int = 1) -> nn.Module:
        return nn.Sequential(_unit(now, inner, 1), _unit(inner, out), _unit(out, out, 3, stride))

    for pooled in (w(32), w(64), w(64)):
        five = nn.Sequential(_unit(now, w(48), 1), _unit(w(48), w(64), 5))
        layers.append(_Branches(_unit(now, w(64), 1), five, double(w(64), w(96)), pool(pooled)))
        now = w(64) + w(64) + w(96) + pooled
    layers.append(
        _Branches(_unit(now, w(384), 3, 2), double(w(64), w(96), 2), nn.MaxPool2d(3, 2, 1))
    )
    now += w(384) + w(96)
    for inner in (w(128), w(160), w(160), w(192)):
        one = nn.Sequential(
            _unit(now, inner, 1), _unit(inner, inner, (1, 7)), _unit(inner, w(192), (7, 1))
        )
        two = nn.Sequential(
            _unit(now, inner, 1),
            _unit(inner, inner, (7, 1)),
            _unit(inner, inner, (1, 7)),
            _unit(inner, inner, (7, 1)),
            _unit(inner, w(192), (1, 7)),
        )
        layers.append(_Branches(_unit(now, w(192), 1), one, two, pool(w(192))))
        now = 4 * w(192)
    small = nn.Sequential(_unit(now, w(192), 1), _unit(w(192), w(320), 3, 2))
    seven = nn.Sequential(
        _unit(now, w(192), 1),
        _unit(w(192), w(192), (1, 7)),
        _unit(w(192), w(192), (7, 1)),
        _unit(w(192), w(192), 3, 2),
    )
    layers.append(_Branches(small, seven, nn.MaxPool2d(3, 2, 1)))
    now += w(320) + w(192)
    for _ in range(2):
        wide = w(384)
        split = _Branches(_unit(wide, wide, (1, 3)), _unit(wide, wide, (3, 1)))
        deep = _Branches(_unit(wide, wide, (1, 3)), _unit(wide, wide, (3, 1)))
        layers.append(
            _Branches(
                _unit(now, w(320), 1),
                nn.Sequential(_unit(now, wide, 1), split),
                nn.Sequential(_unit(now, w(448), 1), _unit(w(448), wide), deep),
                pool(w(192)),
            )
        )
        now = w(320) + 4 * wide + w(192)
    return nn.Sequential(*layers, *_head(now, classes))


class _Attention(nn.Module):
    """A transformer's layer, normalised first; written out so that every exporter takes it."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mixed = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.inner, self.outer = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        n, tokens, width = x.shape
        mixed = self.mixed(self.first(x)).reshape(n, tokens, 3, self.heads, width // self.heads)
        query, key, value = mixed.permute(2, 0, 3, 1, 4).unbind(0)
        scores = query @ key.transpose(-2, -1) * (width // self.heads) ** -0.5
        attended = (torch.softmax(scores, dim=-1) @ value).transpose(1, 2).reshape(n, tokens, width)
        x = x + self.out(attended)
        fed: Tensor = x + self.outer(torch.relu(self.inner(self.second(x))))
        return fed


class _Vit(nn.Module):
    def __init__(self, channels: int, size: int, classes: int, width: float) -> None:
        super().__init__()
        wide = max(16, int(128 * width) // 16 * 16)
        patch = max(4, size // 8)
        self.patches = nn.Conv2d(channels, wide, patch, patch)
        self.places = nn.Parameter(0.02 * torch.randn(1, (size // patch) ** 2, wide))
        self.layers = nn.Sequential(*(_Attention(wide, 4) for _ in range(4)))
        self.norm = nn.LayerNorm(wide)
        self.classifier = nn.Linear(wide, classes)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patches(x).flatten(2).transpose(1, 2) + self.places
        logits: Tensor = self.classifier(self.norm(self.layers(tokens)).mean(1))
        return logits


NETWORKS: dict[str, Make] = {
    "mobilenet_v1": _mobilenet_v1,
    "mobilenet_v2": _mobilenet_v2,
    "mobilenet_v3_small": _mobilenet_v3(_V3_SMALL, 576, 1024),
    "mobilenet_v3_large": _mobilenet_v3(_V3_LARGE, 960, 1280),
    "efficientnet_b0": _efficientnet(lite=False),
    "efficientnet_lite0": _efficientnet(lite=True),
    "resnet8": _resnet8,
    "resnet18": _resnet18,
    "inception_v3": _inception_v3,
    "vit": _Vit,
}
