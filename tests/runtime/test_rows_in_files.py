"""Vectors, volumes and images without a range: from .npy files, as from Python."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import Result
from PIL import Image
from torch import Tensor, nn

import aeonnx as library
from aeonnx.bundle import TensorSpec
from aeonnx.errors import InputError
from aeonnx.exporting import ExportOptions, export
from aeonnx.models import Part

Cli = Callable[..., Result]
SHAPES = {"vector": (3,), "volume": (1, 2, 4, 4), "image": (1, 4, 4)}


class Half(nn.Module):
    """Encoder or decoder of rows of any shape."""

    def __init__(self, given: tuple[int, ...], made: tuple[int, ...]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.made = made
        self.body = nn.Linear(int(np.prod(given)), int(np.prod(made)))

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x.flatten(1)).reshape(-1, *self.made)


class Model(nn.Module):
    """An autoencoder of vectors, volumes, or images whose range is not known."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind, row = kind, SHAPES[kind]
        self.encoder, self.decoder, self.denoiser = Half(row, (2,)), Half((2,), row), Half(row, row)

    def parts(self) -> dict[str, Part]:
        x, y, clean = (
            TensorSpec(name, ("batch", *SHAPES[self.kind]), kind=self.kind)
            for name in ("x", "y", "clean")
        )
        z = TensorSpec("z", ("batch", 2), kind="latent")
        return {
            "encoder": Part(self.encoder, (x,), (z,)),
            "decoder": Part(self.decoder, (z,), (y,)),
            "denoiser": Part(self.denoiser, (x,), (clean,)),
        }


def vector() -> nn.Module:
    return Model("vector")


def volume() -> nn.Module:
    return Model("volume")


def image() -> nn.Module:
    return Model("image")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    folder = tmp_path_factory.mktemp("rows")

    def make(kind: str) -> Path:
        if not (folder / kind).exists():
            export(ExportOptions(kind, folder / kind, from_source=f"module:{__name__}:{kind}"))
        return folder / kind

    return make


def rows(kind: str, count: int = 5) -> np.ndarray:
    x = np.random.default_rng(0).normal(size=(count, *SHAPES[kind]))
    return x.astype(np.float32)


def done(result: Result) -> Result:
    assert result.exit_code == 0, result.stderr
    return result


@pytest.mark.shortened(2)
@pytest.mark.parametrize("kind", [*SHAPES])
def test_every_verb_reads_rows_of_every_kind(
    aeonnx: Cli, made: Callable[[str], Path], kind: str
) -> None:
    x, bundle = rows(kind), library.load(made(kind), ["cpu"])
    np.save("x.npy", x)
    np.savez("x.npz", x=x.astype(np.float64))
    np.save("one.npy", x[0])
    for verb in ("encode", "reconstruct", "denoise"):
        expected = getattr(bundle, verb)(x)
        for source in ("x.npy", "x.npz"):
            done(aeonnx(verb, made(kind), source, "-o", "y.npy", "--force"))
            np.testing.assert_array_equal(np.load("y.npy"), expected)
        done(aeonnx(verb, made(kind), "one.npy", "-o", "y.npy", "--force"))
        np.testing.assert_allclose(np.load("y.npy"), expected[:1], rtol=0, atol=1e-6)
        done(aeonnx(verb, made(kind), "x.npy", "one.npy", "-o", "y.npy", "--force"))
        np.testing.assert_allclose(np.load("y.npy")[:5], expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", ["vector", "volume"])
def test_what_is_no_image_is_written_to_arrays_alone(
    aeonnx: Cli, made: Callable[[str], Path], kind: str
) -> None:
    np.save("z.npy", rows("vector")[:, :2])
    for target in ("y.png", "y.txt"):
        result = aeonnx("decode", made(kind), "z.npy", "-o", target)
        assert (result.exit_code, result.stderr) == (
            2,
            f"Error: {target}: y is of the kind {kind}, not an image: expected a name that ends in "
            ".npy or .npz, or a folder, such as results/, for a .npy of each row\n",
        )
    done(aeonnx("decode", made(kind), "z.npy", "-o", "out/"))
    found = [np.load(path) for path in sorted(Path("out").iterdir())]
    expected = library.load(made(kind), ["cpu"]).decode(np.load("z.npy"))
    np.testing.assert_array_equal(np.concatenate(found), expected)
    done(aeonnx("decode", made(kind), "z.npy", "-o", "y.npz"))
    with np.load("y.npz") as archive:
        np.testing.assert_array_equal(archive["y"], expected)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        (
            np.zeros((5, 4), np.float32),
            "x.npy: expected x of the kind vector, a .npy or .npz array",
        ),
        (np.zeros((0, 3), np.float32), "x.npy holds no rows: give at least one"),
        (np.zeros((5, 3), np.int64), "encoder: x: expected float32 [batch, 3], got int64: convert"),
        (
            np.full((5, 3), np.nan, np.float32),
            "encoder: x: expected float32 [batch, 3], got NaN or",
        ),
    ],
)
def test_rows_are_checked_as_in_python(
    aeonnx: Cli, made: Callable[[str], Path], values: np.ndarray, text: str
) -> None:
    np.save("x.npy", values)
    result = aeonnx("encode", made("vector"), "x.npy", "-o", "z.npy")
    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error: {text}")
    assert not Path("z.npy").exists()


def test_pictures_and_their_options_are_no_rows(aeonnx: Cli, made: Callable[[str], Path]) -> None:
    Image.fromarray(np.zeros((4, 4), np.uint8)).save("x.png")
    result = aeonnx("encode", made("vector"), "x.png", "-o", "z.npy")
    assert result.stderr == (
        "Error: x.png is a picture (PNG): expected x of the kind vector, a .npy or .npz array of "
        "floats [n, 3]\n"
    )
    np.save("x.npy", rows("vector"))
    result = aeonnx("encode", made("vector"), "x.npy", "-o", "z.npy", "--resize", "fit")
    assert "--resize: encode of this bundle runs on vectors, and not on pictures" in result.stderr


def test_pixels_of_an_image_without_a_range_are_refused(
    aeonnx: Cli, made: Callable[[str], Path]
) -> None:
    pixels = np.zeros((2, 1, 4, 4), np.uint8)
    Image.fromarray(pixels[0, 0]).save("x.png")
    np.save("x.npy", pixels)
    for name in ("x.png", "x.npy"):
        result = aeonnx("encode", made("image"), name, "-o", "z.npy")
        assert (result.exit_code, result.stderr) == (
            1,
            f"Error: {name} has pixels of 0 to 255, and the model does not say which range its "
            "images have: give a .npy of floats that are normalised as the model expects, or "
            "declare the range in your own parts()\n",
        )
    bundle = library.load(made("image"), ["cpu"])
    with pytest.raises(InputError, match="which range its images have: pass floats that are norm"):
        bundle.encode(pixels)
    np.save("x.npy", rows("image"))
    for verb in ("reconstruct", "denoise"):
        result = aeonnx(verb, made("image"), "x.npy", "-o", "y.png", "--input", "foo=1")
        assert "foo" in result.stderr  # before the range
        result = aeonnx(verb, made("image"), "x.npy", "-o", "y.png")
        assert result.exit_code == 1
        assert "has no range [low, high] that 0 to 255 could stand for: write its" in result.stderr
        assert "such as -o name.npy" in result.stderr
        assert not Path("y.png").exists()
