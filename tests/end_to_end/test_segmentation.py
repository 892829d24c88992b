"""Pictures with masks are searched, and the bundle's models draw masks on new pictures."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from playwright.sync_api import expect
from torch import Tensor, nn

from nas_service.client import ApiError, Client
from tests.browser import chromium
from tests.bundles import unpack
from tests.contracts.test_segmentation import save_shapes
from tests.service import Service
from tests.toy_search import toy_search


class _Up(nn.Module):
    """Half of the side and back, with what was there joined: maps of the picture's own side."""

    def __init__(self) -> None:
        super().__init__()
        self.before = nn.Conv2d(3, 16, 3, padding=1)
        self.down = nn.Conv2d(16, 32, 3, padding=1, stride=2)
        self.up = nn.ConvTranspose2d(32, 16, 2, 2)
        self.maps = nn.Conv2d(32, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        before = torch.relu(self.before(x))
        up = torch.relu(self.up(torch.relu(self.down(before))))
        found: Tensor = self.maps(torch.cat([before, up], dim=1))
        return found


def _of_a_network_of_ones_own(nas: Client, folder: Path) -> None:
    """Exported with any batch; two classes in place of three are refused by name."""
    torch.manual_seed(0)
    right, wrong = _Up().eval(), _Up().eval()
    wrong.maps = nn.Conv2d(32, 2, 1)
    example, any_batch = (torch.zeros(2, 3, 24, 24),), ({0: torch.export.Dim.DYNAMIC},)
    made = {}
    pooled = nn.Sequential(_Up(), nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()  # three numbers
    for name, network in (("right", right), ("wrong", wrong), ("pooled", pooled)):
        program = torch.export.export(network, example, dynamic_shapes=any_batch)
        torch.export.save(program, folder / f"{name}.pt2")
        model = nas.upload_model(folder / f"{name}.pt2")["id"]
        made[name] = nas.post("/v1/search-spaces", {"dataset": "shapes", "model": model})
    with pytest.raises(ApiError, match="tells 2 classes apart at each of 576 pixels"):
        nas.wait(made["wrong"]["job"]["id"], timeout_s=120)
    with pytest.raises(ApiError, match=r"maps a class, \(n, classes, 24, 24\), are needed"):
        nas.wait(made["pooled"]["job"]["id"], timeout_s=120)
    nas.wait(made["right"]["job"]["id"], timeout_s=120)
    asked = toy_search(dataset="shapes", space=made["right"]["id"], max_latency_ms=20.0)
    asked["training"] = {"epochs": 4, "finetune_epochs": 6, "batch": 16}
    search = nas.submit_search(**asked)["id"]
    nas.wait(search, timeout_s=300)
    row = nas.winners(search)[0]["results"][0]
    assert row["published"], row
    assert row["measured_accuracy"] > 0.5
    assert set(row["segmentation"]["iou"]) == {"ground", "disc", "square"}


@pytest.mark.slow
def test_masks_are_searched_for_and_the_bundle_draws_them(tmp_path: Path) -> None:
    service = Service(tmp_path / "var")
    service.start()
    nas = service.client
    try:
        shapes = save_shapes(tmp_path / "shapes.npz", 160)
        added = nas.upload_dataset("shapes", _zipped(shapes), task="segmentation")
        nas.wait(added["job"]["id"], timeout_s=120)
        facts = nas.get("/v1/datasets/shapes")["facts"]
        assert (facts["mask_side"], facts["classes"]) == (24, ["ground", "disc", "square"])
        nas.add_device("here", this_machine=True)
        asked = toy_search(
            dataset="shapes", max_latency_ms=20.0, measuring_budget=2, precisions=("fp32", "int8")
        )
        del asked["space"]  # the usual one of the task
        asked["training"] = {"epochs": 8, "finetune_epochs": 8, "batch": 16}
        search = nas.submit_search(**asked)["id"]
        nas.wait(search, timeout_s=500)
        (winner,) = nas.winners(search)
        row = {one["precision"]: one for one in winner["results"]}["fp32"]
        assert row["published"], row
        assert row["certificate"]["verdict"] == "certified"
        assert row["metric"] == "miou"
        # naming the ground everywhere has .3: it is about nine tenths, and nothing else is met
        assert row["measured_accuracy"] > 0.5
        assert set(row["segmentation"]["iou"]) == {"ground", "disc", "square"}
        int8 = {one["precision"]: one for one in winner["results"]}["int8"]
        assert int8["parity_agreement"] >= 0.9, int8
        made = nas.compress(
            dataset="shapes",
            winner=winner["id"],
            device="here",
            recipe=["static_int8"],
            targets=[{"runtime": "onnxruntime", "precision": "int8"}],
            max_loss=1.0,
        )
        nas.wait(made["job"]["id"], timeout_s=300)
        (again,) = nas.compression(made["id"])["rows"]
        assert again["compressed"]["accuracy"] > 0.5
        _of_a_network_of_ones_own(nas, tmp_path)
        folder = tmp_path / "bundle"
        unpack(nas, search, folder)
        done = subprocess.run(
            [sys.executable, str(folder / "verify.py"), str(shapes)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        told = re.search(rf"{row['file']} .* ([01]\.\d+) mIoU", done.stdout)
        assert told is not None, done.stdout
        assert float(told[1]) > 0.5
        with chromium() as browser:
            page = browser.new_page()
            page.goto(f"{service.url}/datasets/shapes")
            expect(page.locator("#facts")).to_contain_text("segmentation")
            page.goto(f"{service.url}/searches/{search}")
            expect(page.locator("#winners")).to_contain_text("certified")
            expect(page.locator("#metric")).to_have_text("mIoU")
            page.goto(f"{service.url}/searches/{search}/candidates/0")
            expect(page.locator("#blocks")).to_contain_text("mask_head")
    finally:
        service.stop()


def _zipped(source: Path) -> Path:
    """The same pictures and masks as files in folders, in an archive."""
    with np.load(source) as arrays:
        x, y = arrays["x"], arrays["y"]
    folder = source.parent / "shapes"
    for kind, some in (("images", x), ("masks", y)):
        (folder / kind).mkdir(parents=True)
        for number, pixels in enumerate(some):
            Image.fromarray(pixels).save(folder / kind / f"{number:03d}.png")
    (folder / "classes.txt").write_text("ground\ndisc\nsquare\n")
    made = source.parent / "shapes.zip"
    with zipfile.ZipFile(made, "w") as archive:
        for file in sorted(folder.rglob("*.*")):
            archive.write(file, file.relative_to(source.parent))
    return made
