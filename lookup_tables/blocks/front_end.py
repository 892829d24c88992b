"""The front of a network on long signals: energies in bands of frequency, fixed and not learned.

Frames that overlap by half are windowed (Hann) and taken apart into frequencies, energies are
summed in triangular bands on the mel scale, and their logarithm is taken (log-mel); with
`coefficients`, a cosine transform of these follows (MFCC; Davis and Mermelstein, 1980). All of it
are convolutions with fixed weights, which every runtime has. Bands are those of sound at 16 kHz:
of other signals the scale is the same, from nothing to half of the sampling rate.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from lookup_tables.blocks.base import Block, GraphBuilder, Layer
from lookup_tables.errors import LookupTableError

LEAST_ENERGY = 1e-5
"""Added before the logarithm."""
_NYQUIST_HZ = 8000.0
_SMALL_STEPS = 64

Array = npt.NDArray[np.float32]


@dataclass(frozen=True, order=False)
class FrontEndBlock(Block):
    """See the module's text; `frame` steps are taken apart together, half of them at a time."""

    kind = "front_end"
    shares_weights = True

    channels: int
    steps: int
    frame: int
    bands: int
    coefficients: int = 0

    def __post_init__(self) -> None:
        for name, value in self.sizes.items():
            least = 0 if name == "coefficients" else 1
            if value < least:
                raise LookupTableError(f"{name} of a block is {value}, must be >= {least}")
        if self.frame % 2 or self.frame > self.steps:
            raise LookupTableError(
                f"frame of a block is {self.frame}; it is even, and within {self.steps} steps"
            )
        if self.bands > self.bins or self.coefficients > self.bands:
            raise LookupTableError(
                f"a block of {self.bins} frequencies has at most as many bands, and at most as "
                f"many coefficients as bands: {self.bands}, {self.coefficients}"
            )

    @property
    def bins(self) -> int:
        """Frequencies of a frame, from none to half of the sampling rate."""
        return self.frame // 2 + 1

    @property
    def hop(self) -> int:
        """Steps from frame to frame."""
        return self.frame // 2

    @property
    def frames(self) -> int:
        """Steps of the output."""
        return (self.steps - self.frame) // self.hop + 1

    @property
    def out_channels(self) -> int:
        """Channels of the output."""
        return self.channels * (self.coefficients or self.bands)

    @property
    def inputs(self) -> Mapping[str, tuple[int, ...]]:
        """See `Block.inputs`."""
        return {"input": (1, self.channels, self.steps)}

    @property
    def output_shape(self) -> tuple[int, ...]:
        """See `Block.output_shape`."""
        return (1, self.out_channels, self.frames)

    def layers(self) -> Sequence[Layer]:
        """See `Block.layers`: groups of a channel each."""
        n, frames = self.channels, self.frames
        found = [
            Layer(frames, 1, 2 * n * self.bins, self.frame, normalised=False),
            Layer(frames, 2 * self.bins, n * self.bands, normalised=False),
        ]
        if self.coefficients:
            found.append(Layer(frames, self.bands, n * self.coefficients, normalised=False))
        return found

    @property
    def parameters(self) -> int:
        """See `Block.parameters`: nothing is trained."""
        return 0

    @property
    def weights(self) -> int:
        """See `Block.weights`: without biases."""
        return sum(one.kernel_weights for one in self.layers())

    def weight_shapes(self) -> Mapping[str, tuple[int, ...]]:
        """See `Block.weight_shapes`."""
        n = self.channels
        shapes = {
            "spectrum.weight": (2 * n * self.bins, 1, self.frame),
            "bands.weight": (n * self.bands, 2 * self.bins, 1),
        }
        if self.coefficients:
            shapes["cepstrum.weight"] = (n * self.coefficients, self.bands, 1)
        return shapes

    def fixed_weights(self) -> dict[str, Array]:
        """The weights themselves, which follow from the sizes."""
        n = self.channels
        waves = np.concatenate(_waves(self.frame))
        found = {
            "spectrum.weight": np.tile(waves[:, None, :], (n, 1, 1)),
            "bands.weight": np.tile(
                np.concatenate([_mel_bands(self.bands, self.bins)] * 2, axis=1)[:, :, None],
                (n, 1, 1),
            ),
        }
        if self.coefficients:
            turned = _cosines(self.coefficients, self.bands)
            found["cepstrum.weight"] = np.tile(turned[:, :, None], (n, 1, 1))
        return {name: one.astype(np.float32) for name, one in found.items()}

    def build(self, graph: GraphBuilder, inputs: Sequence[str]) -> str:
        """See `Block.build`."""

        def convolved(x: str, name: str, kernel: int = 1, stride: int = 1) -> str:
            return graph.node(
                "Conv",
                [x, f"{name}.weight"],
                kernel_shape=[kernel],
                strides=[stride],
                group=self.channels,
            )

        x = convolved(inputs[0], "spectrum", self.frame, self.hop)
        x = convolved(graph.node("Mul", [x, x]), "bands")
        least = graph.node("Constant", [], value_float=LEAST_ENERGY)
        x = graph.node("Log", [graph.node("Add", [x, least])])
        return convolved(x, "cepstrum") if self.coefficients else x

    def narrowed(self, width: float) -> FrontEndBlock:
        """See `Block.narrowed`: nothing of it goes."""
        del width
        return self

    def small(self) -> FrontEndBlock:
        """See `Block.small`."""
        coefficients = 2 if self.coefficients else 0
        return replace(
            self, channels=1, steps=_SMALL_STEPS, frame=16, bands=4, coefficients=coefficients
        )

    def live_numbers(self, *, reads_sample: bool = False) -> int:
        """See `Block.live_numbers`; each layer reads what the one before it gave."""
        given = 0 if reads_sample else self.channels * self.steps
        spectrum = 2 * self.channels * self.bins * self.frames
        bands = self.channels * self.bands * self.frames
        return max(given + spectrum, 2 * spectrum, spectrum + bands, bands + self.output_numbers)

    @property
    def numbers_inside(self) -> int:
        """See `Block.numbers_inside`."""
        return 2 * self.channels * self.frames * (4 * self.bins + 2 * self.bands)

    def features(self) -> Mapping[str, float]:
        """See `Block.features`."""
        return {
            **{f"log_{name}": math.log1p(value) for name, value in self.sizes.items()},
            "log_work": math.log(self.macs),
            "log_frames": math.log(self.frames),
        }


def _waves(frame: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Real and imaginary part of every frequency of a windowed frame: `(bins, frame)` each.

    A full wave has about an energy of one.
    """
    at = np.arange(frame)
    window = np.hanning(frame + 1)[:-1]
    turns = 2.0 * np.pi * np.arange(frame // 2 + 1)[:, None] * at / frame
    scale = window / np.sqrt(np.square(window).sum() * frame / 4.0)
    return np.cos(turns) * scale, -np.sin(turns) * scale


def _mel_bands(bands: int, bins: int) -> npt.NDArray[np.float64]:
    """Triangles between neighbours: `(bands, bins)`, each with one frequency at least."""
    hertz = np.linspace(0.0, _NYQUIST_HZ, bins)
    mel = 2595.0 * np.log10(1.0 + hertz / 700.0)
    edges = np.linspace(0.0, mel[-1], bands + 2)
    low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising, falling = (mel - low) / (middle - low), (high - mel) / (high - middle)
    found = np.clip(np.minimum(rising, falling), 0.0, None)
    nearest = np.abs(mel - middle).argmin(axis=1)
    rows = np.arange(bands)
    empty = found.sum(axis=1) == 0.0
    found[rows[empty], nearest[empty]] = 1.0
    return np.asarray(found)


def _cosines(coefficients: int, bands: int) -> npt.NDArray[np.float64]:
    """The first rows of the orthonormal cosine transform (II): `(coefficients, bands)`."""
    turns = np.pi / bands * np.arange(coefficients)[:, None] * (np.arange(bands) + 0.5)
    found = np.sqrt(2.0 / bands) * np.cos(turns)
    found[0] /= np.sqrt(2.0)
    return np.asarray(found)
