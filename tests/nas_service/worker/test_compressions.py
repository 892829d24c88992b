"""What the steps of a compression take, and what is left of a job that ends early."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from lookup_tables.quantized import half_precision, quantize
from nas_service.errors import Cancelled, InvalidData, InvalidSpec
from nas_service.learning.base import Split
from nas_service.learning.image_classification.data import Images
from nas_service.settings import Settings
from nas_service.storage import jobs
from nas_service.storage.revisions import migrate
from nas_service.worker.context import Context
from nas_service.worker.delivery.model_files import source_of
from nas_service.worker.steps import Runner
from nas_service.worker.tasks.models import require_fits


def _data(channels: int = 3, classes: int = 4, n: int = 40) -> Images:
    images = torch.zeros(n, channels, 8, 8, dtype=torch.uint8)
    split = Split(images, torch.arange(n) % classes)
    return Images(split, split, split, (0.5,) * channels, (0.2,) * channels)


def test_a_model_and_images_that_do_not_go_together_are_named() -> None:
    _data().require_model((1, 3, 8, 8), 4)
    _data().require_model((1, 3, 8, 8), 1000)
    with pytest.raises(InvalidData, match="takes 1 channels, the data set's images have 3"):
        _data().require_model((1, 1, 8, 8), 4)
    with pytest.raises(InvalidData, match="tells 3 classes apart, the data set has 4"):
        _data().require_model((1, 3, 8, 8), 3)


def test_images_that_do_not_fit_into_memory_are_named() -> None:
    """Two GiB are 178,956,970 pixels of three channels: 682 images of 512 x 512, 42 of 2048."""
    big = _data(n=700)
    require_fits(big, 512, 682)
    with pytest.raises(InvalidSpec, match=r"683 test images .* at most 682 fit") as found:
        require_fits(big, 512, 683)
    assert found.value.as_dict()["field"] == "max_test_images"
    require_fits(_data(n=20), 512, 10_000)  # there are twenty
    with pytest.raises(InvalidSpec, match="3 x 2048 x 2048, of which 42 fit") as found:
        require_fits(_data(), 2048, 1000)
    assert found.value.as_dict()["field"] == "model"


def _graph(path: Path) -> None:
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 16])
    out = helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 4])
    weights = numpy_helper.from_array(torch.rand(16, 4).numpy(), "weights")
    node = helper.make_node("MatMul", ["image", "weights"], ["logits"], name="layer")
    graph = helper.make_graph([node], "g", [image], [out], [weights])
    sets = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=sets, ir_version=9), path)


@pytest.mark.parametrize("form", ["int8", "fp16"])
def test_a_file_is_made_of_the_graph_that_is_in_its_precision(form: str, tmp_path: Path) -> None:
    _graph(tmp_path / "original.onnx")
    _graph(tmp_path / "compressed.onnx")
    if form == "int8":
        batch = {"image": torch.rand(1, 16).numpy()}
        quantize(tmp_path / "compressed.onnx", tmp_path / "graph.onnx", [batch])
    else:
        half_precision(tmp_path / "compressed.onnx", tmp_path / "graph.onnx")
    for precision in ("fp32", "bf16", "fp16", "int8"):
        wanted = "graph.onnx" if precision == form else "compressed.onnx"
        assert source_of("compressed", precision, tmp_path).graph == tmp_path / wanted
        assert source_of("original", precision, tmp_path).graph == tmp_path / "original.onnx"


def test_nothing_is_left_of_a_job_whose_step_was_killed(tmp_path: Path) -> None:
    settings = Settings(var_dir=tmp_path)
    migrate(settings.url)
    context = Context.of(settings)
    with context.database.session() as session:
        jobs.add_job(session, "gone", "compression", subject="gone", params={})
    params = {"settings": settings.model_dump(mode="json"), "job_id": "gone"}
    params |= {"project_id": "default", "locks": [], "executor": "here"}
    left = Context.from_params(params).scratch("compress-gone")
    other = context.scratch("import-other")
    (left / "test.npz").write_bytes(b"large")

    def work() -> None:
        assert left.exists()  # a step that starts again finds what it had
        raise Cancelled("cancelled")

    outcome = Runner(context, "here").job("gone", work)
    assert outcome["state"] == "cancelled"
    assert not left.parent.exists()
    assert other.exists()
    context.database.close()
