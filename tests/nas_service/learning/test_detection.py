"""Detection: which cells answer for a box, how boxes are told and judged, and drawn."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lookup_tables.model import joined
from nas_service.errors import InvalidData, InvalidSpec
from nas_service.learning.detection.boxes import Detections, average_precision, best_of, overlaps
from nas_service.learning.detection.cells import cells, detections_of, grid_of
from nas_service.learning.detection.data import BoxedImages
from nas_service.learning.detection.loss import boxes_of, imitation_loss, loss_of, overlap
from nas_service.learning.detection.metrics import Boxes
from nas_service.learning.detection.shape import BoxedImageShape
from nas_service.learning.registry import learning_task
from nas_service.networks.build import build
from nas_service.networks.export import export, export_program
from nas_service.space.base import input_size
from nas_service.space.mbconv import MbconvSpace
from nas_service.templates import detections as bundle
from nas_service.training.loop import TrainRecipe, batches
from tests.scenes import answers_to, save_scenes

TASK = learning_task("detection")


def _one(*rows: tuple[float, ...]) -> Detections:
    """Boxes of one picture: class, score, x1, y1, x2, y2 a row."""
    values = np.array(rows, dtype=np.float64).reshape(1, -1, 6)
    return Detections(values[..., 2:], values[..., 0].astype(np.int64), values[..., 1])


def _data(folder: Path) -> BoxedImages:
    source = save_scenes(folder / "scenes.npz")
    found = TASK.ingest(source, {}, tell=lambda *_: None, within=[folder], threads=1)
    found.save(folder / "stored.npz")
    data = TASK.load(folder / "stored.npz", max_train=None, device=torch.device("cpu"))
    assert isinstance(data, BoxedImages)
    return data


def test_average_precision_is_worked_out_by_hand() -> None:
    true = _one((0, 1, 0, 0, 10, 10), (0, 1, 20, 0, 30, 10), (1, 1, 0, 20, 10, 30))
    told = _one(
        (0, 0.9, 0, 0, 10, 8),  # meets the first by .8
        (0, 0.8, 0, 0, 10, 10),  # the first is taken
        (0, 0.7, 20, 0, 30, 6),  # meets the second by .6
        (1, 0.6, 5, 20, 15, 30),  # a third of the union: met by nothing
    )
    judged = Boxes.of(told, true, 2)
    # class 0: right, wrong, right: precision 1 up to a recall of .5, 2/3 up to 1
    assert judged.by_class().tolist() == pytest.approx([0.5 + 0.5 * 2 / 3, 0.0])
    assert judged.map50 == pytest.approx((0.5 + 1 / 3) / 2)
    # at .65 to .8 the second is right for the first box and .6 is too little: 1 of 2 found
    assert judged.by_class(level=4)[0] == pytest.approx(0.5)
    assert judged.recall(0.65) == pytest.approx((2 / 3, 2 / 3))


def test_precision_falls_with_recall() -> None:
    scores = np.array([0.9, 0.8, 0.7, 0.6])
    hits = np.array([False, True, True, False])
    # 0, 1/2, 2/3, 1/2 is made 2/3 up to the recall of 2/4
    assert average_precision(scores, hits, 4) == pytest.approx(2 / 4 * 2 / 3)
    assert average_precision(scores[:0], hits[:0], 4) == 0.0


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_boxes_are_those_of_the_bundles_own_code(seed: int) -> None:
    """The bundle's code goes from box to box; ours takes all pictures together."""
    generator = np.random.default_rng(seed)
    outputs = generator.normal(0.0, 2.0, (5, 7, 20))
    found = detections_of(outputs)
    told = []
    for number in range(5):
        scores, boxes = outputs[None, number, :3], outputs[None, number, 3:]
        expected = bundle.boxes_of(scores, boxes, 0.0)
        told.append(expected)
        kept = found.classes[number] >= 0
        assert found.classes[number][kept].tolist() == [label for label, _, _ in expected]
        assert np.allclose(found.boxes[number][kept], [box for _, _, box in expected])
    corners = np.sort(generator.random((5, 4, 2, 2)), axis=2).reshape(5, 4, 4)
    labels = generator.integers(-1, 3, (5, 4, 1))
    truth = np.concatenate([labels, corners], axis=2)
    right = [
        [(int(one), 1.0, (x1, y1, x2, y2)) for one, x1, y1, x2, y2 in rows if one >= 0]
        for rows in truth.tolist()
    ]
    judged = TASK.judge(outputs, truth)
    assert isinstance(judged, Boxes)
    assert judged.map50 == pytest.approx(bundle.mean_average_precision(told, right))


def test_of_boxes_on_each_other_the_best_of_each_class_is_kept() -> None:
    boxes = np.array([[[0, 0, 10, 10], [1, 0, 11, 10], [30, 0, 40, 10]]], dtype=float)
    scores = np.array([[[0.9, 0.8, 0.1], [0.3, 0.5, 0.0]]])
    found = best_of(boxes, scores)
    kept = found.classes[0] >= 0
    assert found.scores[0][kept].tolist() == [0.9, 0.5, 0.1]
    assert found.classes[0][kept].tolist() == [0, 1, 0]
    assert found.boxes[0][kept][:, 0].tolist() == [0, 1, 30]


def test_many_boxes_on_each_thing_hide_no_other_thing() -> None:
    """Twelve things, each told by sixty places: the last of these is kept, too."""
    generator = np.random.default_rng(0)
    corner = np.repeat(np.arange(12) * 10.0, 60) + generator.uniform(0, 0.5, 720)
    boxes = np.stack([corner, corner * 0, corner + 8, corner * 0 + 8], axis=1)
    scores = np.repeat(np.linspace(0.9, 0.3, 12), 60) + generator.uniform(0, 0.01, 720)
    found = best_of(boxes[None], scores[None, None])
    kept = found.classes[0] >= 0
    assert int(kept.sum()) == 12
    assert np.allclose(found.boxes[0][kept][:, 0], np.arange(12) * 10, atol=0.5)


def test_the_error_is_that_of_other_pictures() -> None:
    generator = np.random.default_rng(0)
    n = 300
    true = Detections(
        np.tile([[[0.0, 0.0, 1.0, 1.0]]], (n, 1, 1)), np.zeros((n, 1), int), np.ones((n, 1))
    )
    scores = generator.random((n, 1))
    right = generator.random((n, 1)) < 0.4 + 0.5 * scores
    boxes = np.where(right[..., None], true.boxes, true.boxes + 2.0)
    judged = Boxes.of(Detections(boxes, true.classes, scores), true, 1)
    values = []
    for _ in range(400):
        some = generator.integers(0, n, n)
        part = Detections(boxes[some], true.classes, scores[some])
        values.append(Boxes.of(part, true, 1).map50)
    assert judged.map50_error == pytest.approx(float(np.std(values)), rel=0.4)


def test_a_cell_of_each_map_tells_a_box_around_it() -> None:
    middles, sides = cells(4)
    assert len(middles) == 4 * 4 + 2 * 2
    assert middles[5].tolist() == [0.375, 0.375]
    assert middles[16].tolist() == [0.25, 0.25]
    assert sides[[0, 16]].tolist() == [0.25, 0.5]
    outputs = np.full((1, 5, 20), -9.0)
    outputs[0, 0, 16] = 4.0
    outputs[0, 1:, 16] = np.log(np.expm1([0.25, 0.5, 0.5, 1.0]))  # of softplus, in cells
    found = detections_of(outputs)
    assert found.boxes[0, 0].tolist() == pytest.approx([0.125, 0.0, 0.5, 0.75])
    assert grid_of(20) == 4
    with pytest.raises(ValueError, match="21 cells"):
        grid_of(21)


def test_overlaps_in_torch_are_those_in_numpy_and_tell_how_far_boxes_are() -> None:
    generator = np.random.default_rng(3)
    some, others = np.sort(generator.random((2, 50, 2, 2)), axis=2).reshape(2, 50, 4)
    iou, giou = overlap(torch.tensor(some), torch.tensor(others))
    expected = np.diag(overlaps(some, others))
    assert np.allclose(iou.numpy(), expected)
    assert bool((giou <= iou + 1e-9).all())
    apart = torch.tensor([[0.0, 0.0, 1.0, 1.0]]), torch.tensor([[3.0, 0.0, 4.0, 1.0]])
    # the hull is 4 large, 2 of it neither's
    assert overlap(*apart)[1].tolist() == pytest.approx([-0.5])


def _settled(targets: torch.Tensor, n_classes: int, grid: int) -> np.ndarray:
    """Outputs that the loss alone has led to, without any network."""
    cells_of_both = grid**2 + (-(-grid // 2)) ** 2
    outputs = torch.zeros(len(targets), n_classes + 4, cells_of_both)
    outputs[:, :n_classes] = -4.0
    outputs.requires_grad_()
    optimizer = torch.optim.Adam([outputs], lr=0.2)
    # at one rate to the end it would go to and fro, and where it is then depends on the machine
    slower = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 300)
    for _ in range(300):
        optimizer.zero_grad()
        loss = loss_of(outputs, targets)
        loss.backward()  # type: ignore[no-untyped-call]  # torch stubs
        optimizer.step()
        slower.step()
    return outputs.detach().numpy()


def test_what_the_loss_leads_to_finds_every_box() -> None:
    targets = torch.tensor(
        [
            [[0, 0.1, 0.1, 0.25, 0.2], [1, 0.4, 0.4, 0.95, 0.9], [-1, 0, 0, 0, 0]],
            [[1, 0.02, 0.5, 0.05, 0.53], [1, 0.3, 0.3, 0.5, 0.6], [0, 0.3, 0.3, 0.9, 0.9]],
            [[-1, 0, 0, 0, 0], [-1, 0, 0, 0, 0], [-1, 0, 0, 0, 0]],
        ],
        dtype=torch.float32,
    )
    judged = TASK.judge(_settled(targets, 2, 12), targets.numpy())
    assert isinstance(judged, Boxes)
    assert judged.map50 == pytest.approx(1.0)
    assert judged.map > 0.9
    assert judged.recall(0.25) == pytest.approx((1.0, 1.0))


def test_pictures_without_any_box_teach_that_there_is_none() -> None:
    outputs = torch.zeros(2, 6, 20, requires_grad=True)
    loss = loss_of(outputs, torch.zeros(2, 0, 5))
    loss.backward()  # type: ignore[no-untyped-call]  # torch stubs
    assert outputs.grad is not None
    assert bool((outputs.grad[:, :2] > 0).all())
    assert bool((outputs.grad[:, 2:] == 0).all())


def test_imitation_is_least_where_both_tell_the_same() -> None:
    targets = np.array([[[0, 0.2, 0.2, 0.5, 0.6]], [[1, 0.5, 0.1, 0.9, 0.4]]])
    theirs = torch.tensor(answers_to(targets, 2, 8))
    moved = theirs.clone()
    moved[:, 2:] += 0.5
    assert imitation_loss(theirs, theirs) < imitation_loss(moved, theirs)
    assert torch.allclose(
        boxes_of(theirs)[0][theirs[0, 0] > 0].float(), torch.tensor([0.2, 0.2, 0.5, 0.6])
    )
    assert TASK.agreement(theirs.numpy(), theirs.numpy()) == 1.0
    nothing = theirs.numpy().copy()
    nothing[1, :2] = -9.0
    # one box of the one and one of the other meet, one of the one is alone
    assert TASK.agreement(nothing, theirs.numpy()) == pytest.approx(2 / 3)


def test_boxes_are_mirrored_with_their_pictures(tmp_path: Path) -> None:
    data = _data(tmp_path)
    recipe = TrainRecipe(batch=16, flip=True)
    seen = 0
    for batch in batches(data, recipe, torch.Generator().manual_seed(0)):
        for picture, rows, mirrored in zip(
            batch.inputs, batch.targets, batch.mirrored, strict=True
        ):
            label, x1, y1, x2, y2 = rows[0].tolist()
            assert x2 > x1
            left, top, right, bottom = (round(one * 48) for one in (x1, y1, x2, y2))
            inside = picture[:, top:bottom, left:right].float()
            # noise is below 70, shapes lie above 90 in every channel: a square fills its box
            filled = (inside.amin(0) >= 90).float().mean()
            assert filled == 1.0 if label == 1 else 0.7 < float(filled) < 0.9
            seen += int(mirrored)
    assert 10 < seen < len(data.train) - 10


def test_files_have_scores_and_boxes_apart(tmp_path: Path) -> None:
    import onnxruntime

    space = MbconvSpace(BoxedImageShape(48, 3, 2))  # type: ignore[arg-type]  # as plug-ins are called
    row = space.smallest()
    size = input_size(space, row)
    network = build(space, row).eval()
    image = torch.randn(1, 3, size, size)
    export(network, tmp_path / "n.onnx", (1, 3, size, size))
    export_program(network, tmp_path / "n.pt2", (1, 3, size, size))
    with torch.no_grad():
        whole = network(image)
    assert whole.shape == (1, 6, 12 * 12 + 6 * 6)
    session = onnxruntime.InferenceSession(tmp_path / "n.onnx")
    assert [one.name for one in session.get_outputs()] == ["scores", "boxes"]
    found = session.run(None, {"input": image.numpy()})
    with torch.no_grad():
        program = torch.export.load(tmp_path / "n.pt2").module()
        again = [one.numpy() for one in program(image)]
    for some in (found, again):
        assert [one.shape[1] for one in some] == [2, 4]
        assert np.allclose(np.concatenate(some, axis=1), whole.numpy(), atol=1e-4)


def test_the_grid_is_the_picture_halved() -> None:
    sides = {size: BoxedImageShape(size, 3, 2).grid for size in (32, 48, 64, 96, 100, 128, 320)}
    assert sides == {32: 16, 48: 12, 64: 16, 96: 12, 100: 13, 128: 16, 320: 20}


def test_a_sheet_shows_boxes_where_they_are(tmp_path: Path) -> None:
    _data(tmp_path)
    content = TASK.preview(tmp_path / "stored.npz")
    assert content is not None
    picture = np.asarray(Image.open(io.BytesIO(content)).convert("RGB")).astype(int)
    for colour in ((0xE6, 0x19, 0x4B), (0x3C, 0xB4, 0x4B)):
        assert (np.abs(picture - colour).max(axis=2) == 0).sum() > 500


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"image_size": 16}, "image_size: 16 is not between 32 and 512"),
        ({"value_range": "0,1"}, "value_range: boxes are read without it"),
        ({"split": "by name"}, "split: 'by name'; parts of pictures with boxes"),
    ],
)
def test_answers_that_cannot_be_are_refused(values: dict[str, object], said: str) -> None:
    with pytest.raises(InvalidSpec, match=said):
        TASK.answers(values)


def test_a_model_of_ones_own_is_not_searched_for_boxes(tmp_path: Path) -> None:
    with pytest.raises(InvalidData, match="judged by map50"):
        _data(tmp_path).require_model((1, 3, 48, 48), 6)


def test_pictures_in_pieces_are_told_as_all_together() -> None:
    """More of them than are read at once: each as by itself."""
    outputs = np.random.default_rng(2).normal(0.0, 2.0, (300, 7, 20))
    together = detections_of(outputs)
    for number in (0, 127, 128, 299):
        alone = detections_of(outputs[number : number + 1])
        kept = alone.classes[0] >= 0
        assert kept.sum() == (together.classes[number] >= 0).sum()
        assert np.array_equal(
            alone.boxes[0][kept], together.boxes[number][together.classes[number] >= 0]
        )


def test_who_looks_at_cells_first_does_not_spoil_them_for_training() -> None:
    with torch.inference_mode():
        boxes_of(torch.zeros(1, 5, 7 * 7 + 4 * 4))
    outputs = torch.zeros(1, 5, 7 * 7 + 4 * 4, requires_grad=True)
    loss_of(outputs, torch.tensor([[[0.0, 0.2, 0.2, 0.6, 0.6]]])).backward()  # type: ignore[no-untyped-call]  # torch stubs
    assert outputs.grad is not None
    assert float(outputs.grad.abs().sum()) > 0


def test_outputs_of_a_run_stand_along_their_second_axis() -> None:
    scores, boxes = np.ones((1, 2, 5)), np.zeros((1, 4, 5))
    assert joined([scores, boxes]).shape == (1, 6, 5)
    alone = joined([scores])
    alone[:] = 3.0
    assert scores.max() == 1.0  # an array of its own: the next run may overwrite what it gave
