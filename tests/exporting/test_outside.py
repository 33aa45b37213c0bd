"""People's own autoencoders."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result

import aeonnx as aeonnx_package
from aeonnx.runtime import verify

MINE = '''
import torch
from torch import nn

from aeonnx.models import Part, EncodeDecode, image, latent, scorer


class Mine(nn.Module):
    """A conv autoencoder of 3x16x16 images."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.encoder = nn.Sequential(
            nn.Conv2d(3, 8, 4, 2, 1), nn.GELU(), nn.Conv2d(8, 16, 4, 2, 1), nn.GELU(),
            nn.Flatten(), nn.Linear(16 * 4 * 4, 10),
        )
        self.decoder = nn.Sequential(
            nn.Linear(10, 16 * 4 * 4), nn.Unflatten(1, (16, 4, 4)), nn.GELU(),
            nn.ConvTranspose2d(16, 8, 4, 2, 1), nn.GELU(), nn.ConvTranspose2d(8, 3, 4, 2, 1),
            nn.Sigmoid(),
        )

    def parts(self):
        x = image("x", (3, 16, 16), "photographs")
        z = latent("z", 10, "latent")
        y = image("reconstruction", (3, 16, 16), "reconstructed photographs")
        whole = Part(EncodeDecode(self.encoder, self.decoder), (x,), (y,))
        return {
            "encoder": Part(self.encoder, (x,), (z,)),
            "decoder": Part(self.decoder, (z,), (y,)),
            "reconstructor": whole,
            "scorer": scorer(whole),
        }


def build():
    return Mine()


def liar():
    model = Mine()
    honest = model.parts()
    wrong = Part(model.encoder, honest["encoder"].inputs, (latent("z", 11, "latent"),))
    model.parts = lambda: {**honest, "encoder": wrong}
    return model


def out_of_range():
    model = Mine()
    model.decoder[-1] = nn.Identity()
    return model


def not_a_number():
    model = Mine()
    with torch.no_grad():
        model.decoder[0].bias.fill_(float("nan"))
    return model


class Shaky(nn.Module):
    def forward(self, z):
        return z + torch.randn_like(z)


class Weightless(nn.Module):
    def forward(self, z):
        return torch.sigmoid(z.mean(1)).reshape(-1, 1, 1, 1).expand(-1, 3, 16, 16)


def weightless():
    model = Mine()
    model.decoder = Weightless()
    return model


def random():
    model = Mine()
    model.decoder.insert(0, Shaky())
    return model


def plain():
    return nn.Linear(2, 2)


def headless():
    model = Mine()
    parts = model.parts()
    model.parts = lambda: {"decoder": parts["decoder"]}
    return model


def empty():
    model = Mine()
    model.parts = dict
    return model
'''


@pytest.fixture
def mine(aeonnx: Callable[..., Result]) -> Iterator[Callable[..., Result]]:
    """The command line in a folder with mine.py."""
    Path("mine.py").write_text(MINE)
    yield aeonnx
    sys.modules.pop("mine", None)


def test_a_module_from_elsewhere_is_exported_and_verified(mine: Callable[..., Result]) -> None:
    photographs = np.random.default_rng(0).integers(0, 256, (40, 3, 16, 16), np.uint8)
    np.save("photographs.npy", photographs)
    result = mine(
        "export", "--from", "module:mine:build", "-o", "b", "--calibration", "photographs.npy",
        "--prior", "fitted",
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    bundle = aeonnx_package.load("b")
    assert bundle.manifest.model == "build"
    assert bundle.manifest.arch == "Mine"
    assert bundle.inputs("encoder")[0].shape == ("batch", 3, 16, 16)
    assert bundle.inputs("encoder")[0].kind == "image"
    assert set(bundle.manifest.parts) == {
        "encoder", "decoder", "reconstructor", "scorer", "sampler",
    }  # fmt: skip
    assert verify(bundle).passed
    assert bundle.reconstruct(photographs).shape == (40, 3, 16, 16)
    assert bundle.generate(2).shape == (2, 3, 16, 16)


def test_a_part_without_weights_has_no_int8(mine: Callable[..., Result]) -> None:
    np.save("photographs.npy", np.random.default_rng(0).random((8, 3, 16, 16), np.float32))
    more = ("--calibration", "photographs.npy", "--precision", "int8", "--part", "decoder")
    result = mine("export", "--from", "module:mine:weightless", "-m", "photos", "-o", "b", *more)
    assert result.exit_code == 3, result.stderr
    assert "decoder in int8: it has no layer with weights" in result.stderr
    assert not Path("b").exists()


def test_without_images_parts_are_verified_on_random_ones(mine: Callable[..., Result]) -> None:
    parts = ("--part", "encoder", "--part", "decoder")
    result = mine("export", "--from", "module:mine:build", "-m", "photos", "-o", "b", *parts)
    assert result.exit_code == 0, result.stderr
    assert aeonnx_package.load("b").manifest.model == "photos"


@pytest.mark.shortened(3)
@pytest.mark.parametrize(
    ("factory", "code", "text"),
    [
        ("mine:liar", 3, "encoder: z: expected float32 [2, 11] at batch 2, got float32 [2, 10]. "),
        ("mine:out_of_range", 3, "reconstruction: expected values in [0, 1], got -"),
        (
            "mine:out_of_range",
            3,
            "Clamp such an output in the module, or declare the range that it",
        ),
        ("mine:not_a_number", 3, "reconstruction: NaN or infinite values at batch 1"),
        ("mine:random", 1, "torch.randn_like draws random numbers in 0 (Shaky), at mine.py:"),
        ("mine:plain", 2, "got a Linear"),
        ("mine:empty", 2, "expected one part or more, such as encoder and decoder, got none"),
        ("mine:bild", 2, "has no attribute 'bild'"),
        ("yours:build", 2, "No module named 'yours'"),
        (
            "mine",
            2,
            "expected module:package.module:factory, such as module:mine:",
        ),
    ],
)
def test_what_a_bundle_cannot_hold_is_refused(
    mine: Callable[..., Result], factory: str, code: int, text: str
) -> None:
    result = mine("export", "--from", f"module:{factory}", "-m", "photos", "-o", "b")
    assert result.exit_code == code, result.stderr
    assert text in result.stderr
    assert not Path("b").exists()


def test_a_decoder_alone_is_a_bundle(mine: Callable[..., Result]) -> None:
    result = mine("export", "--from", "module:mine:headless", "-m", "photos", "-o", "b")
    assert result.exit_code == 0, result.stderr
    bundle = aeonnx_package.load("b")
    assert bundle.parts == ("decoder",)
    assert bundle.decode(np.zeros((2, 10), np.float32)).shape == (2, 3, 16, 16)
