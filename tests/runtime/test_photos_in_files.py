"""Photographs in files: they come out with the size, colours, depth and alpha that they had."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from click.testing import Result
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms
from torch import Tensor, nn

import aeonnx as library
from aeonnx.bundle import Axis, TensorSpec
from aeonnx.errors import ImageError, InputError, OutputError, UsageError
from aeonnx.exporting import ExportOptions, export
from aeonnx.io.decode import dpi_of, info_of
from aeonnx.io.deep import decode_deep
from aeonnx.io.encode import encode_picture
from aeonnx.models import Part
from aeonnx.runtime.file_ops import run_on_files
from aeonnx.runtime.file_rows import open_rows_of
from aeonnx.runtime.stream import rows_at_once, stream
from aeonnx.serving.pictures import prepared

Cli = Callable[..., Result]
WHITE = {8: 255, 16: 65535}


class Inverted(nn.Module):
    """A "denoiser" whose result is known to the last bit: black becomes white."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.one = nn.Conv2d(channels, channels, 1)
        nn.init.dirac_(self.one.weight)
        nn.init.zeros_(self.one.bias)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = 1 - self.one(x)
        return found

    def parts(self) -> dict[str, Part]:
        shape = ("batch", self.channels, "height", "width")
        x, y = (TensorSpec(name, shape, range=(0.0, 1.0), kind="image") for name in ("x", "y"))
        axes = {name: Axis(4, min=8, max=4096) for name in ("height", "width")}
        return {"denoiser": Part(self, (x,), (y,), axes=axes)}


def grey() -> nn.Module:
    return Inverted(1)


def colour() -> nn.Module:
    return Inverted(3)


class Unbounded(Inverted):
    """Of floats of any value, as `--corruption awgn` makes it: no pixels stand for them."""

    def parts(self) -> dict[str, Part]:
        (found,) = super().parts().values()
        (x,), (y,) = found.inputs, found.outputs
        part = replace(found, inputs=(replace(x, range=None),), outputs=(replace(y, range=None),))
        return {"denoiser": part}


def unbounded() -> nn.Module:
    return Unbounded(1)


class OfClasses(nn.Module):
    """Reconstructs images of class 1, and makes those of class 0 dark."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Conv2d(1, 1, 1, bias=False)
        nn.init.dirac_(self.one.weight)

    def forward(self, x: Tensor, label: Tensor) -> Tensor:
        found: Tensor = self.one(x) * (0.1 + 0.9 * label.float()).reshape(-1, 1, 1, 1)
        return found

    def parts(self) -> dict[str, Part]:
        shape = ("batch", 1, "height", "width")
        x, y = (TensorSpec(name, shape, range=(0.0, 1.0), kind="image") for name in ("x", "y"))
        label = TensorSpec("label", ("batch",), "int64", (0.0, 1.0), kind="label")
        axes = {name: Axis(4, min=8, max=4096) for name in ("height", "width")}
        return {"reconstructor": Part(self, (x, label), (y,), axes=axes)}


def of_classes() -> nn.Module:
    return OfClasses()


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    found = {}
    for name in ("grey", "colour", "unbounded", "of_classes"):
        found[name] = tmp_path_factory.mktemp(name) / "b"
        export(ExportOptions("inverted", found[name], from_source=f"module:{__name__}:{name}"))
    return found


def noise(*shape: int, bits: int = 8) -> Any:
    values = np.random.default_rng(len(shape)).integers(0, WHITE[bits] + 1, shape)
    return values.astype(f"uint{bits}")


def done(result: Result) -> Result:
    assert result.exit_code == 0, result.output
    return result


def channels_of(path: str | Path) -> Any:
    """All channels of a picture file with all of their bits: [H, W, C]."""
    found = decode_deep(Path(path).read_bytes())
    planes = np.atleast_3d(found.colour)
    return planes if found.alpha is None else np.dstack([planes, found.alpha])


def inverted(pixels: Any) -> Any:
    """What must come out: alpha, the last of 2 or 4 channels, stays as it is."""
    after = np.iinfo(pixels.dtype).max - pixels
    if pixels.shape[2] in (2, 4):
        after[..., -1] = pixels[..., -1]
    return after


@pytest.mark.parametrize("model", ["grey", "colour"])
@pytest.mark.parametrize("form", ["png", "tif"])
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_every_kind_of_picture_comes_out_as_it_went_in(
    aeonnx: Cli, bundles: dict[str, Path], model: str, form: str, bits: int, channels: int
) -> None:
    pixels = noise(13, 21, channels, bits=bits)
    Path(f"in.{form}").write_bytes(encode_picture(pixels, form))
    before = channels_of(f"in.{form}")  # grey with alpha in a .tif is RGBA
    done(aeonnx("denoise", bundles[model], f"in.{form}", "-o", f"out.{form}"))
    after = channels_of(f"out.{form}")
    assert after.dtype == before.dtype == np.dtype(f"uint{bits}")
    np.testing.assert_array_equal(after, inverted(before))


@pytest.mark.parametrize(
    ("form", "clear"),
    [*(("png", None), ("tif", None), ("bmp", None), ("gif", None)), ("png", 3), ("gif", 3)],
)
def test_a_palette_is_transparent_only_if_it_says_so(
    aeonnx: Cli, bundles: dict[str, Path], form: str, clear: int | None
) -> None:
    image = Image.fromarray(noise(13, 21, 3)).quantize(64)
    image.save(f"in.{form}", **({} if clear is None else {"transparency": clear}))
    before = channels_of(f"in.{form}")
    assert before.shape[2] == (3 if clear is None else 4)
    done(aeonnx("denoise", bundles["colour"], f"in.{form}", "-o", "out.png"))
    np.testing.assert_array_equal(channels_of("out.png"), inverted(before))


def test_a_folder_of_all_kinds_keeps_each(aeonnx: Cli, bundles: dict[str, Path]) -> None:
    Path("in").mkdir()
    kinds = [(1, 8), (1, 16), (3, 8), (3, 16), (4, 16), (2, 8)]
    for number, (channels, bits) in enumerate(kinds):
        pixels = noise(9 + number, 20, channels, bits=bits)
        Path(f"in/{number}.png").write_bytes(encode_picture(pixels, "png"))
    told = done(aeonnx("denoise", bundles["colour"], "in", "-o", "out")).output
    assert told.startswith("out: uint16 and uint8 [6, any, any, 20] on ")
    for number in range(len(kinds)):
        np.testing.assert_array_equal(
            channels_of(f"out/{number}.png"), inverted(channels_of(f"in/{number}.png"))
        )


def test_orientation_is_applied_once(aeonnx: Cli, bundles: dict[str, Path]) -> None:
    pixels = noise(12, 20, 3)
    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(pixels).save("in.png", exif=exif)
    done(aeonnx("denoise", bundles["colour"], "in.png", "-o", "out.png"))
    with Image.open("out.png") as out:
        assert out.getexif().get(274, 1) == 1
        np.testing.assert_array_equal(np.asarray(out), 255 - np.rot90(pixels, -1))


@pytest.mark.parametrize("form", ["png", "tif", "jpg"])
@pytest.mark.parametrize("bits", [8, 16])
def test_the_dots_per_inch_of_a_scan_are_kept(
    aeonnx: Cli, bundles: dict[str, Path], form: str, bits: int
) -> None:
    pixels = noise(16, 20, 3, bits=bits)
    Path(f"in.{form}").write_bytes(encode_picture(pixels, form, dpi=(300, 600)))
    done(aeonnx("denoise", bundles["colour"], f"in.{form}", "-o", f"out.{form}"))
    for name in ("in", "out"):
        with Image.open(f"{name}.{form}") as picture:
            assert picture.info["dpi"] == pytest.approx((300, 600), abs=0.05)
    if form == "tif":  # another reader
        with tifffile.TiffFile("out.tif") as file:
            top, bottom = file.pages[0].tags["YResolution"].value
            assert top / bottom == 600


@pytest.mark.parametrize("dpi", [(0, 300), (300, 1e9)])
def test_impossible_dots_per_inch_are_left_out(dpi: tuple[float, float]) -> None:
    data = io.BytesIO()
    Image.new("RGB", (4, 4)).save(data, "TIFF", dpi=dpi)
    assert dpi_of(info_of(data.getvalue())) is None


@pytest.mark.parametrize("suffix", ["png", "tif", "webp", "jpg"])
def test_the_profile_of_the_colours_is_kept(
    aeonnx: Cli, bundles: dict[str, Path], suffix: str
) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(noise(16, 16, 3)).save(f"in.{suffix}", icc_profile=profile)
    done(aeonnx("denoise", bundles["colour"], f"in.{suffix}", "-o", f"out.{suffix}"))
    with Image.open(f"out.{suffix}") as out:
        assert out.info["icc_profile"] == profile
    pixels = encode_picture(noise(16, 16, 3, bits=16), "png", profile)
    assert Image.open(io.BytesIO(pixels)).info["icc_profile"] == profile


def test_a_background_takes_the_alpha_away(aeonnx: Cli, bundles: dict[str, Path]) -> None:
    for bits in (8, 16):
        pixels = noise(10, 12, 4, bits=bits)
        Path("in.png").write_bytes(encode_picture(pixels, "png"))
        done(aeonnx("denoise", bundles["colour"], "in.png", "-o", "out.png", "--background",
                    "#ff8000", "--force"))  # fmt: skip
        white = WHITE[bits]
        share = pixels[..., 3:].astype(float) / white
        behind = np.array([255, 128, 0]) * (white // 255)
        expected = white - (pixels[..., :3] * share + behind * (1 - share))
        found = channels_of("out.png")
        assert found.shape == (10, 12, 3)
        assert np.abs(found - expected).max() <= 0.51


def test_a_jpeg_cannot_keep_transparency(aeonnx: Cli, bundles: dict[str, Path]) -> None:
    Path("in.png").write_bytes(encode_picture(noise(10, 12, 4), "png"))
    told = aeonnx("denoise", bundles["colour"], "in.png", "-o", "out.jpg")
    assert told.exit_code == 2
    assert "out.jpg: a JPEG keeps no transparency: expected .png, .webp or .tif" in told.output
    assert not Path("out.jpg").exists()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("cmyk.jpg", "cmyk.jpg is in CMYK, whose colours depend on its profile: convert it to RGB"),
        ("hdr.tif", "hdr.tif has 32-bit floats: expected 8 or 16 bits per channel"),
        ("cut.png", "cut.png is not a readable PNG"),
    ],
)
def test_pictures_that_cannot_be_kept_are_refused(
    aeonnx: Cli, bundles: dict[str, Path], name: str, text: str
) -> None:
    Image.fromarray(noise(16, 16, 4), "CMYK").save("cmyk.jpg")
    Image.fromarray(noise(16, 16).astype(np.float32)).save("hdr.tif")
    Path("cut.png").write_bytes(encode_picture(noise(16, 16, 3, bits=16), "png")[:-20])
    for target in ("out.png", "out"):
        told = aeonnx("denoise", bundles["colour"], name, "-o", target)
        assert told.exit_code == 1
        assert text in told.output
        assert not Path(target).exists()


def test_one_bit_becomes_eight(aeonnx: Cli, bundles: dict[str, Path]) -> None:
    bits = noise(16, 24) > 127
    Image.fromarray(bits).save("in.png")
    done(aeonnx("denoise", bundles["colour"], "in.png", "-o", "out.png"))
    np.testing.assert_array_equal(channels_of("out.png")[..., 0], np.where(bits, 0, 255))


def test_bad_pictures_of_a_folder_are_skipped_or_leave_nothing(
    aeonnx: Cli, bundles: dict[str, Path]
) -> None:
    Path("in").mkdir()
    Image.fromarray(noise(16, 16, 3)).save("in/a.png")
    Path("in/b.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    Path("in/clear.png").write_bytes(encode_picture(noise(9, 16, 4), "png"))
    refused = aeonnx("denoise", bundles["colour"], "in", "-o", "out")
    assert refused.exit_code == 1
    assert refused.stderr.startswith("Error: b.png is not a readable PNG")
    assert refused.stderr.endswith(". --skip-bad goes on without such pictures\n")
    assert not Path("out").exists()
    assert (
        "--skip-bad" not in aeonnx("denoise", bundles["colour"], "in/b.png", "-o", "o.png").stderr
    )
    told = done(aeonnx("denoise", bundles["colour"], "in", "-o", "out", "--skip-bad"))
    assert "Skipped 1" in told.output
    assert sorted(path.name for path in Path("out").iterdir()) == ["a.png", "clear.png"]


@given(st.floats(0, 1), st.sampled_from([8, 16]))
def test_strength_mixes_with_the_noisy_picture(
    bundles: dict[str, Path], strength: float, bits: int
) -> None:
    bundle = library.load(bundles["colour"], ["cpu"])
    x = noise(1, 3, 9, 14, bits=8)
    floats = x.astype(np.float32) / 255
    expected = strength * (1 - floats) + (1 - strength) * floats
    found = bundle.denoise(x if bits == 8 else floats, strength=strength)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    pixels = bundle.denoise(x, strength=strength, pixels=True)
    assert np.abs(pixels - 255 * expected).max() <= 0.5001
    out = np.empty_like(found)
    assert bundle.denoise(x, strength=strength, out=out) is out
    np.testing.assert_array_equal(out, found)


@pytest.mark.parametrize("strength", [-0.1, 1.1, float("nan"), True, "much"])
def test_other_strengths_are_refused(bundles: dict[str, Path], strength: Any) -> None:
    bundle = library.load(bundles["grey"], ["cpu"])
    with pytest.raises(UsageError) as caught:
        bundle.denoise(noise(1, 1, 8, 8), strength=strength)
    assert str(caught.value) == (
        "strength: expected a number from 0 (the image as it is) to 1 (all that the denoiser "
        f"does), got {strength!r}"
    )


def test_strength_and_comparison_on_the_command_line(aeonnx: Cli, bundles: dict[str, Path]) -> None:
    pixels = noise(20, 30, 3, bits=16)
    Path("in.png").write_bytes(encode_picture(pixels, "png"))
    done(aeonnx("denoise", bundles["colour"], "in.png", "-o", "out.png", "--strength", "0.25",
                "--compare", "sheet.png"))  # fmt: skip
    expected = 0.25 * (65535.0 - pixels) + 0.75 * pixels
    assert np.abs(channels_of("out.png") - expected).max() <= 0.6
    with Image.open("sheet.png") as shown:
        sheet = np.asarray(shown)
    before = np.kron(pixels >> 8, np.ones((4, 4, 1), np.uint8))  # 30 pixels are enlarged to 120
    high, wide = before.shape[:2]
    assert any(
        np.array_equal(sheet[top : top + high, 8 : 8 + wide], before) for top in range(20, 60)
    )
    told = aeonnx("denoise", bundles["colour"], "in.png", "-o", "b.png", "--compare", "b.png")
    assert told.exit_code == 2
    assert "--compare b.png: expected another name than that of -o" in told.output
    told = aeonnx("denoise", bundles["colour"], "in.png", "-o", "in.webp")
    assert "in.webp: uint8 [1, 3, 20, 30]" in told.output
    told = aeonnx("denoise", bundles["colour"], "in.png", "-o", "b.png", "--compare", "sheet.png")
    assert told.exit_code == 1
    assert "sheet.png exists" in told.output
    assert not Path("b.png").exists()


def test_comparison_of_arrays_and_of_images_of_one_size(
    aeonnx: Cli, bundle_of: Callable[..., Path]
) -> None:
    np.save("x.npy", np.random.default_rng(0).random((20, 1, 28, 28), np.float32))
    done(aeonnx("denoise", bundle_of("dae"), "x.npy", "-o", "y.npy", "--compare", "sheet.png"))
    with Image.open("sheet.png") as sheet:
        width, height = sheet.size
    assert width == 4 * 2 * 120 + 7 * 8  # four pairs beside each other
    assert height > 3 * 112


def test_deep_pictures_of_other_programs_are_read(tmp_path: Path) -> None:
    for order in "<>":
        for channels in (1, 3, 4):
            pixels = noise(11, 17, channels, bits=16)
            tifffile.imwrite(
                tmp_path / "x.tif",
                pixels if channels > 1 else pixels[..., 0],
                byteorder=order,
                photometric="rgb" if channels > 1 else "minisblack",
                extrasamples=["unassalpha"] if channels == 4 else None,
            )
            np.testing.assert_array_equal(channels_of(tmp_path / "x.tif"), pixels)
            (tmp_path / "y.tif").write_bytes(encode_picture(pixels, "tif"))
            np.testing.assert_array_equal(
                tifffile.imread(tmp_path / "y.tif").reshape(pixels.shape), pixels
            )


def test_deep_pngs_are_whole_files() -> None:
    data = encode_picture(noise(5, 7, 3, bits=16), "png")
    start = data.index(b"IDAT")
    length = int.from_bytes(data[start - 4 : start], "big")
    assert len(zlib.decompress(data[start + 4 : start + 4 + length])) == 5 * (1 + 7 * 6)
    np.testing.assert_array_equal(
        np.asarray(Image.open(io.BytesIO(data))), noise(5, 7, 3, bits=16) >> 8
    )


@pytest.mark.parametrize(
    ("form", "size", "most"),
    [("npy", (1024, 1024), 4), ("npz", (1024, 1024), 4), ("npy", (2048, 2048), 1)],
)
def test_rows_of_large_arrays_run_few_at_once(
    bundles: dict[str, Path], tmp_path: Path, form: str, size: tuple[int, int], most: int
) -> None:
    """Of the size of the golden vectors, a thousand would; of this size, they fill the memory."""
    x = np.broadcast_to(np.float32(0.25), (6, 1, *size))
    path = tmp_path / f"x.{form}"
    np.save(path, x) if form == "npy" else np.savez_compressed(path, x=x)
    with library.load(bundles["grey"], ["cpu"]) as bundle:
        rows = open_rows_of(bundle, "denoise", [path], None)
        at_once = rows_at_once(bundle, "denoise", rows.values)
        batches = [len(batch) for batch in rows.batches(at_once)]
        assert (max(batches), sum(batches)) == (most, 6)
        counts: list[int] = []
        run_on_files(
            bundle, "denoise", [path], tmp_path / "y.npy", advanced=lambda n, _: counts.append(n)
        )
        assert counts[:2] == [most, min(6, 2 * most)]
        assert [len(batch) for batch in stream(bundle, "denoise", x)] == batches
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy", mmap_mode="r")[:, 0, 5, 7], 0.75)


@pytest.mark.parametrize("strength", [None, 0.5, 1.0])
@pytest.mark.parametrize("bits", [8, 16])
def test_a_denoiser_of_floats_without_a_range_takes_no_pixels(
    aeonnx: Cli, bundles: dict[str, Path], strength: float | None, bits: int
) -> None:
    more = {} if strength is None else {"strength": strength}
    text = "the model does not say which range its images have"
    with library.load(bundles["unbounded"], ["cpu"]) as bundle:
        pixels = noise(2, 1, 16, 24)
        with pytest.raises(InputError, match=text):
            bundle.denoise(pixels, **more)
        floats = pixels * np.float32(3)
        share = 1 if strength is None else strength
        expected = share * (1 - floats) + (1 - share) * floats
        np.testing.assert_allclose(bundle.denoise(floats, **more), expected, rtol=1e-5)
        data = encode_picture(noise(16, 24, 1, bits=bits), "png", None, None)
        with pytest.raises(ImageError, match=f"{text}.*: send floats"):
            prepared(bundle, "denoise", data)
    Path("x.png").write_bytes(data)
    options = [] if strength is None else ["--strength", strength]
    told = aeonnx("denoise", bundles["unbounded"], "x.png", "-o", "y.png", *options)
    assert told.exit_code == 1
    assert f"x.png has pixels of 0 to 255, and {text}" in told.stderr


def test_the_class_of_a_photograph_is_predicted(aeonnx: Cli, bundles: dict[str, Path]) -> None:
    Path("in").mkdir()
    given = {name: noise(16, 24 + 4 * place, 1) for place, name in enumerate(("a", "b"))}
    for name, pixels in given.items():
        Path(f"in/{name}.png").write_bytes(encode_picture(pixels, "png", None, None))
    done(aeonnx("reconstruct", bundles["of_classes"], "in", "-o", "out"))
    for name, pixels in given.items():
        np.testing.assert_array_equal(channels_of(f"out/{name}.png"), pixels)
    done(aeonnx("reconstruct", bundles["of_classes"], "in/a.png", "-o", "dark.png", "--label", 0))
    assert channels_of("dark.png").max() <= 26


def test_a_full_disk_ends_the_work_at_once(
    aeonnx: Cli, bundles: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("in").mkdir()
    for place in range(12):
        data = encode_picture(noise(16, 24, 1), "png", None, None)
        Path(f"in/{place:02}.png").write_bytes(data)
    written: list[Path] = []

    def full(path: Path, _: bytes) -> None:
        written.append(path)
        raise OutputError(f"cannot write {path}: no space left on device")

    monkeypatch.setattr("aeonnx.runtime.photos.files.write", full)
    told = aeonnx("denoise", bundles["grey"], "in", "-o", "out")
    assert told.exit_code == 1
    assert "no space left on device" in told.stderr
    assert len(written) == 1
    assert not Path("out").exists()


def test_resizing_is_refused_where_any_size_is_taken(aeonnx: Cli, bundles: dict[str, Path]) -> None:
    Path("x.png").write_bytes(encode_picture(noise(20, 24, 1), "png", None, None))
    told = aeonnx("denoise", bundles["grey"], "x.png", "-o", "y.png", "--resize", "fit")
    assert told.exit_code == 2
    assert told.stderr.splitlines()[-1].endswith(
        "--resize: denoise of this bundle takes pictures of any size: leave it out"
    )
    assert not Path("y.png").exists()
