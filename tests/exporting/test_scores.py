"""`aeonnx export --score`: other measures than the error, each by its definition."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from click.testing import CliRunner
from scipy.ndimage import gaussian_filter

import aeonnx
from aeonnx.bundle import TensorSpec, manifest
from aeonnx.checkpoint import load
from aeonnx.cli import cli
from aeonnx.errors import UnknownNameError, UsageError
from aeonnx.exporting.scores import with_score
from aeonnx.models import Part
from tests.support import few_rows

Maker = Callable[..., Path]
Floats = npt.NDArray[np.float64]


def digits(run: Path, model: str) -> tuple[Floats, Floats]:
    """Training and test images of a checkpoint, in [0, 1]."""
    examples = load(run, model).examples
    assert examples is not None
    return examples.train.numpy() / 255, examples.test.numpy() / 255


@pytest.fixture(scope="module")
def scored(
    run_of: Maker, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str, str], tuple[aeonnx.Bundle, Path]]:
    """(model, measure) -> the bundle of a scorer, made once, and its run."""

    @cache
    def make(model: str, measure: str) -> tuple[aeonnx.Bundle, Path]:
        run, folder = run_of(model), tmp_path_factory.mktemp("scores") / measure
        parts = ["scorer", "encoder"] if measure == "mahalanobis" else "scorer"
        with few_rows():
            aeonnx.export(model, folder, checkpoint=run, parts=parts, score=measure)
        return aeonnx.load(folder, ["cpu"]), run

    return make


Scored = Callable[[str, str], tuple[aeonnx.Bundle, Path]]


def test_mahalanobis(scored: Scored) -> None:
    bundle, run = scored("vae", "mahalanobis")
    train, test = (part.astype(np.float32) for part in digits(run, "vae"))
    z = bundle.encode(train).astype(np.float64)
    off = bundle.encode(test) - z.mean(0)
    covariance = np.cov(z.T, bias=True)
    if np.linalg.eigvalsh(covariance).min() < 1e-3 * np.trace(covariance) / len(covariance):
        pytest.skip("a direction of the latent has collapsed")
    expected = np.einsum("ij,jk,ik->i", off, np.linalg.inv(covariance), off) / z.shape[1]
    found = bundle.score(test)
    np.testing.assert_allclose(found.scores, expected, rtol=1e-3)
    np.testing.assert_array_equal(found.scores, bundle.run("scorer", x=test)["mahalanobis"])
    outputs = [spec.name for spec in bundle.outputs("scorer")]
    assert outputs == ["reconstruction", "mahalanobis", "error", "map"]


def test_combined_is_one_for_usual_images(scored: Scored) -> None:
    bundle, run = scored("vae", "combined")
    train, _ = digits(run, "vae")
    assert bundle.score(train.astype(np.float32)).scores.mean() == pytest.approx(1.0, rel=0.02)


def test_dssim(scored: Scored) -> None:
    """Wang et al. 2004, equation 13."""
    bundle, run = scored("vae", "dssim")
    _, test = digits(run, "vae")
    whole = bundle.run("scorer", x=test.astype(np.float32))
    found = whole["reconstruction"].astype(np.float64)

    def blurred(image: Floats) -> Floats:
        return gaussian_filter(image, (0, 0, 1.5, 1.5), mode="mirror", truncate=3.5)

    a, b = blurred(test), blurred(found)
    variances = blurred(test**2) - a**2 + blurred(found**2) - b**2
    covariance = blurred(test * found) - a * b
    similar = (2 * a * b + 1e-4) * (2 * covariance + 9e-4)
    similar /= (a**2 + b**2 + 1e-4) * (variances + 9e-4)
    np.testing.assert_allclose(
        whole["dssim"], 0.5 - 0.5 * similar.mean((1, 2, 3)), rtol=1e-4, atol=1e-6
    )


def test_nll_is_what_importance_samples_give(scored: Scored) -> None:
    """Burda et al. 2016, equation 8; no larger than the negative bound in the mean."""
    bundle, run = scored("vae", "nll")
    _, test = digits(run, "vae")
    model, x = load(run, "vae").model.double(), torch.from_numpy(test)
    encoder, decoder = (model.parts()[name].module for name in ("encoder", "decoder"))
    with torch.no_grad():
        mu, logvar = encoder(x)
        draws = torch.from_numpy(
            np.random.default_rng(0).standard_normal((16, mu.shape[1])).astype(np.float32)
        ).double()
        posterior = torch.distributions.Normal(mu, (0.5 * logvar).exp())
        weights = []
        for eps in draws:
            z = mu + (0.5 * logvar).exp() * eps
            pixels = torch.distributions.Bernoulli(logits=decoder.logits(z), validate_args=False)
            weight = pixels.log_prob(x).flatten(1).sum(1) - posterior.log_prob(z).sum(1)
            weights.append(weight + torch.distributions.Normal(0.0, 1.0).log_prob(z).sum(1))
        every = torch.stack(weights)
        expected = -(torch.logsumexp(every, 0) - np.log(16))
    found = bundle.score(test.astype(np.float32)).scores
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert found.mean() <= -float(every.mean())


@pytest.mark.shortened(2)
@pytest.mark.parametrize(
    "measure",
    ["mahalanobis", "combined", "dssim", pytest.param("nll", marks=pytest.mark.slow)],
)
def test_thresholds_and_proof_are_those_of_the_measure(scored: Scored, measure: str) -> None:
    bundle, run = scored("vae", measure)
    scorer = manifest.read(bundle.folder).parts["scorer"]["fp32"]
    assert set(scorer.percentiles) == set(scorer.normal) == {measure, "error"}
    found = bundle.score(digits(run, "vae")[1].astype(np.float32))
    assert found.threshold == scorer.percentiles[measure]["p99"]
    assert found.maps is not None
    command = ["verify", str(bundle.folder), "--against", str(run)]
    result = CliRunner().invoke(cli, command)
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize(
    ("model", "measure", "expected"),
    [
        ("ae", "nll", "--score nll: expected a variational autoencoder, whose encoder gives mu"),
        ("ae", "ssim", "unknown --score 'ssim'. Did you mean 'dssim'?"),
    ],
)
def test_measures_that_a_model_lacks_are_refused(
    run_of: Maker, tmp_path: Path, model: str, measure: str, expected: str
) -> None:
    with pytest.raises((UsageError, UnknownNameError)) as caught:
        aeonnx.export(model, tmp_path / "b", checkpoint=run_of(model), score=measure)
    assert expected in str(caught.value)
    assert not (tmp_path / "b").exists()


def test_vectors_have_no_structure(
    tmp_path: Path, run_of: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", np.random.default_rng(0).standard_normal((60, 5)))
    aeonnx.train("ae", "run", data="x.npy", epochs=1, device="cpu")
    with pytest.raises(UsageError, match=r"--score dssim: expected images .* got vector \['batch'"):
        aeonnx.export("ae", "b", checkpoint="run", score="dssim")
    state = tmp_path / "weights.pt"
    torch.save(load(run_of("ae"), "ae").model.state_dict(), state)
    with pytest.raises(UsageError, match="--score mahalanobis: expected an encoder to vectors"):
        aeonnx.export("ae", "b", checkpoint=state, score="mahalanobis")


def test_a_scorer_of_the_error_alone_has_no_structure() -> None:
    x = TensorSpec("x", ("batch", 1, 28, 28), range=(0, 1), kind="image")
    error = TensorSpec("error", ("batch",), range=(0, 1), kind="score")
    scorer = Part(torch.nn.Flatten(), (x,), (error,))
    with pytest.raises(UsageError, match=r"returns the reconstruction first, .* got error: leave"):
        with_score({"scorer": scorer}, "dssim", lambda: {})
