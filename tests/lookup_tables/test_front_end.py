"""The front of networks on signals: against scipy's transforms, and by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import fft, signal

from lookup_tables.blocks.front_end import LEAST_ENERGY, FrontEndBlock
from lookup_tables.errors import LookupTableError
from nas_service.networks.blocks.front_end import FrontEnd


def _given(block: FrontEndBlock) -> np.ndarray:
    shape = (2, block.channels, block.steps)
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def _made(block: FrontEndBlock, x: np.ndarray) -> np.ndarray:
    return FrontEnd(block)(torch.from_numpy(x)).numpy()


def test_energies_are_those_of_scipys_transform() -> None:
    block = FrontEndBlock(2, 400, 64, 20)
    x = _given(block)
    window = signal.get_window("hann", 64)
    _, _, spectrum = signal.stft(
        x, window=window, nperseg=64, noverlap=32, boundary=None, padded=False
    )
    # scipy divides by the window's sum, ours by its energy times a quarter of the frame
    scale = window.sum() ** 2 / (np.square(window).sum() * 64 / 4)
    bands = block.fixed_weights()["bands.weight"][:20, :33, 0]
    energies = np.einsum("bf,ncft->ncbt", bands, np.abs(spectrum) ** 2 * scale)
    expected = np.log(energies + LEAST_ENERGY).reshape(2, 40, -1)
    assert block.frames == expected.shape[2] == 11
    assert np.allclose(_made(block, x), expected, atol=1e-3)


def test_coefficients_are_scipys_cosine_transform_of_the_bands() -> None:
    bands, coefficients = FrontEndBlock(1, 400, 64, 20), FrontEndBlock(1, 400, 64, 20, 11)
    x = _given(bands)
    expected = fft.dct(_made(bands, x), type=2, axis=1, norm="ortho")[:, :11]
    assert np.allclose(_made(coefficients, x), expected, atol=1e-4)


def test_bands_lie_as_far_apart_as_one_hears_them() -> None:
    bands = FrontEndBlock(1, 1024, 512, 26).fixed_weights()["bands.weight"][:, :257, 0]
    middles = np.linspace(0.0, 8000.0, 257)[bands.argmax(axis=1)]
    # 26 bands to 8 kHz, 2595 log10(1 + f / 700): the tenth is at 1,029 mel or 1,043 Hz of 2,840
    assert middles[9] == pytest.approx(700 * (10 ** (2840.0 * 10 / 27 / 2595) - 1), abs=20)
    assert (np.diff(middles) >= 0).all()
    assert (bands.sum(axis=1) > 0).all()
    few = FrontEndBlock(1, 64, 16, 5).fixed_weights()["bands.weight"]
    assert (few.sum(axis=1) > 0).all()


def test_a_wave_is_in_the_band_of_its_frequency() -> None:
    block = FrontEndBlock(1, 1024, 256, 24)
    bands = block.fixed_weights()["bands.weight"][:, :129, 0]
    for frequency in (6, 20, 64, 110):
        wave = np.sin(2 * np.pi * frequency / 256 * np.arange(1024)).astype(np.float32)
        found = _made(block, wave[None, None])[0].mean(axis=1)
        assert bands[int(found.argmax()), frequency] == bands[:, frequency].max()


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        ((1, 64, 15, 4), "it is even"),
        ((1, 64, 128, 4), "within 64 steps"),
        ((1, 64, 16, 10), "at most as many bands"),
        ((1, 64, 16, 4, 5), "at most as many coefficients as bands"),
        ((0, 64, 16, 4), "channels of a block is 0"),
    ],
)
def test_sizes_that_cannot_be_are_refused(sizes: tuple[int, ...], said: str) -> None:
    with pytest.raises(LookupTableError, match=said):
        FrontEndBlock(*sizes)
