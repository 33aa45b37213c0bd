"""Latents that are chosen: between two, along one number, not far from the mean."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy import stats

import aeonnx as library
from aeonnx.runtime.prior import standard_normal, truncated
from aeonnx.runtime.walks import slerp

Maker = Callable[..., Path]
Cli = Callable[..., Result]
SEEDS = st.integers(0, 2**32)


def normal(seed: int, n: int = 1, size: int = 20) -> np.ndarray:
    return standard_normal(seed, np.arange(n, dtype=np.uint64), size)


@given(SEEDS, SEEDS, st.integers(2, 9))
def test_the_way_between_two_latents_keeps_their_length(one: int, other: int, n: int) -> None:
    a, b = normal(one)[0], normal(other)[0]
    found = slerp(a, b, np.linspace(0, 1, n))
    np.testing.assert_allclose(found[0], a, atol=1e-9)
    np.testing.assert_allclose(found[-1], b, atol=1e-9)
    unit = slerp(a / np.linalg.norm(a), b / np.linalg.norm(b), np.linspace(0, 1, n))
    np.testing.assert_allclose(np.linalg.norm(unit, axis=1), 1, atol=1e-9)
    steps = np.sum(unit[1:] * unit[:-1], axis=1)
    np.testing.assert_allclose(steps, steps[0], atol=1e-6)  # equal angles


def test_latents_of_one_direction_are_a_straight_way() -> None:
    a = normal(1)[0]
    np.testing.assert_allclose(slerp(a, 3 * a, np.array([0.5]))[0], 2 * a)
    np.testing.assert_allclose(slerp(0 * a, a, np.array([0.25]))[0], a / 4)


@given(SEEDS, st.floats(0.05, 6))
def test_truncated_numbers_keep_their_order_and_their_share(seed: int, limit: float) -> None:
    z = normal(seed, n=10)
    found = truncated(z, limit)
    assert np.abs(found).max() <= limit
    assert (np.argsort(found.ravel()) == np.argsort(z.ravel())).all()
    expected = stats.truncnorm.ppf(stats.norm.cdf(z), -limit, limit)
    np.testing.assert_allclose(found, expected, atol=1e-6 * limit + 1e-9)


def done(result: Result) -> Result:
    assert result.exit_code == 0, result.output
    return result


def test_between_two_seeds(aeonnx: Cli, bundle_of: Maker) -> None:
    bundle = library.load(bundle_of(), ["cpu"])
    done(aeonnx("generate", bundle_of(), "--interpolate", 3, 9, "-n", 5, "-o", "x.npy",
                "--provider", "cpu"))  # fmt: skip
    images = np.load("x.npy")
    np.testing.assert_allclose(images[0], bundle.generate(1, seed=3)[0], atol=1e-5)
    np.testing.assert_allclose(images[-1], bundle.generate(1, seed=9)[0], atol=1e-5)
    z = slerp(bundle.draw_latents(1, 3)[0], bundle.draw_latents(1, 9)[0], np.linspace(0, 1, 5))
    np.testing.assert_allclose(images, bundle.decode(z.astype(np.float32)), atol=1e-5)


def test_between_two_pictures_as_an_animation(aeonnx: Cli, bundle_of: Maker) -> None:
    bundle = library.load(bundle_of(), ["cpu"])
    pixels = np.random.default_rng(0).integers(0, 256, (2, 1, 28, 28), dtype=np.uint8)
    for name, image in zip("ab", pixels, strict=True):
        Image.fromarray(image[0]).save(f"{name}.png")
    for suffix in ("gif", "webp"):
        done(aeonnx("generate", bundle_of(), "--interpolate", "a.png", "b.png", "-n", 7,
                    "--animate", f"x.{suffix}", "--provider", "cpu"))  # fmt: skip
        with Image.open(f"x.{suffix}") as found:
            assert (found.n_frames, found.size) == (7, (140, 140))
            found.seek(6)
            last = np.asarray(found.convert("L"))[::5, ::5].astype(int)
        expected = bundle.decode(bundle.encode(pixels[1:]), pixels=True)[0, 0]
        assert np.abs(last - expected).max() <= 1


def test_a_sweep_changes_one_number(aeonnx: Cli, bundle_of: Maker) -> None:
    bundle = library.load(bundle_of(), ["cpu"])
    done(aeonnx("generate", bundle_of(), "--latent-sweep", 4, "-n", 5, "--seed", 2, "-o", "x.npy",
                "--provider", "cpu"))  # fmt: skip
    z = np.repeat(bundle.draw_latents(1, 2), 5, axis=0)
    z[:, 4] = np.linspace(-3, 3, 5)
    np.testing.assert_allclose(np.load("x.npy"), bundle.decode(z), atol=1e-5)


def test_truncated_images_are_those_of_the_seed_nearer_to_the_mean(
    aeonnx: Cli, bundle_of: Maker
) -> None:
    bundle = library.load(bundle_of(), ["cpu"])
    done(aeonnx("generate", bundle_of(), "--truncate", 0.7, "-n", 3, "--seed", 2, "-o", "x.npy",
                "--provider", "cpu"))  # fmt: skip
    z = truncated(bundle.draw_latents(3, 2).astype(np.float64), 0.7).astype(np.float32)
    np.testing.assert_allclose(np.load("x.npy"), bundle.decode(z), atol=1e-4)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--latent-sweep", 20), "of the latent's 20 numbers, 0 to 19, got 20"),
        (("--latent-sweep", -1), "of the latent's 20 numbers, 0 to 19, got -1"),
        (("--interpolate", 1, 2, "--latent-sweep", 0), "choose the latents: give one"),
        (("--interpolate", "a.png", 2, "--truncate", 1), "not those of pictures: leave it out"),
        (("--interpolate", "a.png", 2), "a.png does not exist"),
        (("--truncate", 0), "--truncate: expected a number above 0, got 0"),
        (("--animate", "y.png"), "y.png: expected a name that ends in .gif or .webp"),
        (("--animate", "x.png"), "--animate x.png: expected another name than that of -o"),
        (("--animate", "y.gif", "-n", 1), "y.gif: expected 2 to 2,000 frames, -n says 1"),
    ],
)
def test_other_ways_are_refused(
    aeonnx: Cli, bundle_of: Maker, arguments: tuple[object, ...], text: str
) -> None:
    told = aeonnx("generate", bundle_of(), "-o", "x.png", *arguments)
    assert (told.exit_code != 0, text in told.output) == (True, True), told.output
    assert not list(Path().glob("[xy].*"))


def test_something_has_to_be_written(aeonnx: Cli, bundle_of: Maker) -> None:
    told = aeonnx("generate", bundle_of())
    assert told.exit_code == 2
    assert "Missing option '-o' / '--output', or --animate" in told.output
