"""Pictures of any mode, depth and orientation become the pixels that everybody sees."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nas_service.datasets.answers import parse
from nas_service.datasets.ingest import ingest
from nas_service.datasets.inspection import inspect
from nas_service.datasets.pictures import Picture, Reading, header, pixels
from nas_service.datasets.report import Undecided
from nas_service.errors import InvalidData
from nas_service.templates.preprocess import Preprocessing
from tests.folders_of_pictures import X, Y, folders, noise, question


def test_sixteen_bits_are_scaled_to_their_whole_range(tmp_path: Path) -> None:
    for name, top in (("half", 32767), ("full", 65535)):
        (tmp_path / name).mkdir()
        ramp = (np.linspace(0, 1, 256).reshape(16, 16) * top).astype(np.uint16)
        for i in range(15):
            Image.fromarray(np.roll(ramp, i, axis=1)).save(tmp_path / name / f"{i}.png")
    found = ingest(tmp_path)
    largest = [found.images[found.labels == i].max() for i in range(2)]
    assert found.classes == ("full", "half")
    assert largest[0] == 255
    assert largest[1] == pytest.approx(127.5, abs=1)
    assert any("0 is black, 65535 white" in line for line in found.report["reading"])


def test_twelve_bits_in_sixteen_are_asked(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for i in range(12):
            values = np.random.default_rng(i).integers(0, 4096, (16, 16)).astype(np.uint16)
            Image.fromarray(values + ord(name[0]) % 2).save(tmp_path / name / f"{i}.tif")
    with pytest.raises(Undecided) as error:
        ingest(tmp_path)
    assert "--value-range 0,4095" in question(error)
    found = ingest(tmp_path, parse({"value_range": "0,4095"}))
    assert found.images.max() > 250


@pytest.mark.parametrize("value", [1.0001, 1.7])
def test_a_float_above_one_does_not_change_the_scale_of_all(tmp_path: Path, value: float) -> None:
    generator = np.random.default_rng(5)
    x = (generator.integers(0, 256, (60, 12, 12, 3)) / 255).astype(np.float32)
    x[3, 0, 0, 0] = value
    np.savez(tmp_path / "d.npz", x=x, y=np.arange(60) % 2)
    with pytest.raises(Undecided, match="row 3") as error:
        ingest(tmp_path / "d.npz")
    assert "--value-range 0,1" in question(error)
    found = ingest(tmp_path / "d.npz", parse({"value_range": "0,1"}))
    assert 100 < found.images.mean() < 155


def test_pictures_are_stored_upright(tmp_path: Path) -> None:
    turns = {1: 0, 3: 2, 6: 1, 8: 3}
    for name, seed in (("a", 0), ("b", 1)):
        (tmp_path / name).mkdir()
        generator = np.random.default_rng(seed)
        for orientation, quarter in turns.items():
            for i in range(5):
                pixels = generator.integers(0, 60, (32, 32, 3), dtype=np.uint8)
                pixels[:8] += 190
                meta = Image.Exif()
                meta[0x0112] = orientation
                turned = Image.fromarray(np.rot90(pixels, quarter).copy())
                turned.save(tmp_path / name / f"{orientation}_{i}.jpg", exif=meta, quality=95)
    found = ingest(tmp_path)
    assert (found.images[:, :6].mean(axis=(1, 2, 3)) > 180).all()
    assert (found.images[:, 10:].mean(axis=(1, 2, 3)) < 80).all()
    assert "30 pictures turned upright as their EXIF orientation says" in found.report["reading"]


@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
@pytest.mark.parametrize("mode", ["RGB", "L", "I;16"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_turned_tiffs_are_read_upright(
    tmp_path: Path, orientation: int, mode: str, compression: str | None
) -> None:
    """Against the same pixels in a PNG with the same tag, whose sides the library does not turn."""
    generator = np.random.default_rng(4)
    sides = (20, 24, 3) if mode == "RGB" else (20, 24)
    top = 60_000 if mode == "I;16" else 256
    stored = generator.integers(0, top, sides).astype(np.uint16 if mode == "I;16" else np.uint8)
    tags = Image.Exif()
    tags[0x0112] = orientation
    paths = tmp_path / "a.tif", tmp_path / "a.png"
    Image.fromarray(stored).save(paths[0], exif=tags, compression=compression)
    Image.fromarray(stored).save(paths[1], exif=tags)
    tiff, png = (Picture(one.name, "", one) for one in paths)
    assert np.array_equal(pixels(tiff, Reading()), pixels(png, Reading()))
    sides_of = {(told.height, told.width) for told in (header(tiff), header(png))}
    assert sides_of == {(20, 24) if orientation < 5 else (24, 20)}
    assert header(tiff).turned == (orientation != 1)
    n = 3 if mode == "RGB" else 1
    in_bundle = Preprocessing({"size": 16, "channels": n, "mean": [0.0] * n, "std": [1.0] * n})
    assert np.array_equal(in_bundle.file(paths[0]), in_bundle.file(paths[1]))


@pytest.mark.parametrize("bits", [8, 16])
def test_tiffs_that_count_from_white_on_are_no_negatives(tmp_path: Path, bits: int) -> None:
    shades = np.linspace(0, 2**bits - 1, 64).reshape(8, 8).astype(f"uint{bits}")
    stored = (2**bits - 1 - shades).astype(shades.dtype)
    Image.fromarray(stored).save(tmp_path / "white.tif", tiffinfo={262: 0})
    if bits == 8:  # the library turns these as it writes them
        Image.fromarray(shades).save(tmp_path / "white.tif", tiffinfo={262: 0})
    Image.fromarray(shades).save(tmp_path / "black.tif")
    white, black = (Picture(one, "", tmp_path / one) for one in ("white.tif", "black.tif"))
    found, wanted = (pixels(one, Reading()).astype(int) for one in (white, black))
    assert np.abs(found - wanted).max() <= 1
    in_bundle = Preprocessing({"size": 8, "channels": 1, "mean": [0.0], "std": [1.0]})
    of_both = (in_bundle.file(tmp_path / one) for one in ("white.tif", "black.tif"))
    assert np.allclose(*of_both, atol=2 / 255)


def _icons(root: Path, colour: int) -> Path:
    generator = np.random.default_rng(3)
    for name in ("arrows", "boxes"):
        (root / name).mkdir(parents=True)
        for i in range(15):
            pixels = np.full((16, 16, 4), colour, dtype=np.uint8)
            pixels[..., 3] = generator.integers(0, 2, (16, 16)) * 255
            Image.fromarray(pixels).save(root / name / f"{i}.png")
    return root


def test_alpha_is_composed_over_a_stated_background(tmp_path: Path) -> None:
    found = ingest(_icons(tmp_path, 0))
    assert len({image.tobytes() for image in found.images}) == 30
    assert "30 pictures have alpha: composed over #ffffff" in found.report["reading"]
    over = ingest(tmp_path, parse({"background": "#ff0000"}))
    assert (over.images[..., 0].max(), over.images[..., 1].max()) == (255, 0)


def test_white_drawings_over_white_are_asked_about(tmp_path: Path) -> None:
    _icons(tmp_path, 255)
    with pytest.raises(Undecided, match="show nothing over white") as error:
        ingest(tmp_path)
    assert "--background black" in question(error)
    assert len({i.tobytes() for i in ingest(tmp_path, parse({"background": "black"})).images}) == 30


def test_every_ending_that_can_be_read_is_read(tmp_path: Path) -> None:
    folders(tmp_path, "cats", "dogs")
    for number, ending in enumerate((".tif", ".jfif", ".jp2", ".tga", ".PCX")):
        folders(tmp_path / "more", f"class{number}", ending=ending)
    for place in (tmp_path / "more").iterdir():
        place.rename(tmp_path / place.name)
    (tmp_path / "more").rmdir()
    (tmp_path / "cats" / "no_ending").write_bytes((tmp_path / "cats" / "0_000.png").read_bytes()[:])
    found = ingest(tmp_path)
    assert found.classes == ("cats", *(f"class{i}" for i in range(5)), "dogs")
    assert len(found.labels) == 85


def test_arrays_beyond_eight_bits_and_with_alpha_are_read(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=X.astype(np.uint16) * 257, y=Y)
    assert np.array_equal(np.sort(ingest(tmp_path / "a.npz").images, None), np.sort(X, None))
    alpha = np.concatenate([np.zeros_like(X), X[..., :1]], axis=3)
    np.savez(tmp_path / "b.npz", x=alpha, y=Y)
    found = ingest(tmp_path / "b.npz")
    assert np.array_equal(np.sort(found.images[..., 0], None), np.sort(255 - X[..., 0], None))


def test_large_pictures_are_stored_as_large_as_asked(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for i in range(10):
            noise(i + 100 * ord(name), side=320).save(tmp_path / name / f"{i}.png")
    report = inspect(tmp_path).report
    assert any("--image-size keeps more" in line for line in report.reading)
    assert ingest(tmp_path, parse({"image_size": 320})).images.shape == (20, 320, 320, 3)


@pytest.mark.parametrize("values", [(-5.0, -2.0), (float("nan"), float("nan")), (0.0, 3e5)])
def test_odd_floating_pictures_are_asked_about_or_refused(
    values: tuple[float, float], tmp_path: Path
) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for i in range(10):
            pixels = np.linspace(*values, 256, dtype=np.float32).reshape(16, 16) + i
            Image.fromarray(pixels).save(tmp_path / name / f"{i}.tif")
    with pytest.raises(InvalidData):
        ingest(tmp_path)


def test_deep_pictures_that_are_cut_off_are_named(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for i in range(10):
            noise = np.random.default_rng(i).integers(0, 65536, (32, 32)).astype(np.uint16)
            Image.fromarray(noise).save(tmp_path / name / f"{i}.png")
            whole = (tmp_path / name / f"{i}.png").read_bytes()
            (tmp_path / name / f"{i}.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InvalidData, match=r"none of 20 pictures can be read, as a/0\.png"):
        ingest(tmp_path)
