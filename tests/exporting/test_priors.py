"""Fitted priors: what the exported sampler draws has the moments of q(z) over the images."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from click.testing import Result

import aeonnx as aeonnx_package

MODULE = """
import torch
from torch import nn

from aeonnx.models import Part, image, latent


class Posterior(nn.Module):
    def __init__(self, size, logvars):
        super().__init__()
        self.mu, self.logvar = nn.Linear(4, size), nn.Linear(4, logvars)
        with torch.no_grad():
            self.mu.weight.mul_(4)
            self.logvar.weight.mul_(2)

    def forward(self, x):
        return self.mu(x.flatten(1)), self.logvar(x.flatten(1))


class Gaussians(nn.Module):
    def __init__(self, size, logvars):
        super().__init__()
        torch.manual_seed(size)
        self.encoder = Posterior(size, logvars)
        self.decoder = nn.Sequential(nn.Linear(size, 4), nn.Sigmoid(), nn.Unflatten(1, (1, 2, 2)))
        self.sizes = (size, logvars)

    def parts(self):
        size, logvars = self.sizes
        x, y = image("x", (1, 2, 2), "images"), image("reconstruction", (1, 2, 2), "images")
        given = latent("mu", size, "mean"), latent("logvar", logvars, "log of the variance")
        return {
            "encoder": Part(self.encoder, (x,), given),
            "decoder": Part(self.decoder, (latent("z", size, "latent"),), (y,)),
        }


def build():
    return Gaussians({size}, {logvars})
"""


@pytest.fixture
def sampled(
    aeonnx: Callable[..., Result],
) -> Iterator[Callable[..., tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], Result]]]:
    """(size, sizes of logvar, options) -> 20,000 draws, and q(z)'s moments on their own."""

    def export(size: int, logvars: int, *options: str) -> tuple[object, ...]:
        text = MODULE.replace("{size}", str(size)).replace("{logvars}", str(logvars))
        Path("gaussians.py").write_text(text)
        images = np.random.default_rng(0).beta(0.5, 0.5, (400, 1, 2, 2)).astype(np.float32)
        np.save("images.npy", images)
        result = aeonnx(
            "export", "--from", "module:gaussians:build", "-o", "b",
            "--calibration", "images.npy", *options,
        )  # fmt: skip
        if result.exit_code:
            return None, None, result
        bundle = aeonnx_package.load("b")
        drawn = bundle.run("sampler", seed=np.array([7]), index=np.arange(20_000))["z"]
        found = bundle.run("encoder", x=images)
        # q(z): one draw of q(z|x) for each of many images, and so a mixture, sampled by numpy.
        mixture = np.random.default_rng(1)
        chosen = mixture.integers(0, len(images), 400_000)
        noise = mixture.standard_normal((400_000, size))
        deviation = np.exp(found["logvar"].astype(np.float64) / 2)
        return drawn, found["mu"][chosen] + deviation[chosen] * noise, result

    yield export  # type: ignore[misc]
    sys.modules.pop("gaussians", None)


@pytest.mark.shortened(1)
@pytest.mark.parametrize(
    ("size", "logvars"), [(1, 1), (2, 2), (20, 20), (2, 1)], ids=lambda size: str(size)
)
@pytest.mark.parametrize("kind", ["fitted", "fitted-diagonal"])
def test_the_sampler_draws_from_the_aggregated_posterior(
    sampled: Callable[..., tuple[npt.NDArray[np.float64], ...]], size: int, logvars: int, kind: str
) -> None:
    temperature = 0.5 if size == 2 else 1.0
    drawn, expected, _ = sampled(size, logvars, "--prior", kind, "--temperature", str(temperature))
    covariance = np.atleast_2d(np.cov(expected.T)) * temperature**2
    if kind == "fitted-diagonal":
        covariance = np.diag(np.diag(covariance))
    scale = np.sqrt(np.diag(covariance))
    assert drawn.shape == (20_000, size)
    assert drawn.mean(0) == pytest.approx(expected.mean(0), abs=0.04 * scale.max())
    got = np.atleast_2d(np.cov(drawn.T))
    assert got == pytest.approx(covariance, abs=0.05 * scale.max() ** 2)


def test_a_logvar_that_is_of_something_else_is_refused(
    sampled: Callable[..., tuple[object, object, Result]],
) -> None:
    _, _, result = sampled(4, 3, "--prior", "fitted")
    assert result.exit_code == 2
    assert "expected logvar [batch, 4], as the latent, or [batch, 1], got [batch, 3]" in (
        result.stderr
    )
    assert not Path("b").exists()
