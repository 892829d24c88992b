import numpy as np
import pytest

from lookup_tables.blocks import Block
from lookup_tables.blocks.mbconv import MbConvBlock
from lookup_tables.calibrate import Calibration, block_sums, fit_calibration, rescaled
from lookup_tables.errors import LookupTableError, ProfilingFailed
from lookup_tables.fill import design, fill
from lookup_tables.table import FILLED, Entry, LookupTable
from tests.lookup_tables.tables import TARGET, small_table


def _sums(n: int, seed: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    blocks = generator.integers(5, 15, n)
    return np.column_stack([generator.uniform(0.5, 3, n), blocks, 3 * blocks + 1]).astype(float)


def test_a_linear_law_is_recovered() -> None:
    sums = _sums(12, 0)
    measured = 0.9 * sums[:, 0] - 0.005 * sums[:, 1] + 0.02
    fitted = fit_calibration(sums, measured)
    fresh = _sums(50, 1)
    expected = 0.9 * fresh[:, 0] - 0.005 * fresh[:, 1] + 0.02
    assert np.abs(fitted.estimate_ms(fresh) / expected - 1).max() < 0.02
    assert fitted.mean_error < 0.02


def _law_of(sums: np.ndarray, ratio: float, per_block: float, constant: float) -> np.ndarray:
    return np.asarray(ratio * sums[:, 0] + per_block * sums[:, 1] + constant)


@pytest.mark.parametrize(
    ("ratio", "per_block", "constant", "form"),
    [(1.0, 0.0, 0.0, "plain"), (0.8, 0.0, 0.0, "ratio"), (0.9, -0.02, 0.0, "overhead")],
)
def test_the_simplest_form_that_explains_the_networks_is_taken(
    ratio: float, per_block: float, constant: float, form: str
) -> None:
    generator = np.random.default_rng(0)
    sums = _sums(24, 0)
    noise = np.exp(0.01 * generator.standard_normal(24))
    fitted = fit_calibration(sums, _law_of(sums, ratio, per_block, constant) * noise)
    assert fitted.form == form
    fresh = _sums(50, 1)
    expected = _law_of(fresh, ratio, per_block, constant)
    assert np.abs(fitted.estimate_ms(fresh) / expected - 1).mean() < 0.01


@pytest.mark.parametrize("n", [5, 8, 13, 24])
def test_no_calibration_is_worse_than_the_plain_sum_beyond_noise(n: int) -> None:
    """Networks that take what the sum says, up to 20 % of noise: nothing is there to be fitted."""
    worse = []
    for seed in range(30):
        generator = np.random.default_rng(seed)
        sums, fresh = _sums(n, seed), _sums(100, 500 + seed)
        fitted = fit_calibration(sums, sums[:, 0] * np.exp(0.2 * generator.standard_normal(n)))
        errors = np.abs(fitted.estimate_ms(fresh) / fresh[:, 0] - 1.0)
        worse.append(errors.mean())
        told = fitted.errors_of_forms
        assert told[fitted.form] <= told["plain"] + 1e-9
    assert np.median(worse) < 0.05


def test_single_networks_that_are_far_off_have_little_say() -> None:
    sums = _sums(24, 0)
    measured = _law_of(sums, 0.9, -0.01, 0.0) * np.exp(
        0.01 * np.random.default_rng(1).standard_normal(24)
    )
    measured[[3, 11]] *= [1.8, 0.5]
    fitted = fit_calibration(sums, measured)
    fresh = _sums(50, 1)
    expected = _law_of(fresh, 0.9, -0.01, 0.0)
    assert np.abs(fitted.estimate_ms(fresh) / expected - 1).mean() < 0.02


def test_no_block_costs_less_than_a_twentieth_of_itself() -> None:
    """The networks ask for an overhead that small blocks would pay with more than they cost."""
    parts = np.column_stack([np.geomspace(0.004, 0.5, 60), np.ones(60), np.full(60, 3.0)])
    generator = np.random.default_rng(0)
    rows = [parts[generator.integers(20, 60, 12)].sum(axis=0) for _ in range(20)]
    sums = np.array(rows)
    measured = sums[:, 0] - 0.02 * sums[:, 1]
    fitted = fit_calibration(sums, measured, parts=parts)
    assert np.all(fitted.slopes(parts) >= 0.05 * parts[:, 0] - 1e-9)
    assert fitted.slopes(parts).min() == pytest.approx(0.05 * 0.004, abs=1e-5)


def test_the_fit_under_bounds_is_that_of_a_general_solver() -> None:
    from scipy.optimize import minimize

    from lookup_tables.calibration_fit import least_squares

    generator = np.random.default_rng(3)
    for _ in range(10):
        matrix, target = generator.standard_normal((12, 3)), generator.standard_normal(12)
        limits, least = generator.standard_normal((6, 3)), np.full(6, -0.1)
        found = least_squares(matrix, target, limits, least)
        assert np.all(limits @ found >= least - 1e-8)
        other = minimize(
            lambda x, a=matrix, b=target: float(((a @ x - b) ** 2).sum()),
            np.zeros(3),
            constraints=[
                {"type": "ineq", "fun": lambda x, g=limits, h=least: g @ x - h},
            ],
            method="SLSQP",
        )
        assert ((matrix @ found - target) ** 2).sum() == pytest.approx(other.fun, abs=1e-5)


def test_tables_from_before_there_was_a_choice_are_read_as_the_full_form() -> None:
    old = {
        "ratio": 0.9,
        "per_block_ms": -0.001,
        "per_layer_ms": 0.0,
        "constant_ms": 0.01,
        "statistic": "p50",
        "relative_errors": [0.01] * 6,
    }
    assert Calibration.from_dict(old).form == "full"
    assert Calibration.from_dict(Calibration.from_dict(old).as_dict()) == Calibration.from_dict(old)


def test_the_upper_bound_holds_about_as_often_as_it_says() -> None:
    held = total = 0
    for seed in range(40):
        generator = np.random.default_rng(seed)
        sums, fresh = _sums(20, seed), _sums(100, 1000 + seed)
        measured = sums[:, 0] * np.exp(0.05 * generator.standard_normal(20))
        fitted = fit_calibration(sums, measured)
        actual = fresh[:, 0] * np.exp(0.05 * generator.standard_normal(100))
        held += int((actual <= fitted.estimate_ms(fresh) * fitted.upper_factor(0.9)).sum())
        total += 100
    assert held / total == pytest.approx(0.9, abs=0.04)


@pytest.mark.parametrize("noise", [0.03, 0.1, 0.2, 0.3])
def test_the_upper_bound_holds_for_rough_tables_too(noise: float) -> None:
    """Errors of a known size: log-normal, the bound asked for at 95 %."""
    generator = np.random.default_rng(0)
    held = []
    for _ in range(400):
        errors = tuple(np.exp(noise * generator.standard_normal(24)) - 1.0)
        bound = Calibration(1.0, 0.0, 0.0, 0.0, "p50", errors).upper_factor(0.95)
        # an estimate of 1 whose own error is drawn alike
        measured = 1.0 / np.exp(noise * generator.standard_normal(100))
        held.append(float((measured <= bound).mean()))
    assert np.mean(held) == pytest.approx(0.95, abs=0.01)


def test_a_network_that_the_others_miss_by_anything_is_no_end_of_the_bound() -> None:
    """A fit of four numbers on four networks may give less than nothing for the fifth."""
    missed = Calibration(1.0, 0.0, 0.0, 0.0, "p50", (0.1, -0.1, 0.05, -0.05, -1.7))
    doubled = Calibration(1.0, 0.0, 0.0, 0.0, "p50", (0.1, -0.1, 0.05, -0.05, -0.5))
    assert missed.upper_factor(0.95) == doubled.upper_factor(0.95)
    # Student's t of four degrees at 95 % is 2.132; the logarithms by hand
    logs = np.array([0.09531, -0.10536, 0.04879, -0.05129, -0.69315])
    wanted = np.exp(2.1318 * np.sqrt((logs**2).mean()))
    assert doubled.upper_factor(0.95) == pytest.approx(wanted, rel=1e-4)


def test_a_transferred_table_learns_a_factor_and_forgets_no_error() -> None:
    before = Calibration(2.0, 0.1, 0.0, 0.5, "p50", (0.2, -0.2, 0.1, -0.1, 0.3))
    sums = np.array([[1.0, 4.0, 0.0], [3.0, 1.0, 0.0]])  # estimated: 2.9 and 6.6
    after = rescaled(before, sums, np.array([2.9 * 1.21, 6.6 * 1.21]))
    factor = 1.21 ** (2 / 3)  # two of three, as one more had been right
    assert after.estimate_ms(sums) == pytest.approx(factor * np.array([2.9, 6.6]))
    assert after.relative_errors[:5] == before.relative_errors
    assert after.relative_errors[5:] == pytest.approx([1 / 1.21 - 1] * 2, abs=1e-6)
    assert after.statistic == "p50"


def test_four_networks_are_too_few() -> None:
    with pytest.raises(LookupTableError, match="at least 5"):
        fit_calibration(_sums(4, 0), np.ones(4))


def test_a_block_counts_its_layers() -> None:
    table = small_table()
    blocks = [entry.block for entry in table.entries]
    assert block_sums(table, blocks)[:, 1:].tolist() == [[1, 1]] * 4


def _grid() -> list[Block]:
    return [
        MbConvBlock(c, c, h, h, kernel=k, mid_channels=c * e, residual=1)
        for c in (8, 16, 24, 32)
        for h in (4, 8, 16)
        for k in (3, 5, 7)
        for e in (1, 2, 4)
    ]


def _law(block: Block) -> float:
    return 0.004 + block.macs / 4e7 + block.mid_channels * block.height * block.width / 4e6


def test_filled_blocks_follow_the_measured_ones_and_are_marked() -> None:
    blocks = _grid()
    measured = design(blocks, 60, seed=0)
    table = LookupTable(TARGET, tuple(Entry(b, p10_ms=_law(b)) for b in measured))
    whole, report = fill(table, blocks)
    filled = [entry for entry in whole.entries if entry.source == FILLED]
    errors = [abs(entry.p10_ms / _law(entry.block) - 1) for entry in filled]
    assert len(filled) == report.n_filled == len(blocks) - 60
    assert np.median(errors) < 0.05
    assert report.median_error < 0.1
    assert all(entry.n == 0 and entry.p50_ms is None for entry in filled)


def test_a_kind_with_too_few_members_cannot_be_filled() -> None:
    table = LookupTable(TARGET, tuple(Entry(b, p10_ms=0.1) for b in _grid()[:3]))
    with pytest.raises(ProfilingFailed, match="3 measured ones"):
        fill(table, _grid())


def test_a_design_has_no_block_twice_and_every_prefix_is_a_design() -> None:
    chosen = design(_grid() * 2, 40, seed=1)
    assert len(set(chosen)) == 40
    assert design(_grid(), 20, seed=1) == chosen[:20]


def test_variants_of_blocks_may_save_more_than_others_within_a_network() -> None:
    """Pools lose 15 us within a network, others hardly any: no constant a block says that."""
    generator = np.random.default_rng(0)
    variants = ("add-k1-t1", "conv-k3-t1", "pool-k3-t1")
    counts = generator.integers(2, 15, (30, 3)).astype(float)
    alone = np.array([0.010, 0.040, 0.020])
    layers = counts @ [1.0, 2.0, 1.0]
    sums = np.column_stack([counts @ alone, counts.sum(axis=1), layers, counts])
    noise = np.exp(0.005 * generator.standard_normal(30))
    law = counts @ (alone - [0.0, 0.002, 0.015]) + 0.02
    fitted = fit_calibration(sums[:24], (law * noise)[:24], variants=variants)
    assert fitted.form == "variants"
    assert fitted.columns == variants
    assert np.abs(fitted.estimate_ms(sums[24:]) / law[24:] - 1).max() < 0.02
    doubled = fitted.times(2.0, "p90")
    assert doubled.estimate_ms(sums) == pytest.approx(2.0 * fitted.estimate_ms(sums))
    assert Calibration.from_dict(fitted.as_dict()) == fitted


def test_junctions_are_priced_where_they_explain_what_blocks_do_not() -> None:
    """A tensor that pools and convolutions read is converted for each, whoever made it."""
    generator = np.random.default_rng(1)
    variants, junctions = ("conv-k3-t1", "pool-k3-t1"), ("read by conv", "read by conv+pool")
    counts = generator.integers(2, 15, (40, 2)).astype(float)
    met = generator.integers(0, 8, (40, 2)).astype(float)
    alone = np.array([0.040, 0.020])
    sums = np.column_stack([counts @ alone, counts.sum(axis=1), counts.sum(axis=1), counts, met])
    law = 0.8 * counts @ alone + met @ [0.002, 0.030] + 0.02
    noisy = law * np.exp(0.005 * generator.standard_normal(40))
    parts = np.vstack([np.column_stack([alone, np.ones((2, 2)), np.eye(2), np.zeros((2, 2))])])
    parts = np.vstack([parts, np.column_stack([np.zeros((2, 5)), np.eye(2)])])
    names = {"variants": variants, "junctions": junctions}
    fitted = fit_calibration(sums[:28], noisy[:28], parts=parts, **names)
    assert fitted.form == "junctions"
    assert fitted.columns == variants + junctions
    assert np.abs(fitted.estimate_ms(sums[28:]) / law[28:] - 1).max() < 0.03
    assert min(fitted.per_junction_ms.values()) >= 0.0
    assert Calibration.from_dict(fitted.as_dict()) == fitted
    without = 0.8 * counts @ alone + 0.02
    plain = fit_calibration(sums[:28], without[:28], parts=parts, **names)
    assert plain.form != "junctions"
