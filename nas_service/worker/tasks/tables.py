"""Which tables a search prices with, and whether its limit can be met. Needs no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np
from sqlalchemy.orm import Session

from lookup_tables.blocks import Block
from lookup_tables.fill import fill
from lookup_tables.roofline import Peaks, Roofline
from lookup_tables.runtimes.registry import reads_graphs
from lookup_tables.steadiness import card_of
from lookup_tables.target import PLAIN_RUNTIME, Deployment, Target
from nas_service.compilation import toolchains
from nas_service.compilation.benchmark import ON_OBSERVED, STATISTICS
from nas_service.compression.searched import SearchedRecipe, shipped_as
from nas_service.engine.child import Progress
from nas_service.errors import InvalidSpec, Unsupported
from nas_service.jobs.params import SearchJob
from nas_service.jobs.results import TablesChosen
from nas_service.learning.image_classification.policies import policy
from nas_service.search.cost import CostModel, StructureModel, all_blocks
from nas_service.search.delivery_gap import DeliveryGap
from nas_service.search.evaluate import Problem
from nas_service.search.feasibility import median_latency_ms, require_feasible
from nas_service.search.spec import SearchSpec
from nas_service.settings import Settings
from nas_service.space.base import IntArray, SearchSpace, digest
from nas_service.space.deployment import DeploymentSpace
from nas_service.space.narrowed import NarrowedSpace
from nas_service.space.rule import BoolArray
from nas_service.space.ruled import RuledSpace
from nas_service.space.rules import rules_of
from nas_service.space.sampling import uniform
from nas_service.space.supported import SupportedSpace
from nas_service.storage import datasets, devices, searches, supernets
from nas_service.storage.reopening import covering
from nas_service.storage.searches import StoredSearch
from nas_service.worker.context import Context, make_space, space_on
from nas_service.worker.devices.reach import device_of

N_COUNTED = 2000
"""Random architectures from which the share that a device cannot run is told."""


def open_problem(context: Context, search: StoredSearch) -> Problem:
    """The search's problem: its space, tables, limit and what shipping does."""
    spec = search.value
    with context.database.session() as session:
        dataset = datasets.get_dataset(session, search.dataset_id)
        every_device = [
            devices.get_device(session, one) for one in (search.device_id, *spec.also_devices)
        ]
        tables = [devices.get_table(session, one) for one in search.facts.tables]
        other_tables = {
            device: [devices.get_table(session, one) for one in versions]
            for device, versions in search.facts.other_tables.items()
        }
        shipping: dict[str, Any] = {}
        if search.facts.predictor_id:
            predictor = supernets.get_predictor(session, search.facts.predictor_id)
            shipping = predictor.shipping.get("models", {})
    supported_there = space_on(context, spec.space, dataset.sample, *every_device)
    space, runs = _allowed(supported_there, spec.rules)
    plain = DeliveryGap(low=dataset.task.metric(spec.metric).lowest_score)
    spaces = shipped_as(space, spec.deployments)
    costs = _held(_models(context, spaces, tables), tables, spec.limit_on)
    deployment = DeploymentSpace(space, spec.deployments)
    # once settled it stays, also where the search goes on with other tables
    limit = spec.max_latency_ms or search.facts.limit_ms
    if limit is None:
        limit = round(median_latency_ms(deployment, costs, spec.seed), 4)
    return Problem(
        space=deployment,
        costs=costs,
        shipping=tuple(_shipping(shipping, one, plain) for one in spec.deployments),
        structure=StructureModel(space),
        limit_ms=limit,
        limit_probability=spec.limit_probability,
        objectives=spec.objectives,
        limits=spec.limits,
        others={name: _models(context, spaces, one) for name, one in other_tables.items()},
        shipped_as=spaces,
        runs=runs,
    )


def _allowed(
    space: SearchSpace, rules: Sequence[Mapping[str, Any]]
) -> tuple[SearchSpace, Callable[[IntArray], BoolArray] | None]:
    """A space without what rules forbid, and what says of any architecture whether it may be."""
    runs = space.runs if isinstance(space, SupportedSpace) else None
    if not rules:
        return space, runs
    ruled = RuledSpace(space, rules_of(space, rules))
    if runs is None:
        return ruled, ruled.kept
    return ruled, lambda rows: np.asarray(runs(rows) & ruled.kept(rows))


def _held(
    costs: tuple[CostModel, ...], tables: Sequence[devices.StoredTable], limit_on: str
) -> tuple[CostModel, ...]:
    """Costs in terms of what the limit is held against.

    The p90 of all that is observed is taken to be above the p50 of the reference state by the same
    factor as with the networks that the tables were made with.
    """
    if limit_on != ON_OBSERVED:
        return costs
    found = []
    for cost, table in zip(costs, tables, strict=True):
        factor = (table.provenance.get("steadiness") or {}).get("observed_p90_over_p50")
        if factor is None or cost.calibration is None:
            raise InvalidSpec(
                f"table {table.version} does not tell what was observed outside the reference "
                "state, which limit_on=observed needs; profile the device again",
                field="limit_on",
            )
        held = cost.calibration.times(float(factor), STATISTICS[ON_OBSERVED])
        found.append(cost.calibrated(held))
    return tuple(found)


def _shipping(learned: dict[str, Any], deployment: Deployment, plain: DeliveryGap) -> DeliveryGap:
    """What shipping does in a deployment: learned a graph, and bf16 is taken for fp32."""
    graph = deployment.graph
    return DeliveryGap.from_dict(learned[graph]) if graph in learned else plain


def _models(
    context: Context, spaces: Sequence[SearchSpace], tables: list[devices.StoredTable]
) -> tuple[CostModel, ...]:
    """A cost model a table; blocks that a recipe narrowed are filled from measured ones."""
    found = []
    for space, stored in zip(spaces, tables, strict=True):
        table = devices.load_table(context.blobs, stored)
        if isinstance(space, NarrowedSpace):
            table, _ = fill(table, all_blocks(space))
        found.append(CostModel(space, table, table.calibration, table.ratios))
    return tuple(found)


def select_tables(context: Context, job: SearchJob, report: Progress) -> TablesChosen:
    """Choose the newest table of each precision that covers the space.

    Gives `missing` precisions where the device can be profiled: it is this machine, or has an
    agent. For any other device a table that lacks blocks is an error that names them.
    """
    del report
    with context.database.session() as session:
        search = searches.get_search(session, job.search_id)
        device = devices.get_device(session, search.device_id)
        dataset = datasets.get_dataset(session, search.dataset_id)
        further = [devices.get_device(session, name) for name in search.value.also_devices]
    spec = search.value
    # operators come first: what cannot run is neither measured nor trained for
    space = space_on(context, spec.space, dataset.sample, device, *further)
    reached = device_of(context, device)
    runtimes = reached.searched_runtimes()
    if runtimes is None:
        add_rooflines(context, device, space, spec.deployments)
    with context.database.session() as session:
        chosen, problem = covering(
            session, context.blobs, device.id, space, spec.deployments, runtimes=runtimes
        )
    for one in spec.deployments:
        reached.require_compiled_for(one.runtime, field="precisions")
    missing = [p for p in spec.deployments if p not in chosen]
    if missing and runtimes is None:
        if problem is not None:
            raise problem
        raise InvalidSpec(
            f"device {device.name!r} has no lookup table in {', '.join(map(str, missing))}; "
            "give it an agent (`nas devices token`), upload one, or register its peak_macs_per_s "
            "and bandwidth_bytes_per_s for a roofline",
            field="device",
        )
    others = {name: _tables_of(context, name, space, spec) for name in spec.also_devices}
    if not missing:
        tables_in_order = [chosen[p] for p in spec.deployments]
        with context.database.session() as session:
            cards = _cards(session, tables_in_order, spec.deployments, device.name)
            searches.add_facts(
                session,
                search.id,
                tables=tables_in_order,
                other_tables=others,
                steadiness=cards,
            )
    return TablesChosen(
        missing=[one.name for one in missing],
        sample={dataset.sample.name: dataset.sample.as_dict()},
        device_id=device.id,
        device_queue=device.queue,
    )


def _tables_of(context: Context, name: str, space: SearchSpace, spec: SearchSpec) -> list[str]:
    """The tables of a further device, by version, a deployment each; nothing is profiled there."""
    with context.database.session() as session:
        other = devices.get_device(session, name)
        found, problem = covering(session, context.blobs, other.id, space, spec.deployments)
    if lacking := [one for one in spec.deployments if one not in found]:
        raise problem or InvalidSpec(
            f"device {name!r} has no lookup table in {', '.join(map(str, lacking))}; "
            "upload one or profile the device",
            field="also_devices",
        )
    return [found[one] for one in spec.deployments]


def _cards(
    session: Session, versions: Sequence[str], deployments: Sequence[Deployment], device: str
) -> list[dict[str, Any]]:
    """How well each table was measured, and the command for a better one."""
    cards = []
    for version, deployment in zip(versions, deployments, strict=True):
        table = devices.get_table(session, version)
        card = card_of(table.provenance, table.calibration, table.latency_check, device)
        cards.append({"precision": deployment.name, "table": version, **card.as_dict()})
    return cards


def require_tools(deployments: Sequence[Deployment], settings: Settings) -> None:
    """Raise `Unsupported`, which says how to get it, where a deployment cannot be made here.

    A toolchain that converts, or a package that a recipe's pass needs, would otherwise be missed
    when everything is trained.
    """
    for one in deployments:
        if not reads_graphs(one.runtime):
            toolchains.require(toolchains.toolchain(one.runtime), settings)
        if SearchedRecipe.of(one).width < 1.0 and find_spec("torch_pruning") is None:
            raise Unsupported(
                f"{one.name!r} needs torch-pruning: pip install 'nas-service[compression]'",
                field="precisions",
            )


def add_rooflines(
    context: Context,
    device: devices.StoredDevice,
    space: SearchSpace,
    deployments: tuple[Deployment, ...],
) -> None:
    """Price a device that nobody has measured by its peaks, in deployments that have no table."""
    rate, bandwidth = (
        device.facts.get(name) for name in ("peak_macs_per_s", "bandwidth_bytes_per_s")
    )
    if not rate or not bandwidth:
        return
    with context.database.session() as session:
        known, _ = covering(session, context.blobs, device.id, space, deployments)
        wanted: dict[str, list[Block]] = {}  # of networks as they ship after all recipes
        for one, shipped in zip(deployments, shipped_as(space, deployments), strict=True):
            if one not in known and one.runtime == PLAIN_RUNTIME:
                blocks = wanted.setdefault(one.precision, all_blocks(space))
                wanted[one.precision] = list(dict.fromkeys([*blocks, *all_blocks(shipped)]))
        for precision, blocks in wanted.items():
            target = Target(device.name, "roofline", "1", precision)
            table = Roofline(target, Peaks(rate, bandwidth)).table(blocks)
            stored = devices.add_target(session, device.id, target)
            devices.add_table(session, context.blobs, table, stored.id, spaces=[digest(space)])


def check_feasible(context: Context, job: SearchJob, report: Progress) -> None:
    """Settle the limit, and refuse one that nothing meets before anything is trained."""
    del report
    with context.database.session() as session:
        search = searches.get_search(session, job.search_id)
    require_tools(search.value.deployments, context.settings)
    if search.value.training.augment:  # else it would be missed once the device is profiled
        policy(search.value.training.augment)
    problem = open_problem(context, search)
    require_feasible(problem, search.value.seed)
    facts: dict[str, Any] = {}
    space = problem.space.architectures
    if isinstance(space, RuledSpace):
        facts["rules_check"] = _rules_check(space, search.value.seed)
        space = space.inner
    if isinstance(space, SupportedSpace):
        facts["operator_check"] = _operator_check(context, search, space)
    with context.database.session() as session:
        searches.add_facts(
            session,
            search.id,
            limit_ms=problem.limit_ms,
            limit_source="request" if search.value.max_latency_ms else "median of 1,000 samples",
            **facts,
        )


def _rules_check(space: RuledSpace, seed: int) -> list[dict[str, Any]]:
    """Each rule in words, and the share of the space that it forbids."""
    every = uniform(space.inner, N_COUNTED, np.random.default_rng([seed, 23]))
    removed = space.removed(every)
    return [{"text": text, "removed_share": share} for text, share in removed.items()]


def _operator_check(
    context: Context, search: StoredSearch, space: SupportedSpace
) -> dict[str, Any]:
    """What the devices lack, and the share of the space's genotypes that is dropped for it."""
    with context.database.session() as session:
        sample = datasets.get_dataset(session, search.dataset_id).sample
    every = uniform(
        make_space(context, search.value.space, sample),
        N_COUNTED,
        np.random.default_rng([search.value.seed, 19]),
    )
    return {
        "unsupported_operators": sorted(space.lacking),
        "dropped_share": round(float(1.0 - space.runs(every).mean()), 4),
    }
