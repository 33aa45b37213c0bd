"""Thresholds hold for rows that were not used to make them."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from aeonnx import checkpoint
from aeonnx.bundle import QUANTILES, NormalScores
from aeonnx.exporting.conformal import normal_scores, thresholds
from aeonnx.training import TrainOptions, train

FLOATS = st.floats(0, 1e6, width=32)


@given(st.integers(1, 5000))
def test_bounds_of_false_alarms_are_those_of_the_beta_distribution(n: int) -> None:
    found = normal_scores(np.arange(n, dtype=np.float32), held_out=True).false_alarms
    for p, (low, high) in zip((95, 99), found.values(), strict=True):
        rank = min(n, math.ceil((n + 1) * p / 100))
        expected = stats.beta.ppf((0.025, 0.975), n + 1 - rank, rank)
        np.testing.assert_allclose((low, high), expected, rtol=1e-6, atol=1e-12)


@pytest.mark.shortened(2)
@pytest.mark.parametrize("n", [50, 99, 200, 1000])
def test_fresh_rows_exceed_a_threshold_as_rarely_as_promised(n: int) -> None:
    """The share of all rows that exceed it is known of the distribution that they are from."""
    rng = np.random.default_rng(n)
    rates = {"p95": [], "p99": []}  # type: dict[str, list[float]]
    inside = 0
    for _ in range(400):
        scores = rng.gamma(2.0, size=n).astype(np.float32)
        bounds = normal_scores(scores, held_out=True).false_alarms
        for name, threshold in thresholds(scores).items():
            rates[name].append(float(stats.gamma.sf(threshold, 2.0)))
            low, high = bounds[name]
            inside += low <= rates[name][-1] <= high
    assert np.mean(rates["p95"]) <= 0.05 + 0.004
    if n >= 99:  # else the highest score promises less
        assert np.mean(rates["p99"]) <= 0.01 + 0.002
    assert 0.92 <= inside / 800 <= 0.98


@given(st.lists(FLOATS, min_size=1, max_size=300), FLOATS)
def test_percentiles_grow_with_the_score(scores: list[float], score: float) -> None:
    found = normal_scores(np.array(scores, np.float32), held_out=False)
    assert len(found.quantiles) == QUANTILES
    assert not found.held_out
    assert found.percentile(min(scores)) == 0
    assert found.percentile(max(scores) + 1) == 100
    assert 0 <= found.percentile(score) <= found.percentile(score + 1) <= 100
    share = 100 * np.mean(np.array(scores, np.float32) < np.float32(score))
    assert abs(found.percentile(score) - share) <= 100 / len(scores) + 1.01


@pytest.mark.parametrize(
    ("count", "note", "said"),
    [
        (
            6,
            "scorer: its thresholds come from 6 normal images, too few to say how many normal ones "
            "are above: p95 needs 19 and p99 needs 99 or more. Give more with --calibration",
            "from 6 held-out images only: p99 needs 99 or more)",
        ),
        (1, "come from 1 normal image, too", "from 1 held-out image only: p99 needs 99 or more)"),
        (98, "from 98 normal images, too few to say how many normal ones are above: p99 needs 99",
         "from 98 held-out images only: p99 needs 99 or more)"),
        (99, None, "from 99 held-out images)"),
    ],
)  # fmt: skip
def test_thresholds_of_too_few_images_are_noted(
    aeonnx: Callable[..., Result],
    run_of: Callable[..., Path],
    count: int,
    note: str | None,
    said: str,
) -> None:
    np.save("x.npy", np.zeros((count, 1, 28, 28), np.uint8))
    told = aeonnx(
        *("export", "-m", "vae", "--checkpoint", run_of(), "-o", "b", "--part", "scorer"),
        *("--calibration", "x.npy"),
    )
    assert told.exit_code == 0, told.output
    assert "its thresholds come from" not in told.output if note is None else note in told.output
    scored = aeonnx("score", "b", "x.npy")
    assert scored.exit_code == 0, scored.output
    assert said in scored.output


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"rows": 0}, "rows: expected 1 or more, got 0"),
        ({"quantiles": (0.0,) * 100}, "quantiles: expected 101 finite numbers in ascending order"),
        ({"quantiles": (1.0, *[0.0] * 100)}, "in ascending order"),
        ({"quantiles": (*[0.0] * 100, math.inf)}, "101 finite numbers"),
        ({"false_alarms": {"p99": (0.2, 0.1)}}, "false_alarms.p99: expected shares from 0 to 1"),
    ],
)
def test_other_distributions_are_refused(change: dict[str, object], text: str) -> None:
    sound = {"rows": 3, "held_out": True, "quantiles": (0.0,) * 101, "false_alarms": {}}
    with pytest.raises(ValueError, match=text):
        NormalScores(**{**sound, **change})  # type: ignore[arg-type]


@pytest.mark.parametrize(("side", "kept"), [(28, 120), (512, 120), (768, 64)])
def test_the_checkpoint_carries_enough_large_images_for_p99(
    tmp_path: Path, side: int, kept: int
) -> None:
    x = np.random.default_rng(0).integers(0, 256, (140, 1, side, side), np.uint8)
    np.savez(tmp_path / "x.npz", x_train=x[:20], x_test=x[20:])
    data, run = str(tmp_path / "x.npz"), tmp_path / "run"
    train(TrainOptions("ae", run, data=data, hidden=(4,), latent_size=2, epochs=1, device="cpu"))
    examples = checkpoint.load(run, "ae").examples
    assert examples is not None
    assert examples.normal is not None
    assert len(examples.normal) == kept
