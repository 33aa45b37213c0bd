"""Decoding what encoding wrote: files and folders of latents, each to a result of its name."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result
from PIL import Image
from torch import Tensor, nn

import aeonnx as library
from aeonnx.bundle import Axis, TensorSpec
from aeonnx.exporting import ExportOptions, export
from aeonnx.models import Part

Cli = Callable[..., Result]
RANGE = (0.0, 1.0)


class Doubled(nn.Module):
    """A codec of pictures of any size, whose decoder takes a second output of the encoder."""

    def __init__(self) -> None:
        super().__init__()
        self.small = nn.Conv2d(1, 4, 8, 8)
        self.large = nn.ConvTranspose2d(8, 1, 8, 8)

    def parts(self) -> dict[str, Part]:
        x, y = (
            TensorSpec(name, ("batch", 1, "height", "width"), range=RANGE, kind="image")
            for name in ("x", "y")
        )
        z, top = (
            TensorSpec(name, ("batch", 4, "height/8", "width/8"), kind="latent")
            for name in ("z", "top")
        )
        axes = {name: Axis(8, min=16, max=4096) for name in ("height", "width")}
        return {
            "encoder": Part(Twice(self.small), (x,), (z, top), axes=axes),
            "decoder": Part(Joined(self.large), (z, top), (y,), axes=axes),
        }


class Twice(nn.Module):
    def __init__(self, small: nn.Module) -> None:
        super().__init__()
        self.small = small

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z = self.small(x)
        return z, z * 0.5


class Joined(nn.Module):
    def __init__(self, large: nn.Module) -> None:
        super().__init__()
        self.large = large

    def forward(self, z: Tensor, top: Tensor) -> Tensor:
        found: Tensor = self.large(z.repeat(1, 2, 1, 1) + top.repeat(1, 2, 1, 1)).sigmoid()
        return found


@pytest.fixture(scope="module")
def codec(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("doubled") / "b"
    export(ExportOptions("doubled", found, from_source=f"module:{__name__}:Doubled"))
    return found


@pytest.fixture
def vae(bundle_of: Callable[..., Path]) -> Path:
    return bundle_of()


def done(result: Result) -> Result:
    assert result.exit_code == 0, result.output
    return result


def pixels(height: int = 28, width: int = 28, seed: int = 0) -> Any:
    return np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8)


def read(path: str) -> Any:
    return np.asarray(Image.open(path))


def test_a_folder_that_encode_wrote(aeonnx: Cli, vae: Path) -> None:
    Path("in/deep").mkdir(parents=True)
    for place, name in enumerate(("a", "b", "deep/c")):
        Image.fromarray(pixels(seed=place)).save(f"in/{name}.png")
    done(aeonnx("encode", vae, "in", "--recursive", "-o", "zs"))
    done(aeonnx("decode", vae, "zs", "-o", "out"))
    done(aeonnx("reconstruct", vae, "in", "--recursive", "-o", "same"))
    for name in ("a", "b", "deep/c"):
        np.testing.assert_allclose(read(f"out/{name}.png"), read(f"same/{name}.png"), atol=1)
    done(aeonnx("decode", vae, "zs", "-o", "y.npz"))
    with np.load("y.npz") as found:
        assert found["names"].tolist() == ["a.npy", "b.npy", "deep/c.npy"]
        bundle = library.load(vae, ["cpu"])
        z = np.concatenate([np.load(f"zs/{name}").reshape(1, 20) for name in found["names"]])
        np.testing.assert_allclose(found["images"], bundle.decode(z), atol=1e-6)
    Path("zs/notes.txt").write_text("mine")
    Path("zs/.hidden.npy").write_text("no array")
    result = done(aeonnx("decode", vae, "zs", "-o", "grid.png"))
    assert "zs: left out 1 not named *.npy or *.npz" in result.stderr


def test_several_files_of_several_rows(aeonnx: Cli, vae: Path) -> None:
    z = np.random.default_rng(0).normal(size=(3, 20)).astype(np.float32)
    np.save("a.npy", z[:1])
    np.savez("b.npz", z=z[1:])
    done(aeonnx("decode", vae, "a.npy", "b.npz", "-o", "y.npy"))
    expected = library.load(vae, ["cpu"]).decode(z)
    np.testing.assert_allclose(np.load("y.npy"), expected, atol=1e-6)
    done(aeonnx("decode", vae, "a.npy", "b.npz", "-o", "out"))
    assert sorted(os.listdir("out")) == ["a.png", "b-0.png", "b-1.png"]


def test_latents_of_several_sizes_with_what_the_decoder_takes_too(aeonnx: Cli, codec: Path) -> None:
    sizes = {"a": (64, 48), "b": (32, 80)}
    for name, size in sizes.items():
        Image.fromarray(pixels(*size)).save(f"{name}.png")
    done(aeonnx("encode", codec, "a.png", "b.png", "-o", "zs"))
    assert sorted(os.listdir("zs")) == ["a.npz", "b.npz"]
    done(aeonnx("decode", codec, "zs", "-o", "out"))
    bundle = library.load(codec, ["cpu"])
    for name, size in sizes.items():
        expected = bundle.reconstruct(pixels(*size)[None, None], pixels=True)[0, 0]
        np.testing.assert_array_equal(read(f"out/{name}.png"), expected)
    with np.load("zs/b.npz") as found:
        np.save("zs/b.npy", found["features"])
    Path("zs/b.npz").unlink()
    result = aeonnx("decode", codec, "zs", "-o", "other")
    assert result.stderr == (
        "Error: b.npy: expected latents and top, as a.npz has, got latents alone: decode them "
        "apart\n"
    )
    assert not Path("other").exists()


def test_folders_without_latents(aeonnx: Cli, vae: Path) -> None:
    Path("zs").mkdir()
    Image.fromarray(pixels()).save("zs/a.png")
    result = aeonnx("decode", vae, "zs", "-o", "out")
    assert result.stderr == "Error: zs holds no latents: expected files named *.npy or *.npz\n"
    np.save("zs/b.npy", np.zeros((1, 21), np.float32))
    result = aeonnx("decode", vae, "zs", "-o", "out")
    assert "b.npy: expected latents, a .npy or .npz array of floats [n, 20]" in result.stderr
    assert not Path("out").exists()
