"""What pages say of compressed models and predictors, from what is stored of them."""

from __future__ import annotations

from datetime import UTC, datetime

from nas_service.api.compressions import CompressionOut
from nas_service.api.documents.models import PredictorOut
from nas_service.dashboard import model_page

WHEN = datetime(2026, 11, 28, tzinfo=UTC)
JOB = {
    "id": "job_1",
    "kind": "compression",
    "subject": "cmp_1",
    "state": "succeeded",
    "progress": 1.0,
    "message": "",
    "eta_s": None,
    "problem": None,
    "result": None,
    "created_at": WHEN,
    "started_at": WHEN,
    "finished_at": WHEN,
}


def test_a_model_with_a_recipe_says_its_passes() -> None:
    """Recipes are stored as a pass's name with its settings."""
    asked = {
        "dataset": "toy",
        "device": "here",
        "reference": {"name": "resnet18"},
        "recipe": [{"prune": {"share": 0.5}}, {"ptq": {}}],
    }
    row = {
        "runtime": "onnxruntime",
        "precision": "int8",
        "published": False,
        "reason": "slower",
        "original": {"accuracy": 0.9, "latency_ms": 2.0, "size_bytes": 4_000_000},
        "compressed": None,
    }
    found = CompressionOut.model_validate(
        {"id": "cmp_1", "job": JOB, "request": asked, "artifacts": [], "rows": [row]}
    )
    facts = {one.name: one.text for one in model_page._facts(found)}
    assert facts["Model"] == "resnet18"
    assert facts["Recipe"] == "prune, ptq"
    line = model_page._line(found.rows[0])
    assert (line.metric_before, line.metric_after) == ("90.0 %", "unknown")
    assert (line.published, line.reason) == (False, "slower")


def test_a_predictor_says_how_it_did_on_held_out_networks() -> None:
    one = PredictorOut.model_validate(
        {
            "id": "pre_1",
            "natural_key": "k",
            "supernet_id": None,
            "dataset_id": "dat_1",
            "space": "mbconv",
            "name": "ensemble",
            "sha256": None,
            "quality": {"n_train": 64, "n_holdout": 24, "kendall": 0.617, "mean_abs_error": 0.0257},
            "shipping": {},
            "lineage": {},
            "created_at": WHEN,
        }
    )
    line = model_page._predictor(one)
    assert (line.n, line.kendall, line.error) == ("24", "0.62", "2.6")
