"""Pictures of any size with further inputs of theirs: in Python, and in files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from click.testing import Result
from PIL import Image
from torch import Tensor, nn

import aeonnx as library
from aeonnx.bundle import Axis, TensorSpec, nearest
from aeonnx.errors import InputError
from aeonnx.exporting import ExportOptions, export
from aeonnx.models import Part
from aeonnx.runtime.generating import latent_shape

Array = npt.NDArray[Any]
Cli = Callable[..., Result]
SIZED = ("batch", 1, "height", "width")


class Filled(nn.Module):
    """A model whose results are known: a mask of 1 makes grey of what was there."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Conv2d(1, 1, 1)
        nn.init.dirac_(self.one.weight)
        nn.init.zeros_(self.one.bias)
        self.small = nn.Conv2d(1, 4, 8, 8)
        self.large = nn.ConvTranspose2d(4, 1, 8, 8)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        found: Tensor = self.one(x) * (1 - mask) + mask * 0.5
        return found

    def parts(self) -> dict[str, Part]:
        x, y, mask = (
            TensorSpec(name, SIZED, range=(0.0, 1.0), kind="image") for name in ("x", "y", "mask")
        )
        z = TensorSpec("z", ("batch", 4, "height/8", "width/8"), kind="latent")
        noise = TensorSpec("noise", z.shape, kind="latent")
        level = TensorSpec("level", ("batch",), kind="other")
        axes = {name: Axis(8, min=16, max=4096) for name in ("height", "width")}
        return {
            "denoiser": Part(self, (x, mask), (y,), axes=axes),
            "encoder": Part(self.small, (x,), (z,), axes=axes),
            "decoder": Part(Noised(self.large), (z, noise, level), (y,), axes=axes),
        }


class Noised(nn.Module):
    def __init__(self, large: nn.Module) -> None:
        super().__init__()
        self.large = large

    def forward(self, z: Tensor, noise: Tensor, level: Tensor) -> Tensor:
        found: Tensor = torch.sigmoid(self.large(z + noise * level[:, None, None, None]))
        return found


def filled() -> nn.Module:
    torch.manual_seed(0)
    return Filled()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("filled") / "b"
    export(ExportOptions("filled", found, from_source=f"module:{__name__}:filled"))
    return found


@pytest.fixture
def bundle(folder: Path) -> library.Bundle:
    return library.load(folder, ["cpu"])


def pixels(height: int = 97, width: int = 151, seed: int = 0) -> Array:
    return np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8)


def filled_by(x: Array, mask: Array) -> Array:
    """What the denoiser makes, [n, 1, H, W]."""
    return (x * (1.0 - mask) + mask * 0.5).astype(np.float32)


def test_images_of_pillow_may_have_any_size(bundle: library.Bundle) -> None:
    rows = pixels()[None, None]
    image = Image.fromarray(rows[0, 0])
    given: dict[str, Any] = {"noise": np.zeros((1, 4, 13, 19), np.float32), "level": 0}
    np.testing.assert_array_equal(bundle.encode(image), bundle.encode(rows))
    np.testing.assert_array_equal(
        bundle.reconstruct(image, **given), bundle.reconstruct(rows, **given)
    )
    colour = Image.fromarray(np.repeat(rows[0, 0][..., None], 3, axis=2))
    np.testing.assert_array_equal(bundle.encode([image, colour]), bundle.encode([rows[0], rows[0]]))


def test_images_of_several_sizes_are_no_array(bundle: library.Bundle) -> None:
    images = [Image.fromarray(pixels()), Image.fromarray(pixels(80, 64))]
    with pytest.raises(
        InputError,
        match=r"encoder: x: expected .*, got images of 151x97 and 64x80 pixels: pass images of one "
        "size together, and others one by one",
    ):
        bundle.encode(images)


def test_a_number_fills_an_input_at_the_sizes_of_the_call(bundle: library.Bundle) -> None:
    x = np.random.default_rng(0).random((2, 1, 97, 151), np.float32)
    for number in (0, 1, 0.25):
        mask = np.full(x.shape, number, np.float32)
        np.testing.assert_allclose(
            bundle.denoise(x, mask=number), filled_by(x, mask), atol=1e-6, rtol=0
        )
    exact = np.ascontiguousarray(x[:, :, :96, :144])
    run = bundle.run("denoiser", x=exact, mask=0.25)["y"]
    np.testing.assert_array_equal(run, bundle.denoise(x=exact, mask=0.25))
    noise = np.full((2, 4, 13, 19), 0.5, np.float32)
    np.testing.assert_array_equal(
        bundle.reconstruct(x, noise=0.5, level=1), bundle.reconstruct(x, noise=noise, level=1)
    )


@pytest.mark.parametrize("tile", [None, 64])
def test_a_mask_is_padded_and_cut_as_its_picture_is(folder: Path, tile: int | None) -> None:
    bundle = library.load(folder, ["cpu"], tile=tile)
    rows, masks = pixels()[None, None], pixels(seed=1)[None, None]
    expected = filled_by(rows / 255, masks / 255)
    for mask in (masks, (masks / 255).astype(np.float32), Image.fromarray(masks[0, 0])):
        found = bundle.denoise(Image.fromarray(rows[0, 0]), mask=mask)
        np.testing.assert_allclose(found, expected, atol=1e-6, rtol=0)
    half = bundle.denoise(rows, mask=masks, strength=0.5)
    np.testing.assert_allclose(half, (expected + rows / 255) / 2, atol=1e-6, rtol=0)


def test_a_mask_of_another_size_is_refused_before_it_is_padded(bundle: library.Bundle) -> None:
    with pytest.raises(
        InputError,
        match="^denoiser: height: expected one size in all inputs, got 97 in x and 100 in mask$",
    ):
        bundle.denoise(pixels()[None, None], mask=pixels(100)[None, None])


def done(result: Result) -> Result:
    assert result.exit_code == 0, result.output
    return result


def refused(result: Result, text: str) -> None:
    assert result.exit_code != 0
    assert text in result.stderr
    assert not Path("y.png").exists()
    assert not Path("y.npy").exists()


def near(path: str, expected: Array) -> None:
    found = np.asarray(Image.open(path)).astype(float)
    assert found.shape == expected.shape
    assert np.abs(found - 255 * expected).max() <= 0.51


MASKS = {
    "number": ("0.25", lambda mask: np.full_like(mask, 0.25)),
    "picture": ("mask.png", lambda mask: mask),
    "array": ("mask.npy", lambda mask: mask),
    "pixels": ("mask.npz", lambda mask: mask),
    "folder": ("masks", lambda mask: mask),
}


@pytest.mark.parametrize("kind", sorted(MASKS))
@pytest.mark.parametrize("tile", [(), ("--tile", "64")])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_mask_from_a_file(
    aeonnx: Cli, folder: Path, kind: str, tile: tuple[str, ...], channels: int
) -> None:
    x, mask = pixels(), pixels(seed=1)
    Image.fromarray(np.repeat(x[..., None], 3, 2) if channels == 3 else x).save("x.png")
    Image.fromarray(mask).save("mask.png")
    Path("masks").mkdir()
    Image.fromarray(mask).save("masks/m.png")
    np.save("mask.npy", (mask / 255).astype(np.float32))
    np.savez("mask.npz", x=mask[None, None])
    value, made = MASKS[kind]
    done(aeonnx("denoise", folder, "x.png", "-o", "y.png", "--input", f"mask={value}", *tile))
    expected = filled_by(x / 255, made(mask / 255))
    near("y.png", np.repeat(expected[..., None], 3, 2) if channels == 3 else expected)


def test_a_mask_for_each_picture_or_one_for_all(aeonnx: Cli, folder: Path) -> None:
    sizes = [(97, 151), (40, 64), (97, 151)]
    for name in ("xs", "masks"):
        Path(name).mkdir()
    for place, size in enumerate(sizes):
        Image.fromarray(pixels(*size, seed=place)).save(f"xs/{place}.png")
        Image.fromarray(pixels(*size, seed=9 + place)).save(f"masks/{place}.png")
    done(aeonnx("denoise", folder, "xs", "-o", "ys", "--input", "mask=masks"))
    for place, size in enumerate(sizes):
        x, mask = pixels(*size, seed=place), pixels(*size, seed=9 + place)
        near(f"ys/{place}.png", filled_by(x / 255, mask / 255))
    done(
        aeonnx(
            *("denoise", folder, "xs/0.png", "xs/2.png", "-o", "y.npy"),
            *("--input", "mask=masks/0.png"),
        )
    )
    rows = np.stack([pixels(seed=0), pixels(seed=2)])[:, None] / 255
    expected = filled_by(rows, pixels(seed=9) / 255)
    np.testing.assert_allclose(np.load("y.npy"), expected, atol=1e-6)
    result = aeonnx("denoise", folder, "xs", "-o", "other", "--input", "mask=masks/0.png")
    assert "height: expected one size in all inputs, got 40 in x and 97 in mask" in result.stderr
    assert not Path("other").exists()


def test_rows_of_arrays_for_rows_of_arrays(aeonnx: Cli, folder: Path) -> None:
    """More rows than run at once, and pictures, which are read one by one."""
    masks = np.random.default_rng(0).integers(0, 256, (300, 1, 97, 151), dtype=np.uint8)
    x = masks[::-1] / np.float32(255)
    np.save("x.npy", x)
    np.save("mask.npy", masks)
    Path("masks").mkdir()
    for place, mask in enumerate(masks):
        Image.fromarray(mask[0]).save(f"masks/{place:03}.png")
    for name in ("mask.npy", "masks"):
        done(
            aeonnx("denoise", folder, "x.npy", "-o", "y.npy", "--input", f"mask={name}", "--force")
        )
        np.testing.assert_allclose(np.load("y.npy"), filled_by(x, masks / 255), atol=1e-6, rtol=0)


def test_a_label_for_each_row(aeonnx: Cli, conditional: Path) -> None:
    conditional /= "bundle"
    x = np.random.default_rng(0).random((3, 1, 28, 28), np.float32)
    labels = np.array([3, 1, 4])
    np.save("x.npy", x)
    np.save("labels.npy", labels)
    given = ("--input", "label=labels.npy")
    with library.load(conditional, ["cpu"]) as bundle:
        done(aeonnx("score", conditional, "x.npy", "-o", "scores.npy", *given))
        np.testing.assert_array_equal(np.load("scores.npy"), bundle.score(x, label=labels).scores)
        done(aeonnx("encode", conditional, "x.npy", "-o", "z.npz", *given))
        with np.load("z.npz") as found:
            np.testing.assert_array_equal(found["features"], bundle.encode(x, label=labels))
    np.save("labels.npy", labels + 0.5)
    refused(
        aeonnx("encode", conditional, "x.npy", "-o", "y.npy", *given),
        "labels.npy: expected whole numbers (int64), got float64 with 3.5",
    )
    refused(
        aeonnx("generate", conditional, "-n", "3", "-o", "y.npy", *given),
        "--input label=labels.npy: expected a number, generate takes no files for its further "
        "inputs: give --input label=NUMBER",
    )


def test_noise_and_levels_for_latents(aeonnx: Cli, folder: Path, bundle: library.Bundle) -> None:
    z, noise = np.random.default_rng(0).normal(size=(2, 3, 4, 5, 6)).astype(np.float32)
    level = np.array([0.5, 1.0, 2.0], np.float32)
    np.save("z.npy", z)
    np.save("noise.npy", noise)
    np.save("level.npy", level)
    given = ("--input", "noise=noise.npy", "--input", "level=level.npy")
    done(aeonnx("decode", folder, "z.npy", "-o", "y.npy", *given))
    expected = bundle.decode(z, noise=noise, level=level)
    np.testing.assert_array_equal(np.load("y.npy"), expected)
    np.save("noise.npy", noise[0])
    done(aeonnx("decode", folder, "z.npy", "-o", "one.npy", *given))
    expected = bundle.decode(z, noise=np.repeat(noise[:1], 3, 0), level=level)
    np.testing.assert_array_equal(np.load("one.npy"), expected)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ((), "give mask too, with --input mask=NUMBER or --input mask=FILE, in Python with the ke"),
        (("mask=none.png",), "--input: expected NAME=NUMBER or NAME=FILE, there is no file none.p"),
        (("mask",), "--input: expected NAME=NUMBER or NAME=FILE, got 'mask'"),
        (("mask=small.png",), "width: expected one size in all inputs, got 151 in x and 64 in mas"),
        (("mask=two.npy",), "--input mask=two.npy: expected 1 row, got 2"),
        (("mask=x.png", "spot=x.png"), "leave out spot, which it does not have"),
        (("mask=words.npy",), "words.npy"),
    ],
)
def test_further_inputs_that_do_not_fit(
    aeonnx: Cli, folder: Path, given: tuple[str, ...], text: str
) -> None:
    Image.fromarray(pixels()).save("x.png")
    Image.fromarray(pixels(97, 64)).save("small.png")
    np.save("two.npy", np.zeros((2, 1, 97, 151), np.float32))
    np.save("words.npy", np.array(["a"]))
    options = [word for each in given for word in ("--input", each)]
    refused(aeonnx("denoise", folder, "x.png", "-o", "y.png", *options), text)


def test_an_array_of_latents_is_no_picture(aeonnx: Cli, folder: Path) -> None:
    np.save("z.npy", np.zeros((1, 4, 4, 4), np.float32))
    Image.fromarray(pixels()).save("x.png")
    result = aeonnx(
        *("decode", folder, "z.npy", "-o", "y.npy", "--input", "noise=x.png"),
        *("--input", "level=1"),
    )
    text = "x.png is a picture (PNG): expected noise, a .npy or .npz array of floats [n, 4, any"
    refused(result, text)


@pytest.mark.parametrize(
    ("shape", "text"),
    [
        (
            (1, 97, 151, 1),
            r"got float32 \[1, 97, 151, 1\]: axis 1 must have size 1, not 97 \(the last axis has "
            r"the channels, transpose it: numpy.moveaxis\(value, -1, 1\)\)$",
        ),
        (
            (97, 151, 1),
            r"got float32 \[97, 151, 1\]: 4 axes, not 3 \(the last axis has the channels, "
            r"transpose it, and one row needs its batch axis too: numpy.moveaxis\(value, -1, 0\)",
        ),
        ((1, 3, 97, 151), r"got float32 \[1, 3, 97, 151\]: axis 1 must have size 1, not 3$"),
    ],
)
@pytest.mark.parametrize("verb", ["encode", "denoise"])
def test_an_array_is_reported_as_it_came(
    bundle: library.Bundle, verb: str, shape: tuple[int, ...], text: str
) -> None:
    given: dict[str, Any] = {"mask": np.zeros((1, 1, 97, 151))} if verb == "denoise" else {}
    with pytest.raises(InputError, match=text):
        getattr(bundle, verb)(np.zeros(shape, np.float32), **given)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (64, "size: expected 2 numbers, height and width, got 64"),
        ((64,), "size: expected 2 numbers, height and width, got (64,)"),
        ("64x48", "size: expected 2 numbers, height and width, got '64x48'"),
        ((64.0, 48), "size: expected a whole number, got 64.0 (float)"),
        ((-64, 48), "height: expected a multiple of 8 from 16 to 4096, got -64: the nearest is 16"),
    ],
)
def test_sizes_of_generated_images(bundle: library.Bundle, size: Any, text: str) -> None:
    with pytest.raises(InputError) as caught:
        latent_shape(bundle.manifest, size)
    assert text in str(caught.value)


def test_the_nearest_size_is_one_that_the_axis_allows() -> None:
    for axis in (Axis(8, min=16), Axis(8, min=16, max=64), Axis()):
        for size in range(-100, 100):
            found = nearest(axis, size)
            assert axis.allows(found)
            others = range(max(size - abs(found - size) + 1, 1), size + abs(found - size))
            assert not any(axis.allows(other) for other in others)
