"""A block: one fusible group of operators with its sizes, and what follows from the sizes alone.

The kinds, in the order in which their operators run (all convolutions carry a bias, into which
batch normalisation has been folded):

`conv`                 convolution
`conv_relu`            convolution, ReLU
`relu_conv`            ReLU, convolution (the operator of NAS-Bench-201 cells)
`mbconv`               1x1 expansion, ReLU (left out where `mid_channels == in_channels`);
                       depthwise convolution, ReLU; squeeze-excitation (where `se_channels > 0`);
                       1x1 projection; addition of the input (where `residual`)
`head`                 1x1 convolution to `mid_channels`, ReLU, global average pool, linear
`norm_head`            scale and shift, ReLU, global average pool, linear
`residual_reduction`   ReLU, convolution of stride 2, ReLU, convolution; beside it a 2x2 average
                       pool and a 1x1 convolution; the sum of both
`avg_pool`             3x3 average pool, padding not counted
`add`                  sum of `terms` tensors
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from lookup_tables.errors import LookupTableError

KINDS = (
    "conv",
    "conv_relu",
    "relu_conv",
    "mbconv",
    "head",
    "norm_head",
    "residual_reduction",
    "avg_pool",
    "add",
)


@dataclass(frozen=True, slots=True, order=True)
class Block:
    """One block. `height` and `width` are those of its input; sizes that do not apply are zero."""

    kind: str
    in_channels: int
    out_channels: int
    height: int
    width: int
    kernel: int = 1
    stride: int = 1
    mid_channels: int = 0
    se_channels: int = 0
    residual: int = 0
    terms: int = 1

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise LookupTableError(f"unknown block kind {self.kind!r}; known: {', '.join(KINDS)}")
        for name in ("in_channels", "out_channels", "height", "width", "kernel", "stride", "terms"):
            if getattr(self, name) < 1:
                raise LookupTableError(f"{name} of a block is {getattr(self, name)}, must be >= 1")
        if self.residual and (self.stride != 1 or self.in_channels != self.out_channels):
            raise LookupTableError("a residual block keeps its channels and has stride 1")

    @property
    def key(self) -> str:
        """The block as a short text that names every size that is not its default."""
        parts = [self.kind]
        for name in _SIZES:
            value = getattr(self, name)
            if value != _DEFAULTS.get(name):
                parts.append(f"{_SHORT[name]}{value}")
        return "-".join(parts)

    @property
    def variant(self) -> str:
        """Kind, kernel and number of terms: blocks that a runtime treats alike in a network."""
        return f"{self.kind}-k{self.kernel}-t{self.terms}"

    @property
    def out_height(self) -> int:
        """Height of the output; heads give one row."""
        return 1 if self.kind in {"head", "norm_head"} else -(-self.height // self.stride)

    @property
    def out_width(self) -> int:
        """Width of the output; heads give one column."""
        return 1 if self.kind in {"head", "norm_head"} else -(-self.width // self.stride)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of convolutions and linear layers for one image."""
        return _count(self)[0]

    @property
    def parameters(self) -> int:
        """Trained parameters of the torch module, batch normalisation's two a channel included."""
        return _count(self)[1]

    @property
    def weights(self) -> int:
        """Numbers in the exported graph: normalisation folded into one bias a channel."""
        return _count(self)[2]

    @property
    def n_layers(self) -> int:
        """Operators that a runtime dispatches: convolutions and linear layers, at least one."""
        return max(1, len(_layers(self)))


_SIZES = tuple(field.name for field in fields(Block) if field.name != "kind")
_DEFAULTS = {
    "kernel": 1,
    "stride": 1,
    "mid_channels": 0,
    "se_channels": 0,
    "residual": 0,
    "terms": 1,
}
_SHORT = {
    "in_channels": "i",
    "out_channels": "o",
    "height": "h",
    "width": "w",
    "kernel": "k",
    "stride": "s",
    "mid_channels": "m",
    "se_channels": "se",
    "residual": "r",
    "terms": "t",
}


@dataclass(frozen=True, slots=True)
class _Layer:
    """A convolution or linear layer: output pixels, and how its weights are laid out."""

    pixels: int
    inputs: int
    outputs: int
    kernel: int = 1
    normalised: bool = True

    @property
    def kernel_weights(self) -> int:
        return self.inputs * self.outputs * self.kernel * self.kernel


def _layers(block: Block) -> list[_Layer]:
    """The layers of a block; a depthwise one has a single input per output."""
    pixels_in = block.height * block.width
    pixels_out = block.out_height * block.out_width
    if block.kind in {"conv", "conv_relu", "relu_conv"}:
        return [_Layer(pixels_out, block.in_channels, block.out_channels, block.kernel)]
    if block.kind == "mbconv":
        layers = []
        if block.mid_channels != block.in_channels:
            layers.append(_Layer(pixels_in, block.in_channels, block.mid_channels))
        layers.append(_Layer(pixels_out, 1, block.mid_channels, block.kernel))
        if block.se_channels:
            layers.append(_Layer(1, block.mid_channels, block.se_channels, normalised=False))
            layers.append(_Layer(1, block.se_channels, block.mid_channels, normalised=False))
        return [*layers, _Layer(pixels_out, block.mid_channels, block.out_channels)]
    if block.kind == "head":
        return [
            _Layer(pixels_in, block.in_channels, block.mid_channels),
            _Layer(1, block.mid_channels, block.out_channels, normalised=False),
        ]
    if block.kind == "norm_head":
        return [_Layer(1, block.in_channels, block.out_channels, normalised=False)]
    if block.kind == "residual_reduction":
        return [
            _Layer(pixels_out, block.in_channels, block.out_channels, 3),
            _Layer(pixels_out, block.out_channels, block.out_channels, 3),
            _Layer(pixels_out, block.in_channels, block.out_channels, normalised=False),
        ]
    return []


def _count(block: Block) -> tuple[int, int, int]:
    """MACs, trained parameters and exported weights of a block."""
    layers = _layers(block)
    macs = sum(layer.pixels * layer.kernel_weights for layer in layers)
    kernels = sum(layer.kernel_weights for layer in layers)
    parameters = kernels + sum((2 if one.normalised else 1) * one.outputs for one in layers)
    weights = kernels + sum(layer.outputs for layer in layers)
    if block.kind == "residual_reduction":  # its shortcut convolution has no bias in training
        parameters -= block.out_channels
    if block.kind == "norm_head":
        parameters += 2 * block.in_channels
        weights += 2 * block.in_channels
    return macs, parameters, weights
