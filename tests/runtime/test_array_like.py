"""Every verb accepts what people have for an array, and computes the same from it."""

from __future__ import annotations

import array
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import aeonnx
from aeonnx.errors import ImageError, InputError
from aeonnx.io.pictures import read_picture
from aeonnx.io.pillow import pixels_of
from aeonnx.runtime.stream import stream
from tests.pictures import make

Maker = Callable[..., Path]
Array = npt.NDArray[Any]


class WithArray:
    """An object that only has `__array__`."""

    def __init__(self, value: Array) -> None:
        self._value = value

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return self._value


class WithDLPack:
    """An object that only has `__dlpack__`."""

    def __init__(self, value: Array) -> None:
        self._value = value

    def __dlpack__(self, **how: Any) -> Any:
        return self._value.__dlpack__(**how)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self._value.__dlpack_device__()


def grad(value: Array) -> torch.Tensor:
    return torch.tensor(value, requires_grad=value.dtype.kind == "f")


def images_of(value: Array) -> list[Image.Image]:
    pixels = value if value.dtype == np.uint8 else np.rint(value * 255).astype(np.uint8)
    return [Image.fromarray(row[0]) for row in pixels]


SAME = {
    "array": lambda x: x,
    "fortran": np.asfortranarray,
    "tensor": torch.from_numpy,
    "tensor with grad": grad,
    "transposed tensor": lambda x: torch.from_numpy(x.T.copy()).permute(*range(x.ndim)[::-1]),
    "parameter": lambda x: torch.nn.Parameter(
        torch.from_numpy(x), requires_grad=x.dtype.kind == "f"
    ),
    "__array__": WithArray,
    "__dlpack__": WithDLPack,
    "list of arrays": list,
    "tuple of tensors": lambda x: tuple(torch.from_numpy(x)),
    "list of lists of tensors": lambda x: [[torch.tensor(each) for each in row] for row in x],
}


@pytest.fixture(scope="module")
def vae(bundle_of: Maker) -> Iterator[aeonnx.Bundle]:
    with aeonnx.load(bundle_of()) as bundle:
        yield bundle


def running(bundle: aeonnx.Bundle, verb: str) -> Callable[..., np.ndarray]:
    """What runs a verb and returns an array."""
    if verb == "score":
        return lambda value: bundle.score(value).scores
    return getattr(bundle, verb)


@given(
    kind=st.sampled_from(sorted(SAME)),
    dtype=st.sampled_from(["float16", "float32", "float64", "uint8"]),
    verb=st.sampled_from(["encode", "reconstruct", "score", "decode"]),
    rows=st.integers(1, 4),
    pixels=st.booleans(),
    seed=st.integers(0, 99),
)
def test_all_kinds_of_arrays_give_the_same(
    vae: aeonnx.Bundle, kind: str, dtype: str, verb: str, rows: int, pixels: bool, seed: int
) -> None:
    shape = (rows, 20) if verb == "decode" else (rows, 1, 28, 28)
    drawn = np.random.default_rng(seed).random(shape)
    if dtype == "uint8":
        if verb == "decode":
            return  # latents have no pixels
        drawn *= 255
    value = drawn.astype(dtype)
    how = {"pixels": True} if pixels and verb in ("reconstruct", "decode") else {}
    run = running(vae, verb)
    np.testing.assert_array_equal(run(SAME[kind](value), **how), run(value, **how))


def test_lists_of_numbers_are_arrays(vae: aeonnx.Bundle) -> None:
    z = np.arange(40).reshape(2, 20) / 40
    np.testing.assert_array_equal(vae.decode(z.tolist()), vae.decode(z))
    np.testing.assert_array_equal(vae.decode([[0] * 20]), vae.decode(np.zeros((1, 20))))
    image = vae.run("sampler", seed=[7], index=[0, 1])["image"]
    np.testing.assert_array_equal(image, vae.generate(2, seed=7, pixels=True))


def test_whole_numbers_of_a_list_are_no_pixels(vae: aeonnx.Bundle) -> None:
    with pytest.raises(InputError, match=r"got int64: pass pixels of 0 to 255 as uint8"):
        vae.encode([[[[1] * 28] * 28]])


@pytest.mark.parametrize("verb", ["encode", "reconstruct", "score"])
def test_images_of_pillow_are_their_pixels(vae: aeonnx.Bundle, verb: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 1, 28, 28), dtype=np.uint8)
    images = images_of(pixels)
    run = running(vae, verb)
    np.testing.assert_array_equal(run(images), run(pixels))
    np.testing.assert_array_equal(run(tuple(images)), run(pixels))
    np.testing.assert_array_equal(run(images[1]), run(pixels[1:2]))


def test_classes_of_images(bundle_of: Maker) -> None:
    bundle = aeonnx.load(bundle_of("sdae"))
    pixels = np.random.default_rng(0).integers(0, 256, (2, 1, 28, 28), dtype=np.uint8)
    assert bundle.classify(images_of(pixels)).labels == bundle.classify(pixels).labels


def test_pixel_graphs_take_them_too(denoiser: Path) -> None:
    bundle = aeonnx.load(denoiser)
    pixels = np.random.default_rng(0).integers(0, 256, (3, 1, 28, 28), dtype=np.uint8)
    expected = bundle.denoise(pixels, pixels=True)
    for kind in (images_of, torch.from_numpy, list):
        np.testing.assert_array_equal(bundle.denoise(kind(pixels), pixels=True), expected)


def test_images_are_read_as_their_files_are(tmp_path: Path) -> None:
    pictures, compared = make(tmp_path, 12, 10), 0
    # Pillow 13 itself mixes up the pixels of this one: those of the file, decoded by us, are right.
    del pictures["tif-orientation-6.tif"]
    for name, picture in pictures.items():
        for channels, wanted in picture.wanted.items():
            if isinstance(wanted, str) or name.startswith(("png-rgb-16-trns", "png-animated-one")):
                continue
            shape = (channels, 12, 10)
            with Image.open(tmp_path / name) as image:
                found = pixels_of(image, shape, "encoder: x")
            np.testing.assert_array_equal(found, read_picture(tmp_path / name, shape), name)
            compared += 1
    assert compared > 150


def picture(mode: str = "L", size: tuple[int, int] = (28, 28)) -> Image.Image:
    return Image.new(mode, size)


def half_transparent() -> Image.Image:
    return Image.new("RGBA", (28, 28), (1, 2, 3, 128))


def of_16_bits() -> Image.Image:
    image = picture("RGB")
    image.info["transparency"] = (65535, 0, 0)
    return image


def of_frames() -> Image.Image:
    image = picture()
    image.n_frames = 3  # type: ignore[attr-defined]
    return image


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (picture(size=(28, 30)), r"got an image of 28x30 pixels: resize it with .resize\(\(28, 28"),
        (half_transparent(), "the image has transparent pixels, and the model takes none: flatten"),
        (picture("CMYK"), "got an image that is in CMYK, whose colours depend on its profile"),
        (picture("F"), "got an image that has 32-bit floats: expected 8 or 16 bits"),
        (picture("HSV"), "got an image that is in pillow's mode HSV: expected grey, RGB or a pal"),
        (of_16_bits(), "declares a transparent colour of 16 bits, and has 8: convert it to RGBA"),
        (of_frames(), r"holds 3 pictures: pass one of them, as .copy\(\) after .seek"),
        ([picture(), "x.png"], "got a list of images and str: pass images alone"),
        ([picture(), np.zeros((1, 28, 28))], "got a list of images and numpy.ndarray: pass images"),
    ],
)
def test_images_that_cannot_be_taken(vae: aeonnx.Bundle, value: object, text: str) -> None:
    with pytest.raises(InputError, match=r"^encoder: x: expected float32 .*" + text):
        vae.encode(value)  # type: ignore[arg-type]


def test_a_damaged_file_behind_an_image(vae: aeonnx.Bundle, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (28, 28), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "x.png")
    (tmp_path / "x.png").write_bytes((tmp_path / "x.png").read_bytes()[:300])
    text = "got an image that pillow cannot decode: .*truncated"
    with Image.open(tmp_path / "x.png") as image, pytest.raises(ImageError, match=text):
        vae.encode(image)


def test_latents_are_no_image(vae: aeonnx.Bundle) -> None:
    with pytest.raises(
        InputError, match=r"decoder: z: .*got an image of pillow: this input is not"
    ):
        vae.decode(picture())
    with pytest.raises(
        InputError, match=r"decoder: z: .*got an image of pillow: this input is not"
    ):
        vae.decode([picture()])


class OnDevice:
    """What a tensor on a GPU answers."""

    device = "cuda:0"
    __module__ = "torch"

    def __array__(self, *_: object, **__: object) -> Array:
        raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() first.")


class Deleted:
    """An array whose memory is gone, that says nothing."""

    def __dlpack__(self, **_: object) -> Any:
        raise BufferError

    def __dlpack_device__(self) -> tuple[int, int]:
        return (2, 0)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (
            OnDevice(),
            r"got a torch.OnDevice on cuda:0 that cannot .*Use Tensor\.cpu\(\) first\.\): ",
        ),
        (Deleted(), r"got a tests.Deleted that cannot be read as a numpy array \(\w+.*\): copy it"),
        (torch.empty(2, 20, device="meta"), r"got a torch.Tensor on meta that cannot be read"),
        (torch.zeros(2, 20).to_sparse(), r"got a torch.Tensor that cannot .*to_dense"),
        (torch.zeros(2, 20, dtype=torch.bfloat16), r"got a torch.Tensor that cannot .*BFloat16"),
        (torch.zeros(2, 20, dtype=torch.int64), r"got int64: convert it with"),
        (torch.zeros(2, 21), r"got float32 \[2, 21\]: axis 1 must have size 20, not 21"),
        ([np.ma.zeros(20)], r"got a masked array"),
        ([torch.zeros(20), torch.zeros(19)], r"got a list whose rows have different shapes"),
        ([[10**30] * 20], r"got object: its elements are not numbers"),
        ([], r"got float64 \[0\]: 2 axes, not 1"),
        ({"z": 1}, r"got a dict: make it one"),
        (None, r"got a NoneType: make it one"),
        (array.array("f", [0.0] * 20), r"got a array.array: make it one"),
        ((row for row in ()), r"got a generator: make it one"),
    ],
)
def test_what_is_no_array_says_what_came(vae: aeonnx.Bundle, value: object, text: str) -> None:
    with pytest.raises(InputError, match=r"decoder: z: expected float32 \[batch, 20\], .*" + text):
        vae.decode(value)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"decoder: z: expected float32 \[batch, 20\], .*" + text):
        vae.decode(value, pixels=True)  # type: ignore[arg-type]


def test_a_tensor_may_not_share_memory_with_out(vae: aeonnx.Bundle) -> None:
    x = np.zeros((2, 1, 28, 28), np.float32)
    with pytest.raises(InputError, match="got the input's own memory"):
        vae.reconstruct(torch.from_numpy(x), out=x)


def test_streams_take_tensors(vae: aeonnx.Bundle) -> None:
    z = torch.randn(5, 20)
    whole = np.concatenate(list(stream(vae, "decode", z)))
    np.testing.assert_allclose(whole, vae.decode(z), atol=1e-6)
    batches = np.concatenate(list(stream(vae, "decode", [z[:2], z[2:].tolist()])))
    np.testing.assert_allclose(batches, whole, atol=1e-6)


def test_neither_torch_nor_pillow_is_imported(bundle_of: Maker) -> None:
    code = (
        "import sys, aeonnx\n"
        f"bundle = aeonnx.load({str(bundle_of())!r})\n"
        "bundle.decode([[0.0] * 20])\n"
        "assert not {'torch', 'PIL'} & sys.modules.keys()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
