from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kstest

from aeonnx.runtime.prior import standard_normal


@given(
    seed=st.integers(0, 2**64 - 1),
    first=st.integers(0, 2**40),
    size=st.integers(1, 9),
    cuts=st.lists(st.integers(1, 6), min_size=1, max_size=4),
)
def test_rows_do_not_depend_on_the_batch(seed: int, first: int, size: int, cuts: list[int]) -> None:
    whole = standard_normal(seed, first, sum(cuts), size)
    starts = np.cumsum([0, *cuts[:-1]])
    pieces = [
        standard_normal(seed, first + int(start), cut, size)
        for start, cut in zip(starts, cuts, strict=True)
    ]
    np.testing.assert_array_equal(whole, np.concatenate(pieces))
    assert whole.dtype == np.float32
    assert np.isfinite(whole).all()


def test_draws_are_normal_and_uncorrelated() -> None:
    z = standard_normal(11, 0, 50_000, 6).astype(np.float64)
    assert kstest(z.ravel(), "norm").pvalue > 0.001
    assert z.mean(0) == pytest.approx(np.zeros(6), abs=0.02)
    assert np.cov(z.T) == pytest.approx(np.eye(6), abs=0.02)
    assert abs(np.corrcoef(z[:-1, 0], z[1:, 0])[0, 1]) < 0.02


def test_seeds_give_other_rows() -> None:
    assert not np.array_equal(standard_normal(0, 0, 4, 8), standard_normal(1, 0, 4, 8))


def test_values_never_change() -> None:
    """Images of a seed are a promise: these numbers may not change with a release."""
    expected = np.float32([[0.60477287, -0.89511406, 0.16941766]])
    np.testing.assert_allclose(standard_normal(7, 3, 1, 3), expected, rtol=1e-6)
