"""`--prior mixture`: several Gaussians, drawn alike by numpy and by the sampler's graph."""

from __future__ import annotations

import copy
import hashlib
import json
import shutil
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
import torch
from click.testing import Result
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import aeonnx as library
from aeonnx.bundle import manifest
from aeonnx.errors import BundleError, ManifestError, UsageError
from aeonnx.exporting.prior_fit import fit_mixture
from aeonnx.io.pixels import to_pixels
from aeonnx.models import Part
from aeonnx.models import latent as latent_spec
from aeonnx.runtime.prior import Mixture, draw, shares_of

Maker = Callable[..., Path]
Cli = Callable[..., Result]
SCHEMA = json.loads((files("aeonnx.bundle") / "schema.json").read_text())


def two_groups(n: int = 400) -> np.ndarray[Any, Any]:
    """Latents [n, 2], a third of them around (-4, 0) and the others around (4, 4)."""
    rng = np.random.default_rng(0)
    right = rng.random(n) > 1 / 3
    return rng.standard_normal((n, 2)) * 0.5 + np.where(right[:, None], (4, 4), (-4, 0))


def encoder(size: int = 2) -> Part:
    return Part(nn.Identity(), (), (latent_spec("mu", size, "mean"),))


def test_draws_lie_where_latents_lie() -> None:
    found = fit_mixture(encoder(), {"mu": two_groups()})
    assert len(found.weights) >= 2
    drawn = draw(found, seed=1, first=0, n=20_000, shape=(2,))
    left = drawn[:, 0] < 0
    assert left.mean() == pytest.approx(1 / 3, abs=0.06)
    assert drawn[left].mean(0) == pytest.approx([-4, 0], abs=0.15)
    assert drawn[~left].std(0) == pytest.approx([0.5, 0.5], abs=0.1)
    assert (np.abs(drawn[:, 0]) > 1).all()  # one Gaussian would draw between the groups


def test_one_group_needs_one_component_and_logvar_widens_it() -> None:
    z = np.random.default_rng(0).standard_normal((400, 3))
    assert len(fit_mixture(encoder(3), {"mu": z}).weights) == 1
    wide = Part(nn.Identity(), (), (latent_spec("mu", 3, "mean"), latent_spec("logvar", 3, "-")))
    found = fit_mixture(wide, {"mu": z, "logvar": np.full((400, 3), np.log(8.0))})
    drawn = draw(found, seed=1, first=0, n=20_000, shape=(3,))
    assert drawn.std(0) == pytest.approx([3, 3, 3], abs=0.2)


@given(st.integers(0, 2**63 - 1), st.integers(1, 40), st.integers(1, 9))
def test_the_component_is_a_function_of_seed_and_index(seed: int, k: int, size: int) -> None:
    weights = np.random.default_rng(k).dirichlet(np.ones(k))
    prior = Mixture(weights, np.zeros((k, size)), np.zeros((k, size, size)))
    index = np.arange(2000, dtype=np.uint64)
    shares = shares_of(prior, seed, index, size)
    assert shares is not None
    np.testing.assert_array_equal(shares.sum(1), 1)
    np.testing.assert_array_equal(shares_of(prior, seed, index[70:80], size), shares[70:80])
    # Five deviations of a binomial share.
    room = 5 * np.sqrt(weights * (1 - weights) / len(index)) + 2 / len(index)
    assert (np.abs(shares.mean(0) - weights) <= room).all()


@pytest.mark.parametrize(
    ("shape", "text"),
    [
        ((400, 2, 4, 4), r"expected latents that are vectors, got \[2, 4, 4\] per image: give --p"),
        ((9, 2), "expected 10 images or more to fit it to, got 9: give more with --calibration"),
    ],
)
def test_other_latents_are_refused(shape: tuple[int, ...], text: str) -> None:
    with pytest.raises(UsageError, match=text):
        fit_mixture(encoder(), {"mu": np.zeros(shape)})


@pytest.fixture(scope="module")
def mixed(run_of: Maker, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mixture") / "b"
    parts = ["encoder", "decoder", "sampler"]
    library.export("ae", folder, checkpoint=run_of("ae"), parts=parts, prior="mixture")
    return folder


def test_a_sweep_changes_one_number_of_a_latent(
    aeonnx: Cli, run_of: Maker, mixed: Path, tmp_path: Path
) -> None:
    library.export(
        "ae", tmp_path / "fitted", checkpoint=run_of("ae"), parts=["decoder"], prior="fitted"
    )
    for folder in (mixed, tmp_path / "fitted"):
        bundle = library.load(folder, ["cpu"])
        one, many = bundle.draw_latents(1, 2), bundle.draw_latents(4000, 5)
        told = aeonnx(
            "generate", folder, "--latent-sweep", 1, "-n", 5, "--seed", 2, "-o", "x.npy", "--force"
        )
        assert told.exit_code == 0, told.output
        z = np.repeat(one, 5, axis=0)
        prior = bundle.prior
        if folder == mixed:
            distances = [
                np.linalg.solve(f, one[0] - m)
                for m, f in zip(prior.mean, prior.factor, strict=True)
            ]
            component = int(np.argmin(np.linalg.norm(distances, axis=1)))
            mean, factor = prior.mean[component], prior.factor[component]
            middle, deviation = mean[1], np.sqrt(factor[1] @ factor[1])
        else:
            middle, deviation = many[:, 1].mean(), many[:, 1].std()
        z[:, 1] = middle + deviation * np.linspace(-3, 3, 5)
        tolerance = 1e-4 if folder == mixed else 0.05  # of 4,000 draws
        np.testing.assert_allclose(
            np.load("x.npy"), bundle.decode(z.astype(np.float32)), atol=tolerance
        )


def test_the_graph_draws_what_numpy_draws(aeonnx: Cli, run_of: Maker, mixed: Path) -> None:
    bundle = library.load(mixed, ["cpu"])
    assert bundle.manifest.prior is not None
    assert bundle.manifest.prior.kind == "mixture"
    jsonschema.validate(json.loads((mixed / manifest.FILE_NAME).read_text()), SCHEMA)
    index = np.array([0, 1, 2, 77, 2**40, 2**63 - 1])
    for seed in (0, 7, 2**63 - 1):
        found = bundle.run("sampler", seed=np.array([seed]), index=index)
        drawn = [bundle.draw_latents(1, seed, first=int(i))[0] for i in index]
        np.testing.assert_allclose(found["z"], drawn, rtol=1e-5, atol=1e-6)
    images = bundle.run("sampler", seed=np.array([1]), index=np.arange(8))["image"]
    np.testing.assert_array_equal(images, to_pixels(bundle.generate(8, 1)))
    assert aeonnx("verify", mixed, "--against", run_of("ae")).exit_code == 0
    told = aeonnx("inspect", mixed)
    assert "mixture" in told.stdout


def test_chosen_latents_begin_and_end_at_drawn_ones(aeonnx: Cli, mixed: Path) -> None:
    done = aeonnx("generate", mixed, "--interpolate", 3, 9, "-n", 5, "-o", "between.npy")
    assert done.exit_code == 0, done.output
    bundle, way = library.load(mixed, ["cpu"]), np.load("between.npy")
    for place, seed in ((0, 3), (-1, 9)):
        np.testing.assert_allclose(way[place], bundle.generate(1, seed)[0], atol=1e-5)
    done = aeonnx("generate", mixed, "--truncate", 5, "-n", 6, "--seed", 2, "-o", "typical.npy")
    assert done.exit_code == 0, done.output
    np.testing.assert_allclose(np.load("typical.npy"), bundle.generate(6, 2), atol=0.01)
    done = aeonnx("generate", mixed, "--latent-sweep", 0, "-n", 5, "-o", "sweep.npy")
    assert done.exit_code == 0, done.output
    assert np.ptp(np.load("sweep.npy"), axis=0).max() > 0.01


def test_cooler_draws_lie_nearer_to_the_means(run_of: Maker, mixed: Path, tmp_path: Path) -> None:
    given = {"checkpoint": run_of("ae"), "prior": "mixture", "temperature": 1e-6}
    library.export("ae", tmp_path / "b", parts=["decoder", "sampler"], **given)
    spreads = []
    for folder in (mixed, tmp_path / "b"):
        bundle = library.load(folder, ["cpu"])
        assert isinstance(bundle.prior, Mixture)
        z = bundle.draw_latents(500, 1)
        spreads.append(np.abs(z[:, None] - bundle.prior.mean[None]).min(1).max())
    assert spreads[1] < 1e-3 * spreads[0]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"weights": None}, r"weights: expected float64 \[k\], beside mean \[k, channels\] and"),
        ({"kind": "fitted"}, "weights: expected none of fitted"),
        ({"factor": None}, r"or \[k, channels\] of a mixture, got"),
        ("shape", r"weights: expected float64 \[k\]"),
        ("channels", r"prior: expected a float64 mean \[channels\]"),
    ],
)
def test_damaged_mixtures_are_refused(mixed: Path, change: Any, text: str) -> None:
    document = copy.deepcopy(json.loads((mixed / manifest.FILE_NAME).read_text()))
    prior = document["prior"]
    if change == "shape":
        prior["weights"]["shape"] = [prior["weights"]["shape"][0] + 1]
    elif change == "channels":
        prior["mean"]["shape"][1] += 1
    else:
        prior.update(change)
    with pytest.raises(ManifestError, match=text):
        manifest.parse(json.dumps(document).encode())


def test_a_module_from_elsewhere_generates_from_a_mixture(tmp_path: Path) -> None:
    torch.manual_seed(0)
    decoder = nn.Sequential(nn.Linear(2, 16), nn.Sigmoid(), nn.Unflatten(1, (1, 4, 4)))
    images = np.random.default_rng(0).random((64, 1, 4, 4), np.float32)
    np.save(tmp_path / "x.npy", images)
    exported = library.export(
        "own",
        tmp_path / "b",
        encoder=nn.Sequential(nn.Flatten(), nn.Linear(16, 2)),
        decoder=decoder,
        example=torch.from_numpy(images[:4]),
        calibration=tmp_path / "x.npy",
        prior="mixture",
        range=(0, 1),
    )
    assert "sampler" in exported.manifest.parts
    assert library.load(tmp_path / "b", ["cpu"]).generate(3, 1).shape == (3, 1, 4, 4)


def test_equal_latents_are_drawn_as_they_are() -> None:
    found = fit_mixture(encoder(), {"mu": np.full((30, 2), 3.0)})
    np.testing.assert_array_equal(draw(found, seed=1, first=0, n=5, shape=(2,)), 3.0)


@pytest.mark.parametrize("wrong", [-0.5, np.nan, 0.9])
def test_weights_that_are_no_shares_are_refused(mixed: Path, tmp_path: Path, wrong: float) -> None:
    folder = shutil.copytree(mixed, tmp_path / "b")
    document = json.loads((folder / manifest.FILE_NAME).read_text())
    stored = document["prior"]["weights"]
    values = np.fromfile(folder / stored["file"], "<f8")
    values[0] = wrong if len(values) > 1 or wrong != 0.9 else 0.8
    values.tofile(folder / stored["file"])
    stored["sha256"] = hashlib.sha256(values.tobytes()).hexdigest()
    (folder / manifest.FILE_NAME).write_text(json.dumps(document))
    with pytest.raises(BundleError, match=r"prior.weights: expected (shares with sum|finite num)"):
        library.load(folder, ["cpu"]).generate(2)


def test_a_wide_latent_has_components_without_correlations(run_of: Maker, tmp_path: Path) -> None:
    folder = tmp_path / "b"
    parts = ["decoder", "sampler"]
    library.export("sdae", folder, checkpoint=run_of("sdae"), parts=parts, prior="mixture")
    bundle = library.load(folder, ["cpu"])
    assert isinstance(bundle.prior, Mixture)
    assert bundle.prior.factor.size <= 1 << 22
    found = bundle.run("sampler", seed=np.array([7]), index=np.arange(20))
    np.testing.assert_allclose(found["z"], bundle.draw_latents(20, 7), rtol=1e-5, atol=1e-5)


def test_diagonal_components_are_drawn_alike() -> None:
    rng = np.random.default_rng(0)
    groups = rng.integers(0, 3, 200)
    z = rng.standard_normal((200, 40)) + 6 * rng.standard_normal((3, 40))[groups]
    found = fit_mixture(encoder(40), {"mu": z})
    assert found.factor.ndim == 2  # for 40 numbers, 200 latents say too little of correlations
    drawn = draw(found, seed=1, first=0, n=4000, shape=(40,))
    assert drawn.mean(0) == pytest.approx(z.mean(0), abs=1.0)
    assert drawn.std(0) == pytest.approx(z.std(0), rel=0.15)
