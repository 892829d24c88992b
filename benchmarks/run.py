"""Finds a benchmark by name and runs it."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

from nas_service.errors import InvalidSpec

BENCHMARKS = {
    "spaces": "1,000 samples of a space: build, run, export, agree with torch, count MACs",
    "latency": "profile this machine and compare estimates with measured networks",
    "search": "queries that samplers need to find the front, on NAS-Bench-201",
    "hierarchy": "evaluations that a space of two levels saves, on NAS-Bench-Macro",
    "predictor": "accuracy predictors on NAS-Bench-201 and NAS-Bench-Macro",
    "throughput": "candidates scored, evolved and stored a second",
    "supernet": "samplers on a supernet of real images",
    "certify": "limits that hold: certified winners under noisy measurements",
    "transfer": "a new device from k measured networks",
    "tables": "tables of this machine, repeatability, drift; an agent and a second device",
    "steadiness": "how well measurements repeat, with busy neighbours too; simulated machines",
    "compilers": "random architectures through every runtime: do they compile, agree, how fast",
    "compression": "every pass on networks of a searched front, on every runtime here",
    "joint": "deployments searched with the architecture, or chosen after it",
    "survey": "reference networks in float, int8 and trained for int8, on every runtime",
    "same": "are results those of an earlier version, to the last digit",
    "structure": "what is counted of the code: cycles, long functions, untested modules",
    "capacity": "what rows of a service weigh, and what a million searches would",
    "spread": "a search's evaluations by many workers, beside one",
    "agents": "agents by the thousand that wait for work at one process of the API",
    "recovery": "how soon a killed service is ready, and a dead worker's work taken over",
    "idle": "what a service costs while there is nothing to do, or much waits",
    "soak": "what a service keeps of a day's work: memory, descriptors; a day in minutes",
    "long_search": "a batch after many evaluations beside one at first; what is stored of all",
    "surface": "polls a second, a page of 50,000 candidates, the look-up of a token",
    "signals": "a whole search on signals, beside a tuned 1-D CNN and ridge on random convolutions",
    "anomalies": "a whole search for anomalies in real signals, beside detectors of no network",
    "front_ends": "the front end of sounds searched with the network, or fixed",
    "detection": "a whole search for boxes, on scenes composed of real pictures",
    "elastic": "networks of one's own made elastic: what can be chosen, do their members run",
    "taught": "members of a network of one's own at a share of its latency, beside plainer ways",
    "arena": "peak memory as planned, beside the arena that LiteRT lays out",
    "packaged": "models that ship inside packages, compressed with samples of their own kind",
    "gpu": "training, compiling and measuring on a GPU, beside the processor",
    "contract": "requests by the OpenAPI document and against it: is each answer as it says",
    "sharing": "accuracy by shared weights against stand-alone training",
}


def main(name: str | None, arguments: Sequence[str]) -> int:
    """Run benchmark `name`; without one, list them."""
    if name is None:
        for known, text in BENCHMARKS.items():
            print(f"{known:<12} {text}")
        return 0
    if name not in BENCHMARKS:
        print(f"nas: no benchmark {name!r}; known: {', '.join(BENCHMARKS)}", file=sys.stderr)
        return 1
    module = importlib.import_module(f"benchmarks.{name}")
    try:
        return int(module.main(list(arguments)))
    except InvalidSpec as error:  # data that is not there
        print(f"nas: {error}", file=sys.stderr)
        return 1
