"""Lookup tables with how well each was measured, for commands that show them."""

from __future__ import annotations

from typing import Any

from nas_service.client import Client


def tables_with_cards(nas: Client) -> list[dict[str, Any]]:
    """Every table, newest first, with its target's key and its card."""
    from lookup_tables.steadiness import card_of

    targets = {target["id"]: target for target in nas.every("/v1/targets")}
    rows = []
    for table in nas.every("/v1/lookup-tables"):
        key = str(targets[table["target_id"]]["key"])
        device = key.split("/", 1)[0].split("@", 1)[0]
        card = card_of(table["provenance"], table["calibration"], table["latency_check"], device)
        rows.append({**table, "target": key, "device": device, "card": card.as_dict()})
    return rows
