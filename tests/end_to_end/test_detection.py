"""Pictures with boxes are searched, and the bundle's models find boxes in new pictures."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.browser import chromium
from tests.bundles import unpack
from tests.scenes import CLASSES, SIZE, save_scenes, scenes
from tests.service import Service
from tests.toy_search import toy_search


@pytest.mark.slow
def test_boxes_are_searched_for_and_the_bundle_finds_them(tmp_path: Path) -> None:
    service = Service(tmp_path / "var")
    service.start()
    nas = service.client
    try:
        added = nas.upload_dataset("shapes", _coco(tmp_path, 240), task="detection")
        nas.wait(added["job"]["id"], timeout_s=120)
        facts = nas.get("/v1/datasets/shapes")["facts"]
        assert (facts["size"], facts["classes"]) == (SIZE, list(CLASSES))
        nas.add_device("here", this_machine=True)
        asked = toy_search(
            dataset="shapes", max_latency_ms=20.0, measuring_budget=2, precisions=("fp32", "int8")
        )
        del asked["space"]  # the usual one of the task
        asked["training"] = {"epochs": 12, "finetune_epochs": 12, "batch": 16}
        search = nas.submit_search(**asked)["id"]
        nas.wait(search, timeout_s=500)
        (winner,) = nas.winners(search)
        rows = {one["precision"]: one for one in winner["results"]}
        row = rows["fp32"]
        assert row["published"], row
        assert row["certificate"]["verdict"] == "certified"
        assert row["metric"] == "map50"
        assert row["measured_accuracy"] > 0.5
        assert set(row["detection"]["ap50"]) == set(CLASSES)
        assert rows["int8"]["parity_agreement"] >= 0.9, rows["int8"]
        assert rows["int8"]["measured_accuracy"] > row["measured_accuracy"] - 0.1
        folder = tmp_path / "bundle"
        unpack(nas, search, folder)
        model = next(folder.rglob(row["file"]))
        outputs = onnxruntime.InferenceSession(model).get_outputs()
        assert [(one.name, one.shape[1]) for one in outputs] == [("scores", 2), ("boxes", 4)]
        mine = save_scenes(tmp_path / "mine.npz", 60, seed=1)
        done = subprocess.run(
            [sys.executable, str(folder / "verify.py"), str(mine)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        told = re.search(rf"{row['file']} .* ([01]\.\d+) mAP50", done.stdout)
        assert told is not None, done.stdout
        assert abs(float(told[1]) - row["measured_accuracy"]) < 0.25
        with chromium() as browser:
            page = browser.new_page()
            page.goto(f"{service.url}/datasets/shapes")
            expect(page.locator("#facts")).to_contain_text("detection")
            page.goto(f"{service.url}/searches/{search}")
            expect(page.locator("#winners")).to_contain_text("certified")
            expect(page.locator("#metric")).to_have_text("mAP50")
            page.goto(f"{service.url}/searches/{search}/candidates/0")
            expect(page.locator("#blocks")).to_contain_text("box_head")
    finally:
        service.stop()


def _coco(folder: Path, n: int) -> Path:
    """The toy scenes as files with COCO's annotations, in an archive."""
    images, boxes, picture, labels = scenes(n)
    told = {
        "images": [
            {"id": row, "file_name": f"{row}.png", "width": SIZE, "height": SIZE}
            for row in range(n)
        ],
        "annotations": [
            {
                "id": row,
                "image_id": int(picture[row]),
                "category_id": int(labels[row]) + 1,
                "bbox": [*box[:2].tolist(), *(box[2:] - box[:2]).tolist()],
                "iscrowd": 0,
            }
            for row, box in enumerate(boxes)
        ],
        "categories": [{"id": k, "name": name} for k, name in enumerate(CLASSES, start=1)],
    }
    made = folder / "shapes.zip"
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("shapes/annotations.json", json.dumps(told))
        for row, pixels in enumerate(images):
            with archive.open(f"shapes/images/{row}.png", "w") as stream:
                Image.fromarray(np.asarray(pixels)).save(stream, format="PNG")
    return made
