"""Check the models of this bundle on the machine at hand: same outputs, and how fast.

Needs Python, numpy and onnxruntime:  python verify.py

Files are held against their digests; with --key KEY.pem, who signed these (see signed.py).
With samples of your own it says how many of them each model tells right:
    python verify.py SAMPLES
where SAMPLES is a folder of class folders of pictures (needs Pillow), or an .npz with `x` (pixels
in 8 bits, `(n, height, width, channels)`, or windows `(n, channels, steps)` of signals) and `y`
(class names, or their numbers). Of anomaly detection it is the AUC, of windows with labels; of
regression R2, of windows with numbers; of segmentation the mean intersection over union, of masks
`y` (n, height, width) of class numbers; of detection mAP50, of `boxes` (m, 4) in pixels with their
rows of `x` in `picture` and classes in `y`.
"""

from __future__ import annotations

import json
import sys
import time
import unicodedata
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

# largest difference of a logit relative to the largest, and least share of equal predictions
TOLERANCE = {"fp32": (1e-3, 0.999), "fp16": (None, 0.99), "int8": (None, 0.9)}
PICTURES = {
    *(".png", ".jpg", ".jpeg", ".jfif", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".pgm", ".ppm"),
}
NAMES, OLD_NAMES = ("inputs", "outputs"), ("images", "logits")


def main() -> int:
    """Check every model; the exit status is 1 where one does not give what it gave at home."""
    from signed import check, key_of  # type: ignore[import-not-found]  # beside this file

    here = Path(__file__).parent
    failed = int(not check(here, key_of(sys.argv)))
    named = here / "class_names.json"
    classes = json.loads(named.read_text()) if named.exists() else []
    report = json.loads((here / "report.json").read_text())
    print(
        f"{'model':<44}{'parity':<8}{'max diff':>10}{'agree':>8}{'here ms':>10}{'reported ms':>13}"
        + (f"{'samples right':>15}" if len(sys.argv) > 1 else "")
    )
    for row in report["files"]:
        if not row["published"]:
            continue
        folder = here / row["folder"]
        path = folder / row["file"]
        if path.suffix != ".onnx":
            print(f"{folder.name}/{path.name} is for another runtime than ONNX Runtime")
            continue
        reference = np.load(folder / row["parity"], allow_pickle=False)
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        # files of an earlier version have other names for the same
        old = "images" in reference
        images, logits = (reference[one] for one in (OLD_NAMES if old else NAMES))
        found = np.concatenate([joined(session.run(None, {name: one[None]})) for one in images])
        difference = float(np.abs(found - logits).max())
        said = json.loads((folder / "preprocessing.json").read_text())
        close = None if classes else 0.3 if "answer_steps" in said else 0.1
        if "grid" in said:
            agreement = same_boxes(found, logits, len(classes))
        else:
            agreement = same(found, logits, close)
        limit, least = TOLERANCE[row["precision"]]
        close = limit is None or difference <= limit * max(1.0, float(np.abs(logits).max()))
        good = close and agreement >= least
        failed += not good
        times = []
        for number in range(120):
            start = time.perf_counter()
            session.run(None, {name: images[:1]})
            if number >= 20:
                times.append((time.perf_counter() - start) * 1e3)
        label = f"{folder.name}/{path.name}"
        print(
            f"{label:<44}{'ok' if good else 'FAILED':<8}{difference:>10.2g}{agreement:>8.1%}"
            f"{np.median(times):>10.3f}{row['measured_latency_ms']:>13.3f}"
            + (right(sys.argv[1], folder, session, classes) if len(sys.argv) > 1 else "")
        )
    return 1 if failed else 0


def joined(outputs: list[Any]) -> Any:
    """The outputs of one run in one array: several stand along the second axis."""
    return outputs[0] if len(outputs) == 1 else np.concatenate(outputs, axis=1)


def same_boxes(found: Any, reference: Any, n_classes: int) -> float:
    """The share of boxes of two models that the other one tells as well, at half the score."""
    from detections import boxes_of, overlap  # type: ignore[import-not-found]  # beside this file

    met = total = 0
    for one, other in ((found, reference), (reference, found)):
        for mine, theirs in zip(one, other, strict=True):
            sure, less = (
                boxes_of(some[None, :n_classes], some[None, n_classes:], least)
                for some, least in ((mine, 0.25), (theirs, 0.125))
            )
            for label, _, box in sure:
                met += any(
                    label == k and overlap(np.array(box), np.array(b)) >= 0.5 for k, _, b in less
                )
            total += len(sure)
    return met / total if total else 1.0


def same(found: Any, reference: Any, close: float | None) -> float:
    """The share of samples on which two models name one class, or differ by less than a share."""
    if close is None:
        return float((found.argmax(1) == reference.argmax(1)).mean())
    missed = np.sqrt(np.square(found - reference).reshape(len(found), -1).mean(1))
    return float((missed <= close * max(float(reference.std()), 1e-9)).mean())


def right(samples: str, folder: Path, session: Any, classes: list[str]) -> str:
    """How many of the user's samples a model tells right."""
    said = json.loads((folder / "preprocessing.json").read_text())
    if not classes and not {"answer_steps", "target_std"} & set(said):
        return f"{'no classes':>15}"
    if Path(__file__).with_name("preprocess_signal.py").exists():
        from preprocess_signal import Preprocessing  # type: ignore[import-not-found]  # beside this
    else:
        from preprocess import Preprocessing  # type: ignore[import-not-found]  # beside this file

    prepare = Preprocessing.load(folder / "preprocessing.json")
    name = session.get_inputs()[0].name
    if "grid" in said:
        arrays = opened(samples, "picture", "boxes")
        value = precision_of(arrays, prepare, session, classes, said["class_numbers"])
        return f"{value:>10.4f} mAP50"
    if "mask_side" in said:
        arrays = opened(samples)
        told = [session.run(None, {name: prepare(one)})[0][0].argmax(0) for one in arrays["x"]]
        masks = [
            numbered(squared(one, said["mask_side"]), said["mask_values"]) for one in arrays["y"]
        ]
        return f"{mean_iou(told, masks, len(classes)):>10.4f} mIoU"
    if "target_std" in said:
        arrays = opened(samples)
        answers = [
            prepare.answer(session.run(None, {name: prepare(x)})[0]) for x in inputs_of(arrays)
        ]
        return f"{explained(np.array(answers), arrays['y'].astype(float).ravel()):>10.4f} R2"
    if not classes:
        arrays = opened(samples)
        windows = inputs_of(arrays)
        told = [session.run(None, {name: prepare(one)})[0] for one in windows]
        scores = [prepare.score(x, one) for x, one in zip(windows, told, strict=True)]
        odd = np.array([named(one) != said["normal"] for one in arrays["y"]])
        if odd.all() or not odd.any():
            sys.exit(f"{samples}: all or none of its windows are labelled {said['normal']!r}")
        return f"{area(scores, odd):>10.4f} AUC"
    hits = total = 0
    for sample, label in labelled(Path(samples), prepare, classes):
        hits += int(session.run(None, {name: sample})[0].argmax()) == label
        total += 1
    return f"{hits:>8} of {total}"


def precision_of(
    arrays: Any, prepare: Any, session: Any, names: list[str], numbers: list[int]
) -> float:
    """mAP50 on the user's pictures."""
    from detections import boxes_of, mean_average_precision

    name = session.get_inputs()[0].name
    listed = [str(one) for one in arrays["classes"]] if "classes" in arrays.files else None
    height, width = arrays["x"].shape[1:3]
    told, right = [], []
    for row, pixels in enumerate(arrays["x"]):
        told.append(boxes_of(*session.run(["scores", "boxes"], {name: prepare(pixels)}), 0.0))
        mine = arrays["picture"] == row
        right.append(
            [
                (
                    number_of(label, names, numbers, listed),
                    1.0,
                    tuple(box / (width, height, width, height)),
                )
                for label, box in zip(arrays["y"][mine], arrays["boxes"][mine], strict=True)
            ]
        )
    return float(mean_average_precision(told, right))


def number_of(label: Any, names: list[str], numbers: list[int], listed: list[str] | None) -> int:
    """The place of a class among the models': given by name, or by the number that it had."""
    text = named(label)
    if text not in names and text.isdigit():
        number = int(text)
        if listed is None and number in numbers:
            return numbers.index(number)
        text = listed[number] if listed is not None and number < len(listed) else text
    if text not in names:
        sys.exit(f"class {text} is none of {', '.join(names)}")
    return names.index(text)


def opened(samples: str, *more: str) -> Any:
    """The arrays x and y of an `.npz`, and others that are needed."""
    if not samples.lower().endswith(".npz"):
        sys.exit(f"{samples}: these models are checked with an .npz of x and y")
    try:
        arrays = np.load(samples, allow_pickle=False)
        names = set(arrays.files)
        read = {name: arrays[name] for name in ("x", "y", *more) if name in names}
    except (OSError, ValueError, AttributeError, EOFError, zipfile.BadZipFile) as error:
        sys.exit(f"{samples} cannot be read: {error}")
    if missing := {"x", "y", *more} - names:
        sys.exit(f"{samples} has no array {min(missing)}")
    if not more and len(read["x"]) != len(read["y"]):
        sys.exit(f"{samples}: x has {len(read['x'])} samples, y {len(read['y'])}")
    if not len(read["x"]):
        sys.exit(f"{samples} has no samples")
    return arrays


def named(label: Any) -> str:
    """A label as the data set's import wrote it."""
    if isinstance(label, bytes):
        return label.decode().strip()
    whole = isinstance(label, np.floating) and float(label).is_integer()
    return str(int(label)) if whole else str(label)


def numbered(mask: Any, values: list[int]) -> Any:
    """A mask by the places of its numbers among those of classes; beyond them where none is."""
    found = np.full(mask.shape, len(values))
    for place, value in enumerate(values):
        found[mask == value] = place
    return found


def squared(mask: Any, side: int) -> Any:
    """The middle square of a mask at `side` pixels, each that of the nearest one."""
    inner = min(mask.shape)
    top, left = ((size - inner) // 2 for size in mask.shape)
    at = np.minimum(((np.arange(side) + 0.5) * inner / side).astype(int), inner - 1)
    return mask[top + at[:, None], left + at[None, :]]


def mean_iou(told: list[Any], masks: list[Any], n_classes: int) -> float:
    """The mean of intersection over union of classes; what lies beyond them is not asked about."""
    found = []
    for number in range(n_classes):
        shared = either = 0
        for guess, mask in zip(told, masks, strict=True):
            asked = mask < n_classes
            shared += int(((guess == number) & (mask == number) & asked).sum())
            either += int((((guess == number) | (mask == number)) & asked).sum())
        if either:
            found.append(shared / either)
    return float(np.mean(found))


def explained(answers: Any, targets: Any) -> float:
    """The share of the targets' variance that answers explain."""
    return float(1.0 - np.square(answers - targets).mean() / targets.var())


def area(scores: list[float], odd: Any) -> float:
    """The chance that an anomaly scores higher than a normal sample; equal ones count half."""
    high, low = np.array(scores)[odd], np.array(scores)[~odd]
    above = (high[:, None] > low).mean() + 0.5 * (high[:, None] == low).mean()
    return float(above)


def labelled(samples: Path, prepare: Any, classes: list[str]) -> Iterator[tuple[Any, int]]:
    """Inputs and class numbers of the user's samples."""
    if samples.suffix.lower() == ".npz":
        arrays = opened(str(samples))
        for values, label in zip(inputs_of(arrays), numbers_of(arrays["y"], classes), strict=True):
            yield prepare(values), label
        return
    if not samples.is_dir():
        sys.exit(f"{samples} is neither a folder of class folders nor an .npz")
    folders = {composed(one.name): one for one in samples.iterdir() if one.is_dir()}
    if odd := sorted(
        set(folders) - set(map(composed, classes)) - {one for one in folders if hidden(one)}
    ):
        sys.exit(f"{samples}: folder {odd[0]!r} is none of the classes {', '.join(classes)}")
    n = 0
    for label, known in enumerate(classes):
        folder = folders.get(composed(known))
        for path in sorted(folder.rglob("*")) if folder else ():  # below a class are groups
            inside = path.relative_to(samples).parts
            if path.suffix.lower() in PICTURES and path.is_file() and not any(map(hidden, inside)):
                n += 1
                yield prepare.file(path), label
    if not n:
        sys.exit(f"{samples} has no picture in a folder of a class: {', '.join(classes)}")


def hidden(name: str) -> bool:
    """Whether a file or folder is one that systems put there."""
    return name.startswith((".", "__MACOSX"))


def composed(name: str) -> str:
    """A name in the one way in which names are compared (NFC)."""
    return unicodedata.normalize("NFC", name).strip()


def inputs_of(arrays: Any) -> Any:
    """The samples `x`: pictures with channels last, windows with channels, as the import has it."""
    x = arrays["x"]
    if x.ndim == 4 and x.shape[1] in {1, 3, 4} and x.shape[3] not in {1, 3, 4}:
        return x.transpose(0, 2, 3, 1)
    if Path(__file__).with_name("preprocess_signal.py").exists() and x.ndim == 2:
        return x[:, None]
    return x


def numbers_of(y: Any, classes: list[str]) -> list[int]:
    """Class numbers of labels: names, or, where they are none, numbers, or one 1 among 0s."""
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim == 2 and y.shape[1] == len(classes) and ((y == 0) | (y == 1)).all():
        return [int(one) for one in y.argmax(1)]
    if y.ndim != 1:
        sys.exit(f"y is {y.shape}: a label for each sample is needed")
    texts = [composed(named(one)) for one in y]
    known = {composed(one): number for number, one in enumerate(classes)}
    if all(one in known for one in texts):
        return [known[one] for one in texts]
    if all(one.isdigit() and int(one) < len(classes) for one in texts):
        return [int(one) for one in texts]
    odd = next(one for one in texts if one not in known)
    sys.exit(f"label {odd!r} is none of the classes {', '.join(classes)}")


if __name__ == "__main__":
    sys.exit(main())
