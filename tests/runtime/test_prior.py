from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kstest

from aeonnx.errors import InputError
from aeonnx.runtime.prior import Gaussian, draw, philox, standard_normal

NORMAL = Gaussian()


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [  # Salmon et al. 2011, the known answers of Random123
        ((0, 0, 0, 0), 0, (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((0xFFFFFFFF,) * 4, 2**64 - 1, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            0x299F31D0_A4093822,
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
def test_words_are_the_published_ones(
    counter: tuple[int, ...], key: int, expected: tuple[int, ...]
) -> None:
    a, b, c, d = (np.array([word], np.uint64) for word in counter)
    assert tuple(int(word[0]) for word in philox((a, b, c, d), key)) == expected


@given(
    seed=st.integers(0, 2**63 - 1),
    first=st.integers(0, 2**62),
    size=st.integers(1, 9),
    cuts=st.lists(st.integers(1, 6), min_size=1, max_size=4),
)
def test_rows_do_not_depend_on_the_batch(seed: int, first: int, size: int, cuts: list[int]) -> None:
    whole = draw(NORMAL, seed, first, sum(cuts), (size,))
    starts = np.cumsum([0, *cuts[:-1]])
    pieces = [
        draw(NORMAL, seed, first + int(start), cut, (size,))
        for start, cut in zip(starts, cuts, strict=True)
    ]
    np.testing.assert_array_equal(whole, np.concatenate(pieces))
    assert whole.dtype == np.float32
    assert np.isfinite(whole).all()
    # Fewer numbers of a row are the first of more.
    np.testing.assert_array_equal(
        whole, draw(NORMAL, seed, first, sum(cuts), (size + 5,))[:, :size]
    )


def test_a_million_draws_are_normal_and_uncorrelated() -> None:
    z = standard_normal(11, np.arange(200_000, dtype=np.uint64), 5)
    assert kstest(z.ravel(), "norm").pvalue > 0.001
    assert z.mean(0) == pytest.approx(np.zeros(5), abs=0.01)
    assert np.cov(z.T) == pytest.approx(np.eye(5), abs=0.01)
    assert abs(np.corrcoef(z[:-1, 0], z[1:, 0])[0, 1]) < 0.01
    standard = z.ravel() / z.std()
    assert np.mean(standard**3) == pytest.approx(0, abs=0.01)
    assert np.mean(standard**4) == pytest.approx(3, abs=0.03)


def test_a_prior_moves_and_turns_the_draws() -> None:
    factor = np.array([[2.0, 0.0], [1.0, 0.5]])
    z = draw(Gaussian(np.array([5.0, -3.0]), factor), 3, 0, 100_000, (2,))
    assert z.mean(0) == pytest.approx([5.0, -3.0], abs=0.03)
    assert np.cov(z.T) == pytest.approx(factor @ factor.T, abs=0.05)
    diagonal = draw(Gaussian(None, np.array([2.0, 0.5])), 3, 0, 4, (2,))
    np.testing.assert_array_equal(diagonal, draw(NORMAL, 3, 0, 4, (2,)) * np.float32([2.0, 0.5]))


def test_seeds_give_other_rows() -> None:
    assert not np.array_equal(draw(NORMAL, 0, 0, 4, (8,)), draw(NORMAL, 2**40, 0, 4, (8,)))


def test_values_never_change() -> None:
    """Images of a seed are a promise: these numbers may not change with a release."""
    expected = np.float32([[-0.0011074584908783436, 1.3719311952590942, 1.2557121515274048]])
    np.testing.assert_allclose(draw(NORMAL, 7, 3, 1, (3,)), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((-1, 0, 1), r"seed: expected 0 to 2\*\*63 - 1, got -1"),
        ((2**63, 0, 1), r"seed: expected 0 to 2\*\*63 - 1"),
        ((0, -1, 1), "first: expected an index of 0"),
        ((0, 2**63 - 1, 2), "first: expected an index of 0"),
        ((0, 0, 0), "n: expected at least 1 sample, got 0"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments: tuple[int, int, int], text: str) -> None:
    with pytest.raises(InputError, match=text):
        draw(NORMAL, *arguments, (4,))
