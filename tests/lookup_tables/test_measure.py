import time

from lookup_tables.measure import Protocol, measure


def test_runs_are_counted_without_warm_ups() -> None:
    calls = {"a": 0}

    def run() -> None:
        calls["a"] += 1
        time.sleep(0.001)

    protocol = Protocol(rounds=3, warmups=2, repeats=4, max_spread=100.0)
    found = measure({"a": run}, protocol)["a"]
    assert found.n == 12
    assert calls["a"] == 3 * (2 + 4)
    assert 1.0 <= found.p10_ms <= found.p50_ms <= found.p90_ms <= found.p99_ms


def test_a_runner_that_stays_unsteady_is_measured_again_and_flagged() -> None:
    turn = iter(range(10_000))

    def unsteady() -> None:
        time.sleep(0.004 if next(turn) % 2 else 0.0002)

    protocol = Protocol(rounds=2, warmups=0, repeats=4, max_spread=0.1, extra_rounds=3)
    found = measure({"a": unsteady}, protocol)["a"]
    assert found.n == (2 + 3) * 4
    assert not found.stable


def test_time_spent_waiting_shows_in_the_cpu_ratio() -> None:
    protocol = Protocol(rounds=2, warmups=0, repeats=3, max_spread=100.0)
    assert measure({"a": lambda: time.sleep(0.003)}, protocol)["a"].cpu_ratio < 0.5
