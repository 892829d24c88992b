"""A search as the user asks for it: one immutable value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from lookup_tables.target import PLAIN_RUNTIME, Deployment

FP32_AND_INT8 = (Deployment(PLAIN_RUNTIME, "fp32"), Deployment(PLAIN_RUNTIME, "int8"))


@dataclass(frozen=True, slots=True)
class TrainingSpec:
    """How the supernet is trained and winners are fine-tuned; None leaves it to the data's size.

    `balanced`, `early_stop`, `find_rate`, `augment` are those of `TrainRecipe`; no supernet is
    ended early.
    """

    epochs: int | None = None
    finetune_epochs: int | None = None
    max_train_images: int | None = None
    batch: int = 32
    learning_rate: float = 0.05
    flip: bool = False
    balanced: bool = False
    early_stop: int | None = None
    find_rate: bool = False
    augment: str | None = None


@dataclass(frozen=True, slots=True)
class SearchSpec:
    """What to search, on which data, for which device, under which limits.

    `objectives` are minimised beside 1 - accuracy, `limits` bound further quantities; both are
    named as in `Problem`. `metric` is what stands for accuracy throughout: `accuracy`,
    `balanced_accuracy` or `macro_f1`. `also_devices` are devices whose tables price a search beside
    its own. With `patience`, a search ends when so many batches in a row added nothing to the
    front. With
    `cheap_fidelity`, `candidates_per_query` networks are evaluated with that share of the effort
    for each one that is evaluated in full. `measuring_budget` measurements are spent on candidates
    near the limit before winners are chosen; at most `corrections` times the search goes on for a
    batch with the tables that they corrected, and measures again. `follows` names devices whose new
    or changed tables
    open the search again for them: `all`, `name:PATTERN` or `label:KEY=VALUE`. `limit_on` says what
    the latency limit is held against: p50 in the `reference` state, p90 of all that was `observed`,
    or p50 after `sustained_s` seconds of load (`sustained`). `rules` forbid architectures, as
    `nas_service.space.rules` says them.
    """

    dataset: str
    space: str
    device: str
    max_latency_ms: float | None = None
    limit_probability: float = 0.95
    deployments: tuple[Deployment, ...] = FP32_AND_INT8
    sampler: str = "guided"
    evaluator: str = "supernet"
    metric: str = "accuracy"
    predictor: str = "ensemble"
    n_initial: int = 64
    n_holdout: int = 24
    n_queries: int = 40
    batch: int = 8
    n_winners: int = 4
    n_probes: int = 5
    profile_budget_s: float = 60.0
    seed: int = 0
    objectives: tuple[str, ...] = ("latency_ms",)
    limits: Mapping[str, float] = field(default_factory=dict)
    also_devices: tuple[str, ...] = ()
    patience: int | None = None
    cheap_fidelity: float | None = None
    candidates_per_query: int = 3
    measuring_budget: int = 10
    corrections: int = 0
    follows: tuple[str, ...] = ()
    limit_on: str = "reference"
    sustained_s: float = 120.0
    rules: tuple[Mapping[str, Any], ...] = ()
    training: TrainingSpec = field(default_factory=TrainingSpec)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values; deployments by their names, as `precisions`."""
        values = asdict(self)
        del values["deployments"]
        return {
            **values,
            "precisions": [one.name for one in self.deployments],
            "objectives": list(self.objectives),
            "also_devices": list(self.also_devices),
            "follows": list(self.follows),
            "rules": [dict(one) for one in self.rules],
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> SearchSpec:
        """The inverse of `as_dict`."""
        given = {key: value for key, value in values.items() if key != "precisions"}
        return cls(
            **{
                **given,
                "deployments": tuple(map(Deployment.parse, values["precisions"])),
                "objectives": tuple(values.get("objectives", ("latency_ms",))),
                "also_devices": tuple(values.get("also_devices", ())),
                "follows": tuple(values.get("follows", ())),
                "rules": tuple(values.get("rules") or ()),
                "training": TrainingSpec(**values["training"]),
            }
        )
