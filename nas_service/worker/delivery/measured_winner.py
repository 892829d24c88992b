"""A winner with all that its measurement needs to know, read at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from sqlalchemy.orm import Session

from lookup_tables.target import PLAIN_RUNTIME
from nas_service.search.certificate import LATENCY
from nas_service.search.spec import SearchSpec
from nas_service.search.values import Estimates, estimates_of
from nas_service.storage import artifacts, datasets, devices, searches
from nas_service.storage.artifacts import StoredArtifact
from nas_service.storage.datasets import StoredDataset
from nas_service.storage.devices import StoredDevice, StoredTable, StoredTarget
from nas_service.storage.searches import StoredSearch, StoredWinner
from nas_service.worker.context import Context
from nas_service.worker.delivery.certified_sessions import NoisyLimit, noisy
from nas_service.worker.devices.reach import device_of

_FP32 = "fp32"
_UNKNOWN_SPREAD = 1.0
"""Where no table prices a quantity, an estimate says nothing: the limit itself stands for it."""


@dataclass(frozen=True)
class MeasuredWinner:
    """`stored` are its artifacts by name, `tables` one a deployment, `targets` by deployment."""

    winner: StoredWinner
    search: StoredSearch
    dataset: StoredDataset
    device: StoredDevice
    stored: dict[str, StoredArtifact]
    tables: Mapping[str, StoredTable]
    targets: Mapping[str, StoredTarget]

    @property
    def spec(self) -> SearchSpec:
        """The search's request."""
        return self.search.value

    @property
    def names(self) -> list[str]:
        """The search's deployments by name, in its order."""
        return list(self.tables)

    @property
    def precisions(self) -> list[str]:
        """What is measured side by side: plain fp32 first, which the others have to beat."""
        return [_FP32, *(one for one in self.names if one != _FP32)]

    def estimates(self, name: str) -> Estimates:
        """What was expected of a deployment."""
        return estimates_of(self.winner.estimates[name])

    def estimated_score(self, name: str) -> float:
        """What was expected of a deployment by the search's metric, as a score."""
        return float(self.winner.estimates[name]["predicted_accuracy"])

    def spread(self, name: str, quantity: str = LATENCY) -> float | None:
        """Typical relative error of a deployment's estimates; None where nothing tells."""
        return spread_of(self.tables[name], quantity)

    def noisy_limits(self) -> list[NoisyLimit]:
        """The search's limits that sessions settle, latency first."""
        limits = {LATENCY: self.search.facts.settled_limit_ms, **noisy(self.spec.limits)}
        return [self._noisy(quantity, limit) for quantity, limit in limits.items()]

    def _noisy(self, quantity: str, limit: float) -> NoisyLimit:
        known = [self.estimates(name).get(quantity) for name in self.names]
        spreads = [one for name in self.names if (one := self.spread(name, quantity)) is not None]
        return NoisyLimit(
            quantity,
            limit,
            [limit if one is None else one.value for one in known],
            _UNKNOWN_SPREAD if None in known else max(spreads, default=None),
        )


def measured_winner(context: Context, winner_id: str) -> MeasuredWinner:
    """Read a winner; its targets are those of the device as it is now."""
    with context.database.session() as session:
        winner = searches.get_winner(session, winner_id)
        search = searches.get_search(session, winner.search_id)
        dataset = datasets.get_dataset(session, search.dataset_id)
        device = devices.get_device(session, search.device_id)
        stored = {a.name: a for a in artifacts.artifacts_of(session, winner.id)}
        tables = [devices.get_table(session, one) for one in search.facts.tables]
    names = [one.name for one in search.value.deployments]
    by_name = dict(zip(names, tables, strict=True))
    there = device_of(context, device).searched_runtimes() or {}
    with context.database.session() as session:
        targets = targets_of(session, search, by_name, there)
    return MeasuredWinner(winner, search, dataset, device, stored, by_name, targets)


def targets_of(
    session: Session,
    search: StoredSearch,
    tables: Mapping[str, StoredTable],
    there: Mapping[str, str],
) -> dict[str, StoredTarget]:
    """The targets that the search's tables are of, and plain fp32 beside them, by deployment.

    `there` are the device's runtimes with their versions, as far as they are known.
    """
    targets = {name: devices.get_target(session, table.target_id) for name, table in tables.items()}
    if _FP32 not in targets:
        values = [one.value for one in targets.values()]
        known = {one.runtime: one.runtime_version for one in values} | dict(there)
        plain = replace(
            values[0],
            runtime=PLAIN_RUNTIME,
            runtime_version=known.get(PLAIN_RUNTIME, ""),
            precision="fp32",
        )
        targets[_FP32] = devices.add_target(session, search.device_id, plain)
    return targets


def spread_of(table: StoredTable, quantity: str = LATENCY) -> float | None:
    """Typical relative error of a table's estimates; None where nothing tells."""
    fit = table.calibration if quantity == LATENCY else (table.ratios or {}).get(quantity)
    if not fit:
        return None
    return float(np.sqrt(np.mean(np.square(fit["relative_errors"]))))
