"""Parts with several inputs, whole numbers among them, in every variant."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result

import aeonnx as aeonnx_package
from aeonnx.bundle import BATCH
from aeonnx.runtime import verify

MODULE = """
import torch
from torch import nn

from aeonnx.bundle import TensorSpec
from aeonnx.models import Part, image, latent


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.table, self.layer = nn.Embedding(10, 16), nn.Linear(80, 8)

    def forward(self, x, label):
        return self.layer(torch.cat([x.flatten(1), self.table(label)], 1))


class Decoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.table, self.layer = nn.Embedding(10, 16), nn.Linear(24, 64)

    def forward(self, z, label):
        drawn = self.layer(torch.cat([z, self.table(label)], 1))
        return torch.sigmoid(drawn).reshape(-1, 1, 8, 8)


class Denoiser(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(65, 128), nn.Linear(128, 64)

    def forward(self, x, sigma):
        h = torch.relu(self.first(torch.cat([x.flatten(1), sigma], 1)))
        return torch.sigmoid(self.second(h)).reshape(-1, 1, 8, 8)


class Conditional(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.encoder, self.decoder, self.denoiser = Encoder(), Decoder(), Denoiser()

    def parts(self):
        x, y = image("x", (1, 8, 8), "images"), image("y", (1, 8, 8), "images")
        z = latent("z", 8, "latent")
        label = TensorSpec("label", ("batch",), "int64", (0, 9), "what it shows")
        sigma = TensorSpec("sigma", ("batch", 1), range=(0.0, 1.0), description="noise level")
        return {
            "encoder": Part(self.encoder, (x, label), (z,)),
            "decoder": Part(self.decoder, (z, label), (y,)),
            "denoiser": Part(self.denoiser, (x, sigma), (y,)),
        }


def build():
    return Conditional()
"""


@pytest.fixture
def conditional(aeonnx: Callable[..., Result]) -> Iterator[Callable[..., Result]]:
    """`aeonnx export` of the module, into b."""
    Path("conditions.py").write_text(MODULE)
    np.save("x.npy", np.random.default_rng(0).random((80, 1, 8, 8), np.float32))

    def export(*options: str) -> Result:
        return aeonnx(
            "export", "--from", "module:conditions:build", "-o", "b", "--calibration", "x.npy",
            *options,
        )  # fmt: skip

    yield export
    sys.modules.pop("conditions", None)


@pytest.mark.shortened(1)
@pytest.mark.parametrize("batch", [None, 4])
def test_every_input_is_fed(conditional: Callable[..., Result], batch: int | None) -> None:
    fixed = () if batch is None else ("--static-batch", str(batch))
    parts = ("--part", "decoder", "--part", "denoiser")
    more = ("--precision", "fp16", "--precision", "int8", "--io", "uint8", *parts)
    result = conditional(*more, *fixed)
    assert result.exit_code == 0, result.stderr
    bundle = aeonnx_package.load("b")
    assert verify(bundle).passed
    names = {f"{kind}{io}" for kind in ("fp32", "fp16", "int8") for io in ("", "-uint8")}
    for part in ("decoder", "denoiser"):
        assert bundle.manifest.parts[part].keys() == names
        for name, variant in bundle.manifest.parts[part].items():
            taken = {spec.name: spec for spec in variant.inputs}
            assert next(iter(taken.values())).shape[0] == (batch or BATCH)
            stored = {
                key: bundle.read_golden(item) for key, item in variant.golden[0].inputs.items()
            }
            if "label" in taken:
                assert taken["label"].dtype == "int64"
                assert set(np.unique(stored["label"])) <= set(range(10))
                assert len(np.unique(stored["label"])) > 3, name
            if "sigma" in taken:
                assert len(np.unique(stored["sigma"])) > 3, name


def test_a_sampler_takes_the_condition_of_the_decoder(conditional: Callable[..., Result]) -> None:
    result = conditional("--prior", "fitted", "--part", "sampler")
    assert result.exit_code == 0, result.stderr
    bundle = aeonnx_package.load("b")
    assert [spec.name for spec in bundle.inputs("sampler")] == ["seed", "index", "label"]
    images = [bundle.generate(4, seed=2, label=label, pixels=True) for label in (0, 0, 9)]
    np.testing.assert_array_equal(images[0], images[1])
    assert not np.array_equal(images[0], images[2])
