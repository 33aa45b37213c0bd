"""Inputs that a part of any size, with codes or with conditions does not take: what is said."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import Result
from PIL import Image
from torch import Tensor, nn

import aeonnx as library
from aeonnx.bundle import Axis, TensorSpec
from aeonnx.errors import InputError
from aeonnx.exporting import ExportOptions, export
from aeonnx.models import Part
from aeonnx.runtime.validation import check_input

Cli = Callable[..., Result]


class Encode(nn.Module):
    """The nearest of 8 levels of the mean of 4 x 4 pixels."""

    def forward(self, x: Tensor) -> Tensor:
        return (nn.functional.avg_pool2d(x, 4)[:, 0] * 7.999).floor().long().clamp(0, 7)


class Decode(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.codes, self.up = nn.Embedding(8, 4), nn.ConvTranspose2d(4, 1, 4, 4)

    def forward(self, codes: Tensor) -> Tensor:
        made: Tensor = self.up(self.codes(codes).permute(0, 3, 1, 2))
        return made


class Denoise(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Conv2d(1, 1, 3, padding=1)

    def forward(self, x: Tensor, sigma: Tensor) -> Tensor:
        denoised: Tensor = (x - sigma.reshape(-1, 1, 1, 1) * self.body(x)).clamp(0.0, 1.0)
        return denoised


class Model(nn.Module):
    """A codec of pictures with codes, and a denoiser with a noise level."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.decoder, self.denoiser = Encode(), Decode(), Denoise()

    def parts(self) -> dict[str, Part]:
        sized = ("batch", 1, "height", "width")
        x = TensorSpec("x", sized, range=(0.0, 1.0), kind="image")
        y = TensorSpec("y", sized, range=(0.0, 1.0), kind="image")
        free = TensorSpec("made", sized, kind="image")
        places = ("batch", "height/4", "width/4")
        codes = TensorSpec("codes", places, "int64", (0.0, 7.0), kind="codes")
        sigma = TensorSpec("sigma", ("batch",), range=(0.0, 1.0))
        axes = {name: Axis(4, min=8, max=256) for name in ("height", "width")}
        return {
            "encoder": Part(self.encoder, (x,), (codes,), axes=axes),
            "decoder": Part(self.decoder, (codes,), (free,), axes=axes),
            "denoiser": Part(self.denoiser, (x, sigma), (y,), axes=axes),
        }


def model() -> nn.Module:
    return Model()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "b"
    export(ExportOptions("model", folder, from_source=f"module:{__name__}:model"))
    return folder


def picture(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).random(shape, dtype=np.float32)


def test_codes_go_from_file_to_file(aeonnx: Cli, made: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", picture(3, 1, 16, 24))
    done = aeonnx("encode", made, "x.npy", "-o", "codes.npy")
    assert done.exit_code == 0, done.stderr
    codes = np.load(tmp_path / "codes.npy")
    assert (codes.dtype, codes.shape) == (np.dtype(np.int64), (3, 4, 6))
    dtypes = ("uint8", "int32", "float32", ">i2")
    for name, values in (
        ("codes.npy", codes),
        ("small.npy", codes[0]),
        *((f"{dtype[1:]}.npy", codes.astype(dtype)) for dtype in dtypes),
    ):
        np.save(tmp_path / name, values)
        done = aeonnx("decode", made, name, "-o", "y.npy", "--force")
        assert done.exit_code == 0, done.stderr
        expected = library.load(made).decode(values.astype(np.int64).reshape(-1, 4, 6))
        np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), expected)


def test_codes_in_tiles_are_those_of_the_whole(made: Path) -> None:
    x = picture(2, 1, 101, 75)
    whole = library.load(made, ["cpu"])
    with library.load(made, ["cpu"], tile=16) as bundle:
        np.testing.assert_array_equal(bundle.encode(x), whole.encode(x))


@pytest.mark.parametrize(
    ("verb", "values", "text"),
    [
        (
            "decode",
            np.full((1, 4, 4), 8),
            "decoder: codes: expected int64 [batch, height/4, width/4] in [0, 7], got values "
            "from 8 to 8: take the codes that the encoder of this bundle makes",
        ),
        (
            "decode",
            np.full((1, 4, 4), 2.5, np.float32),
            "in.npy: expected whole numbers (int64), got float32 with 2.5",
        ),
        (
            "decode",
            np.zeros((1, 4, 4), np.bool_),
            "in.npy: expected codes, a .npy or .npz array of whole numbers [n, any, any], got bool "
            "[1, 4, 4]",
        ),
        (
            "decode",
            np.zeros((1, 1, 4), np.int64),
            "decoder: codes: height: expected a multiple of 4 from 8 to 256, got 4: the nearest is "
            "8",
        ),
        (
            "decode",
            np.zeros((1, 4, 65), np.int64),
            "decoder: codes: width: expected a multiple of 4 from 8 to 256, got 260: the nearest "
            "is 256",
        ),
        (
            "encode",
            picture(1, 1, 8, 257),
            "encoder: x: width: expected a multiple of 4 from 8 to 256, got 257: the nearest "
            "is 256",
        ),
        (
            "denoise",
            picture(1, 1, 8, 8),
            "denoiser: expected inputs ['sigma', 'x'], got ['x']: give sigma too, with --input "
            "sigma=NUMBER or --input sigma=FILE, in Python with the keyword sigma",
        ),
    ],
)
def test_the_command_refuses_in_words(
    aeonnx: Cli, made: Path, tmp_path: Path, verb: str, values: np.ndarray, text: str
) -> None:
    np.save(tmp_path / "in.npy", values)
    done = aeonnx(verb, made, "in.npy", "-o", "out.npy")
    assert done.exit_code == 1
    assert f"Error: {text}" in done.stderr
    assert not (tmp_path / "out.npy").exists()


def test_a_condition_is_given_as_a_number(aeonnx: Cli, made: Path, tmp_path: Path) -> None:
    x = picture(2, 1, 30, 21)
    np.save(tmp_path / "in.npy", x)
    done = aeonnx("denoise", made, "in.npy", "-o", "out.npy", "--input", "sigma=0.25")
    assert done.exit_code == 0, done.stderr
    bundle = library.load(made, ["cpu"], tile=16)
    found = bundle.denoise(x, sigma=np.array([0.25, 0.25]))  # in tiles
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), found, rtol=0, atol=1e-6)
    text = r"^denoiser: batch: expected one size in all inputs, got 2 in x and 3 in sigma"
    with pytest.raises(InputError, match=text):
        bundle.denoise(x, sigma=np.full(3, 0.25))
    with pytest.raises(InputError, match=r"^denoiser: sigma: expected float32 \[batch\] in \[0, 1"):
        bundle.denoise(x, sigma=2.0)


def test_images_without_a_range_are_written_in_that_of_the_input(
    aeonnx: Cli, made: Path, tmp_path: Path
) -> None:
    x = picture(1, 1, 16, 24)
    np.save(tmp_path / "x.npy", x)
    bundle = library.load(made, ["cpu"])
    found = bundle.reconstruct(x)
    assert bundle.variant("decoder").outputs[0].range is None
    assert found.min() < 0  # clipped
    expected = np.rint(np.clip(found, 0, 1) * 255).astype(np.uint8)
    np.testing.assert_array_equal(bundle.reconstruct(x, pixels=True), expected)
    np.testing.assert_array_equal(bundle.decode(bundle.encode(x), pixels=True), expected)
    done = aeonnx("encode", made, "x.npy", "-o", "codes.npy")
    for verb, source in (("reconstruct", "x.npy"), ("decode", "codes.npy")):
        done = aeonnx(verb, made, source, "-o", f"{verb}.png")
        assert done.exit_code == 0, done.stderr
        with Image.open(tmp_path / f"{verb}.png") as shown:
            np.testing.assert_array_equal(np.asarray(shown), expected[0, 0])


def test_rows_of_several_sizes_go_to_a_folder(aeonnx: Cli, made: Path, tmp_path: Path) -> None:
    sizes = {"a": (16, 24), "b": (9, 8), "c": (16, 24)}
    for name, size in sizes.items():
        Image.fromarray((picture(*size) * 255).astype(np.uint8)).save(tmp_path / f"{name}.png")
    names = [f"{name}.png" for name in sizes]
    done = aeonnx("encode", made, *names, "-o", "codes.npy")
    assert (done.exit_code, done.stderr) == (
        2,
        "Error: one file holds results of one size, not of [4, 6] and [3, 2]: give a folder, such "
        "as -o results/, for a file of each\n",
    )
    assert not (tmp_path / "codes.npy").exists()
    done = aeonnx("encode", made, *names, "-o", "codes/")
    assert done.stdout == "codes: int64 [3, any, any] on CPUExecutionProvider\n"
    assert sorted(path.name for path in (tmp_path / "codes").iterdir()) == [
        f"{name}.npy" for name in sizes
    ]
    assert np.load(tmp_path / "codes" / "b.npy").shape == (1, 3, 2)
    assert aeonnx("decode", made, "codes/b.npy", "-o", "b.out.png").exit_code == 0
    done = aeonnx("reconstruct", made, *names, "-o", "out/", "--json")
    assert json.loads(done.stdout)["shape"] == [3, 1, None, None]
    done = aeonnx("encode", made, *names, "-o", "codes.png")
    assert done.stderr == (
        "Error: codes.png: codes is of the kind codes, not an image: expected a name that ends in "
        ".npy or .npz, or a folder, such as results/, for a .npy of each row\n"
    )


@pytest.mark.parametrize("kind", ["codes", "label"])
def test_numbers_below_zero_name_nothing(kind: str) -> None:
    """A graph would count them from the end."""
    spec = TensorSpec("n", ("batch",), "int64", kind=kind)
    with pytest.raises(InputError, match=r"^p: n: expected int64 \[batch\] of 0 or more, got -1: "):
        check_input("p", spec, np.array([3, -1]))
    assert check_input("p", spec, np.array([0, 3])).tolist() == [0, 3]
