import io
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from nas_service.datasets import ingest
from nas_service.datasets.answers import parse
from nas_service.datasets.archives import unpack
from nas_service.datasets.fitting import fitted
from nas_service.errors import InvalidData
from nas_service.learning.image_classification.data import load


def _folder(root: Path, *, classes: int = 2, each: int = 12) -> Path:
    generator = np.random.default_rng(0)
    for name in range(classes):
        (root / f"class{name}").mkdir(parents=True)
        for i in range(each):
            pixels = generator.integers(0, 255, (20, 26, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(root / f"class{name}" / f"{i}.png")
    return root


def test_a_folder_of_class_folders_becomes_a_data_set(tmp_path: Path) -> None:
    found = ingest.ingest(_folder(tmp_path / "data"))
    assert found.images.shape == (24, 20, 20, 3)
    assert found.classes == ("class0", "class1")
    assert np.bincount(found.split, minlength=3).min() >= 4


def test_the_same_pictures_in_other_given_parts_are_another_data_set(tmp_path: Path) -> None:
    """What was trained on the one may have seen what the other tests on."""
    generator = np.random.default_rng(0)
    pictures = generator.integers(0, 255, (24, 20, 20, 3)).astype(np.uint8)
    found = []
    for turn in range(2):
        for number, pixels in enumerate(pictures):
            part = ("train", "train", "val", "test")[(number // 2 + turn) % 4]
            place = tmp_path / f"s{turn}" / part / f"class{number % 2}" / f"{number}.png"
            place.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(place)
        found.append(ingest.ingest(tmp_path / f"s{turn}"))
    assert {one.tobytes() for one in found[0].images} == {one.tobytes() for one in found[1].images}
    assert found[0].digest != found[1].digest


def test_splits_are_fixed_by_content_and_not_by_order(tmp_path: Path, toy_arrays: Path) -> None:
    first = ingest.ingest(toy_arrays)
    again = ingest.ingest(toy_arrays)
    assert first.digest == again.digest
    assert np.array_equal(first.split, again.split)
    with np.load(toy_arrays) as arrays:
        np.savez(tmp_path / "other.npz", x=arrays["x"] ^ 1, y=arrays["y"])
    assert ingest.ingest(tmp_path / "other.npz").digest != first.digest


def test_no_image_is_in_two_splits_and_classes_are_spread_evenly(toy_arrays: Path) -> None:
    found = ingest.ingest(toy_arrays)
    for part in range(3):
        counts = np.bincount(found.labels[found.split == part], minlength=2)
        assert counts[0] == counts[1] > 0


def test_the_digits_are_real_and_split_by_fifths() -> None:
    found = ingest.digits()
    assert found.images.shape == (1797, 8, 8, 1)
    counts = np.bincount(found.split)
    assert counts.sum() == 1797
    assert counts[1] == pytest.approx(359, abs=5)
    assert counts[2] == pytest.approx(718, abs=10)  # two fifths: few test images tell little


def test_the_stored_form_reads_back(tmp_path: Path, toy_arrays: Path) -> None:
    found = ingest.ingest(toy_arrays)
    found.save(tmp_path / "stored.npz")
    data = load(tmp_path / "stored.npz", max_train=50)
    assert len(data.train) == 50
    assert data.train.inputs.shape[1:] == (1, 8, 8)
    prepared = data.prepared(data.train.inputs, 8)
    assert abs(float(prepared.mean())) < 0.05
    assert data.prepared(data.train.inputs, 6).shape == (50, 1, 6, 6)


def _parquet(path: Path, labels: list[int], content: list[bytes | None]) -> Path:
    struct = pa.array([{"bytes": c, "path": None} for c in content])
    pq.write_table(pa.table({"image": struct, "label": labels}), path)
    return path


def _png(seed: int = 1) -> bytes:
    stream = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 255, (8, 8, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def test_image_parquet_is_read(tmp_path: Path) -> None:
    path = _parquet(tmp_path / "d.parquet", [0, 1] * 12, [_png(i) for i in range(24)])
    assert ingest.ingest(path).images.shape == (24, 8, 8, 3)


def test_a_test_file_keeps_its_images_for_testing(tmp_path: Path) -> None:
    _parquet(tmp_path / "train.parquet", [0, 1] * 20, [_png(i) for i in range(40)])
    _parquet(tmp_path / "test.parquet", [0, 1] * 5, [_png(100 + i) for i in range(10)])
    assert np.bincount(ingest.ingest(tmp_path).split).tolist()[2] == 10


def _save(path: Path, **arrays: np.ndarray) -> Path:
    np.savez(path, **arrays)
    return path


GOOD = np.zeros((40, 8, 8, 3), np.uint8)
LABELS = np.arange(40) % 2


@pytest.mark.parametrize(
    ("arrays", "named"),
    [
        ({"x": GOOD, "y": np.zeros(40, int)}, "has one class"),
        ({"x": GOOD, "y": np.where(np.arange(40) == 7, -1, LABELS)}, "row 7: label -1"),
        ({"x": GOOD, "y": np.where(np.arange(40) == 7, 999, LABELS)}, "row 7: label 999"),
        ({"x": GOOD, "y": LABELS[:5]}, "expected 40 labels"),
        ({"x": GOOD[..., 0, 0], "y": LABELS}, "x has shape"),
        ({"x": GOOD}, "no array 'y'"),
        ({"x": np.full(GOOD.shape, np.nan), "y": LABELS}, "row 0: pixels of x are not finite"),
        ({"x": GOOD[:12], "y": np.array([0] * 11 + [1])}, "class '1' has 1 images"),
    ],
)
def test_bad_arrays_are_refused_by_name(
    tmp_path: Path, arrays: dict[str, np.ndarray], named: str
) -> None:
    with pytest.raises(InvalidData, match=named):
        ingest.ingest(_save(tmp_path / "bad.npz", **arrays))


def test_a_corrupt_image_is_named(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "data")
    (folder / "class1" / "3.png").write_bytes(b"\x89PNG broken")
    with pytest.raises(InvalidData, match=r"class1/3.png: corrupt image"):
        ingest.ingest(folder)


def test_a_corrupt_parquet_row_is_named(tmp_path: Path) -> None:
    content: list[bytes | None] = [_png(i) for i in range(24)]
    content[5] = b"nothing"
    path = _parquet(tmp_path / "d.parquet", [0, 1] * 12, content)
    with pytest.raises(InvalidData, match="row 5: corrupt image"):
        ingest.ingest(path)


def test_pickled_arrays_are_not_opened(tmp_path: Path) -> None:
    path = _save(tmp_path / "p.npz", x=GOOD, y=np.array([{"a": 1}] * 40, dtype=object))
    with pytest.raises(InvalidData, match="not a readable"):
        ingest.ingest(path)


def test_an_archive_cannot_write_outside_its_folder(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("../evil.png", b"x")
    with pytest.raises(InvalidData, match="points outside"):
        unpack(tmp_path / "a.zip", tmp_path / "out")
    assert not (tmp_path / "evil.png").exists()


def test_photographs_are_cut_one_at_a_time(tmp_path: Path) -> None:
    side = 1200
    for label, colour in (("dark", 20), ("bright", 220)):
        (tmp_path / label).mkdir()
        for i in range(10):
            Image.new("RGB", (side, side), (colour, i, 0)).save(tmp_path / label / f"{i}.png")
    tracemalloc.start()
    try:
        made = ingest.ingest(tmp_path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert made.images.shape == (20, 224, 224, 3)
    assert sorted({int(one) for one in made.images[..., 0].ravel()}) == [20, 220]
    assert peak < 0.5 * 20 * side * side * 3  # half of all twenty as they were


def test_a_photograph_that_is_cut_off_is_named(tmp_path: Path) -> None:
    for label in ("a", "b"):
        (tmp_path / label).mkdir()
        for i in range(10):
            noise = np.random.default_rng(i).integers(0, 255, (64, 64, 3), dtype=np.uint8)
            Image.fromarray(noise).save(tmp_path / label / f"{i}.jpg")
    whole = (tmp_path / "b" / "3.jpg").read_bytes()
    (tmp_path / "b" / "3.jpg").write_bytes(whole[: len(whole) // 2])  # its header is fine
    with pytest.raises(InvalidData, match=r"b/3\.jpg: corrupt image"):
        ingest.ingest(tmp_path)


def test_arrays_without_an_image_are_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "none.npz", x=np.zeros((0, 8, 8, 1)), y=np.zeros(0, int))
    with pytest.raises(InvalidData, match="no images"):
        ingest.ingest(tmp_path / "none.npz")


def test_mean_and_deviation_are_those_of_all_training_pixels(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (2300, 8, 8, 3), dtype=np.uint8)
    split = (np.arange(2300) >= 2200).astype(np.int64) + (np.arange(2300) >= 2250)
    np.savez(tmp_path / "s.npz", images=images, labels=np.arange(2300) % 2, split=split)
    found = load(tmp_path / "s.npz")
    pixels = images[split == 0].reshape(-1, 3) / 255.0
    assert found.mean == pytest.approx(pixels.mean(0), abs=1e-9)
    assert found.std == pytest.approx(pixels.std(0, ddof=1), abs=1e-9)


def test_photographs_decoded_at_a_part_of_their_size_look_the_same(tmp_path: Path) -> None:
    for label in ("a", "b"):
        (tmp_path / label).mkdir()
        for i in range(10):
            small = np.random.default_rng(ord(label) + i).integers(
                0, 256, (40, 60, 3), dtype=np.uint8
            )
            photo = Image.fromarray(small).resize((1800, 1200), Image.Resampling.BICUBIC)
            photo.save(tmp_path / label / f"{i}.jpg", quality=92)
    whole = {
        fitted(np.asarray(Image.open(file)), 32).tobytes(): file for file in tmp_path.rglob("*.jpg")
    }
    found = ingest.ingest(tmp_path, parse({"image_size": 32}))
    expected = np.array([np.frombuffer(one, np.uint8) for one in whole], dtype=np.int16)
    for image in found.images:
        apart = np.abs(expected - image.ravel().astype(np.int16))
        best = apart[apart.mean(axis=1).argmin()]
        assert best.mean() < 0.6
        levels = best.reshape(32, 32, 3)
        assert levels[1:-1, 1:-1].max() <= 4
        assert levels.max() <= 8  # the square's edge runs through pixels of the smaller picture


def _table(folder: Path, header: str, row: str) -> Path:
    """Pictures and a table of them; `row` is filled with the picture's number modulo two."""
    (folder / "p").mkdir(parents=True)
    generator = np.random.default_rng(0)
    lines = [header]
    for number in range(36):
        pixels = generator.integers(0, 255, (20, 20, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / "p" / f"{number}.png")
        lines.append(f"p/{number}.png," + row.format(n=number % 2, other=number % 3))
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")
    return folder


def test_of_two_columns_that_divide_pictures_otherwise_none_is_chosen(tmp_path: Path) -> None:
    found = ingest.inspect(
        _table(tmp_path / "d", "file,label,class", "{n},{other}"), parse({}), tell=lambda *_: None
    )
    (question,) = found.report.as_dict()["questions"]
    assert "which column holds the labels" in question["text"]
    assert [one["option"] for one in question["alternatives"]] == [
        "--label-column label",
        "--label-column class",
    ]
    answered = ingest.ingest(tmp_path / "d", parse({"label_column": "class"}))
    assert answered.classes == ("0", "1", "2")


def test_a_class_with_its_number_and_its_name_is_one(tmp_path: Path) -> None:
    found = ingest.ingest(_table(tmp_path / "d", "file,label,class_name", "{n},kind {n}"))
    assert found.classes == ("0", "1")
