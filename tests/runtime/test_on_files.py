"""Verbs on files: every form that comes in and goes out, and nothing lost on the way."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

import aeonnx as package
from aeonnx.cli import cli
from aeonnx.io.formats import distinct
from aeonnx.io.pictures import read_picture

Maker = Callable[..., Path]
Cli = Callable[..., Result]
SIZE = (28, 28)


@pytest.fixture
def dae(bundle_of: Maker) -> Path:
    return bundle_of("dae")


@pytest.fixture
def digits() -> Any:
    return np.random.default_rng(0).integers(0, 256, (4, *SIZE), dtype=np.uint8)


def save(path: str, pixels: Any, **options: Any) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)


def read(path: str) -> Any:
    return np.asarray(Image.open(path))


def denoised(bundle: Path, pixels: Any) -> Any:
    return package.load(bundle, ["cpu"]).denoise(pixels[:, None], pixels=True)[:, 0]


def done(result: Result) -> Result:
    assert result.exit_code == 0, result.output
    return result


def test_one_picture_is_the_same_in_every_format(aeonnx: Cli, dae: Path, digits: Any) -> None:
    for suffix in ("png", "bmp", "tif", "webp", "gif"):
        options = {"lossless": True} if suffix == "webp" else {}
        save(f"x.{suffix}", digits[0], **options)
        done(aeonnx("denoise", dae, f"x.{suffix}", "-o", "out.png", "--force"))
        np.testing.assert_array_equal(read("out.png"), denoised(dae, digits[:1])[0])


def test_sixteen_bits_do_not_turn_white(aeonnx: Cli, dae: Path, digits: Any) -> None:
    save("x.png", digits[0].astype(np.uint16) * 256 + 77)
    done(aeonnx("denoise", dae, "x.png", "-o", "out.png"))
    np.testing.assert_array_equal(read("out.png"), denoised(dae, digits[:1])[0])


def test_orientation_and_transparency_are_not_passed_over(
    aeonnx: Cli, dae: Path, digits: Any
) -> None:
    exif = Image.Exif()
    exif[274] = 6
    save("turned.png", digits[0], exif=exif)
    done(aeonnx("denoise", dae, "turned.png", "-o", "out.png"))
    expected = denoised(dae, np.rot90(digits[0], -1)[None])[0]
    np.testing.assert_array_equal(read("out.png"), expected)
    save("clear.png", np.dstack([digits[0]] * 3 + [digits[1]]))
    result = aeonnx("denoise", dae, "clear.png", "-o", "y.png")
    assert result.exit_code == 1
    assert "flatten it first, or pass --background white" in result.stderr
    done(aeonnx("denoise", dae, "clear.png", "-o", "y.png", "--background", "white"))
    flat = (digits[1].astype(int) * digits[0] + (255 - digits[1].astype(int)) * 255 + 127) // 255
    np.testing.assert_array_equal(read("y.png"), denoised(dae, flat[None].astype(np.uint8))[0])


def test_other_sizes_are_refused_or_resized(aeonnx: Cli, dae: Path) -> None:
    wide = np.random.default_rng(0).integers(0, 256, (40, 60), dtype=np.uint8)
    save("x.png", wide)
    result = aeonnx("denoise", dae, "x.png", "-o", "y.npy")
    assert result.exit_code == 1
    assert (
        "x.png: expected 28x28 pixels, got 60x40: resize it first, or pass --resize fit, crop"
        in (result.stderr)
    )
    result = aeonnx("denoise", dae, "x.png", "-o", "y.npy", "--resize", "squeeze")
    assert (result.exit_code, Path("y.npy").exists()) == (2, False)
    assert "expected fit, crop, stretch, got 'squeeze'" in result.stderr
    found = set()
    for resize in ("fit", "crop", "stretch"):
        done(aeonnx("denoise", dae, "x.png", "-o", f"{resize}.npy", "--resize", resize))
        found.add(np.load(f"{resize}.npy").tobytes())
    assert len(found) == 3


def test_several_sources_are_kept_apart(aeonnx: Cli, dae: Path, digits: Any) -> None:
    for name, digit in zip(("a/x.png", "b/x.png", "b/y.png"), digits, strict=False):
        save(name, digit)
    np.save("more.npy", digits[2:, None])
    done(aeonnx("denoise", dae, "b/x.png", "a", "b", "more.npy", "-o", "out"))
    expected = denoised(dae, digits[[1, 0, 1, 2, 2, 3]])
    names = ("x.png", "x-2.png", "x-3.png", "y.png", "more-0.png", "more-1.png")
    assert sorted(path.name for path in Path("out").iterdir()) == sorted(names)
    for name, image in zip(names, expected, strict=True):
        np.testing.assert_array_equal(read(f"out/{name}"), image)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["a.png", "b.jpg"], ["a.png", "b.png"]),
        (["a.png", "a.jpg", "b.png"], ["a.png.png", "a.jpg.png", "b.png"]),
        (["a.png", "A.png", "a.png"], ["a.png", "A-2.png", "a-3.png"]),
        (["a.png", "a.png", "a-2.png"], ["a.png", "a-2.png", "a-2-2.png"]),
        (["x/a.png", "y/a.png"], ["x/a.png", "y/a.png"]),
        (["a.png/b.png", "a.jpg"], ["a.png/b.png", "a-2.png"]),
        (["a.b.png", "a.c.png"], ["a.b.png", "a.c.png"]),
    ],
)
def test_results_have_names_of_their_own(names: list[str], expected: list[str]) -> None:
    found = distinct(names, ".png")
    assert found == expected
    assert len({name.casefold() for name in found}) == len(names)


def test_folders_of_classes_are_read_as_training_reads_them(
    aeonnx: Cli, dae: Path, digits: Any
) -> None:
    names = ("train/cat/1.png", "train/dog/1.png", "test/cat/1.png", "test/dog/2.png")
    for name, digit in zip(names, digits, strict=True):
        save(f"data/{name}", digit)
    result = done(aeonnx("denoise", dae, "data", "-o", "out"))
    assert result.stderr == ""
    for name, image in zip(names, denoised(dae, digits), strict=True):
        np.testing.assert_array_equal(read(f"out/{name}"), image)
    done(aeonnx("denoise", dae, "data/train", "-o", "all.npz", "--pixels"))
    with np.load("all.npz") as archive:
        assert archive["names"].tolist() == ["cat/1.png", "dog/1.png"]
        np.testing.assert_array_equal(archive["images"][:, 0], denoised(dae, digits[:2]))


def test_what_is_left_out_is_counted_and_hidden_files_are_not(
    aeonnx: Cli, dae: Path, digits: Any
) -> None:
    for name, digit in zip(("in/a.png", "in/deep/er/b.png"), digits, strict=False):
        save(name, digit)
    for name in (".hidden.png", "._a.png", "notes.txt", "x.csv"):
        Path("in", name).write_text("no picture")
    os.mkfifo("in/pipe.png")
    result = done(aeonnx("denoise", dae, "in", "-o", "out"))
    assert result.stderr == (
        "in: left out 3 files not named as pictures, such as notes.txt and 1 folder (--recursive "
        "reads them too)\n"
    )
    assert os.listdir("out") == ["a.png"]
    result = done(aeonnx("denoise", dae, "in", "-o", "all/", "--recursive"))
    assert result.stderr == "in: left out 3 files not named as pictures, such as notes.txt\n"
    for name, image in zip(("a", "deep/er/b"), denoised(dae, digits[:2]), strict=True):
        np.testing.assert_array_equal(read(f"all/{name}.png"), image)
    save("far/x/y/b.png", digits[0])
    result = aeonnx("denoise", dae, "far", "-o", "none")
    assert result.exit_code == 1
    assert "far holds no image: expected files named *.png" in result.stderr
    assert "--recursive looks in all folders below" in result.stderr
    (Path("in") / "loop").symlink_to(".")
    done(aeonnx("denoise", dae, "in", "-o", "again/", "--recursive"))
    assert not Path("again/loop").exists()


def test_bad_pictures_are_left_out_when_that_is_asked_for(
    aeonnx: Cli, dae: Path, digits: Any
) -> None:
    for place, digit in enumerate(digits):
        save(f"in/{place}.png", digit)
    Path("in/1.png").write_bytes(Path("in/1.png").read_bytes()[:-20])
    save("in/3.png", digits[3][:20])
    assert aeonnx("denoise", dae, "in", "-o", "out.npy").exit_code == 1
    result = done(aeonnx("denoise", dae, "in", "-o", "out.npy", "--skip-bad", "--pixels"))
    assert result.stdout == "out.npy: uint8 [2, 1, 28, 28] on CPUExecutionProvider\n"
    assert result.stderr.startswith("Skipped 2: in/1.png is not a readable PNG")
    assert "in/3.png: expected 28x28 pixels, got 28x20" in result.stderr
    np.testing.assert_array_equal(np.load("out.npy")[:, 0], denoised(dae, digits[[0, 2]]))
    for place in (0, 2):
        Path(f"in/{place}.png").write_bytes(b"")
    result = aeonnx("denoise", dae, "in", "-o", "none.npy", "--skip-bad")
    assert (result.exit_code, Path("none.npy").exists()) == (1, False)
    assert "none of 4 pictures can be used: in/0.png" in result.stderr
    assert result.stderr.rstrip().endswith("; and 1 more")
    result = aeonnx("denoise", dae, "missing.png", "-o", "none.npy", "--skip-bad")
    assert (result.exit_code, "missing.png does not exist" in result.stderr) == (1, True)


@pytest.mark.parametrize("suffix", ["png", "jpg", "jpeg", "webp", "tif", "tiff"])
def test_pictures_are_written_in_the_format_of_their_name(
    aeonnx: Cli, dae: Path, digits: Any, suffix: str
) -> None:
    np.save("x.npy", digits[:1])
    done(aeonnx("denoise", dae, "x.npy", "-o", f"y.{suffix}"))
    with Image.open(f"y.{suffix}") as image:
        assert image.format == {"jpg": "JPEG", "tif": "TIFF", "tiff": "TIFF"}.get(
            suffix, suffix.upper()
        )
    found = read_picture(Path(f"y.{suffix}"), (1, *SIZE))[0].astype(int)
    loss = np.abs(found - denoised(dae, digits[:1])[0]).max()
    assert loss <= (12 if suffix in ("jpg", "jpeg") else 0)


def test_archives_hold_results_with_names_and_are_read_again(
    aeonnx: Cli, dae: Path, digits: Any
) -> None:
    for name, digit in zip("ab", digits, strict=False):
        save(f"in/{name}.png", digit)
    done(aeonnx("denoise", dae, "in", "-o", "once.npz", "--pixels"))
    with np.load("once.npz") as archive:
        assert sorted(archive) == ["images", "names"]
        assert archive["names"].tolist() == ["a.png", "b.png"]
        once = archive["images"]
    np.testing.assert_array_equal(once[:, 0], denoised(dae, digits[:2]))
    done(aeonnx("denoise", dae, "once.npz", "-o", "twice.npy", "--pixels"))
    np.testing.assert_array_equal(np.load("twice.npy")[:, 0], denoised(dae, once[:, 0]))
    before = Path("once.npz").read_bytes()
    done(aeonnx("denoise", dae, "in", "-o", "once.npz", "--pixels", "--force"))
    assert Path("once.npz").read_bytes() == before


def test_folders_may_have_dots_or_be_there_empty(aeonnx: Cli, dae: Path, digits: Any) -> None:
    np.save("x.npy", digits[:1])
    result = aeonnx("denoise", dae, "x.npy", "-o", "out.v2")
    assert result.exit_code == 2
    assert "out.v2: expected *.png, *.jpg" in result.stderr
    assert "a name without a suffix, that ends in /, or of an existing folder" in result.stderr
    done(aeonnx("denoise", dae, "x.npy", "-o", "out.v2/"))
    Path("empty.v3").mkdir()
    done(aeonnx("denoise", dae, "x.npy", "-o", "empty.v3"))
    assert os.listdir("out.v2") == os.listdir("empty.v3") == ["0.png"]
    result = aeonnx("denoise", dae, "x.npy", "-o", "empty.v3")
    assert (result.exit_code, "exists already: pass --force" in result.stderr) == (1, True)
    said = " ".join(aeonnx("denoise", "--help").output.split())
    assert "Replace an existing file; write into a folder that is not empty." in said


def piped(*arguments: object, data: bytes = b"") -> Result:
    words = [str(argument) for argument in arguments]
    return done(CliRunner().invoke(cli, words, input=data))


def test_stdin_and_stdout_take_files(aeonnx: Cli, dae: Path, bundle_of: Maker, digits: Any) -> None:
    _ = aeonnx
    picture, array = BytesIO(), BytesIO()
    Image.fromarray(digits[0]).save(picture, "PNG")
    np.save(array, digits[:2])
    result = piped("denoise", dae, "-", "-o", "-", data=picture.getvalue())
    found = np.asarray(Image.open(BytesIO(result.stdout_bytes)))
    np.testing.assert_array_equal(found, denoised(dae, digits[:1])[0])
    assert result.stderr == "stdout: uint8 [1, 1, 28, 28] on CPUExecutionProvider\n"
    result = piped("denoise", dae, "-", "-o", "-", "--pixels", data=array.getvalue())
    found = np.load(BytesIO(result.stdout_bytes))
    np.testing.assert_array_equal(found[:, 0], denoised(dae, digits[:2]))
    packed = BytesIO()
    np.savez(packed, x=digits[:2])
    same = piped("denoise", dae, "-", "-o", "-", "--pixels", data=packed.getvalue())
    assert same.stdout_bytes == result.stdout_bytes
    z = piped("encode", bundle_of(), "-", "-o", "-", data=array.getvalue()).stdout_bytes
    made = piped("decode", bundle_of(), "-", "-o", "-", data=z).stdout_bytes
    bundle = package.load(bundle_of(), ["cpu"])
    np.testing.assert_array_equal(
        np.load(BytesIO(made)), bundle.decode(bundle.encode(digits[:2, None]))
    )
    piped("denoise", dae, "-", "-o", "out", data=picture.getvalue())
    assert os.listdir("out") == ["stdin.png"]


def test_nothing_on_stdin_is_told(aeonnx: Cli, dae: Path) -> None:
    _ = aeonnx
    result = CliRunner().invoke(cli, ["denoise", str(dae), "-", "-o", "x.png"], input=b"")
    assert result.exit_code == 1
    assert "stdin is not a readable PNG, JPEG, BMP, TIFF, WebP or GIF image: it is empty" in (
        result.stderr
    )


def test_devices_and_pipes_are_written_to(aeonnx: Cli, dae: Path, digits: Any) -> None:
    np.save("x.npy", digits[:1])
    done(aeonnx("denoise", dae, "x.npy", "-o", "/dev/null"))
    os.mkfifo("pipe")
    with subprocess.Popen([sys.executable, "-c", "print(len(open('pipe','rb').read()))"],
                          stdout=subprocess.PIPE) as reader:  # fmt: skip
        done(aeonnx("denoise", dae, "x.npy", "-o", "pipe"))
        size = int(reader.communicate()[0])
    assert size == 128 + 4 * 784  # a .npy


def test_a_picture_is_no_latents(aeonnx: Cli, bundle_of: Maker, digits: Any) -> None:
    save("x.png", digits[0])
    result = aeonnx("decode", bundle_of(), "x.png", "-o", "y.png")
    assert result.exit_code == 1
    assert result.stderr == (
        "Error: x.png is a picture (PNG): expected latents, a .npy or .npz array of floats "
        "[n, 20], such as aeonnx encode makes of pictures\n"
    )
    done(aeonnx("encode", bundle_of(), "x.png", "-o", "z.npz"))
    done(aeonnx("decode", bundle_of(), "z.npz", "-o", "y.png"))
    result = aeonnx("encode", bundle_of(), "x.png", "-o", "z.png")
    assert result.exit_code == 2
    assert (
        "z.png: mu is of the kind latent, not an image: expected a name that ends in .npy"
        in result.stderr
    )


def test_rows_without_an_axis_are_described_as_they_are(
    aeonnx: Cli, dae: Path, digits: Any
) -> None:
    """[n, 28, 28] of uint8 runs; what does not is called uint8 and by its own shape."""
    np.save("x.npy", np.repeat(digits, 4, axis=0))
    result = done(aeonnx("denoise", dae, "x.npy", "-o", "y.npy"))
    assert "y.npy: float32 [16, 1, 28, 28]" in result.stdout
    np.save("x.npy", np.repeat(digits, 4, axis=0)[:, :20])
    result = aeonnx("denoise", dae, "x.npy", "-o", "z.npy")
    assert "expected [n, 1, 28, 28] or [n, 28, 28], got [16, 20, 28]" in result.stderr


def test_pictures_too_large_for_their_format_are_refused_before_the_work(
    aeonnx: Cli, bundle_of: Maker
) -> None:
    from aeonnx.io.formats import Target

    for form in ("png", "folder"):
        with pytest.raises(package.errors.UsageError, match="a picture has 1 to 4 channels, not 5"):
            Target(Path("x"), form).require(1, (5, 2, 2))
    Target(Path("x"), "npy").require(1, (5, 2, 2))
    with pytest.raises(package.errors.UsageError, match="a JPEG keeps no transparency"):
        Target(Path("x.jpg"), "jpg").require(1, (4, 2, 2))
    with pytest.raises(
        package.errors.UsageError,
        match="a .webp picture is at most 16,383 pixels wide and high, not 20,202x20,202",
    ):
        Target(Path("x.webp"), "webp").require(10_000, (3, 200, 200))
    result = aeonnx("generate", bundle_of(), "-n", 10_001, "-o", "x.webp")
    assert result.exit_code == 2
    assert "one picture shows at most 10,000 images" in result.stderr


@pytest.mark.parametrize("name", ["x" * 300, "a" * 5000 + ".npy"])
def test_names_that_no_file_can_have_are_told(
    aeonnx: Cli, dae: Path, name: str, digits: Any
) -> None:
    np.save("x.npy", digits)
    for words in ((name, "-o", "y.npy"), ("x.npy", "-o", name), ("x.npy", "-o", f"{name}/")):
        result = aeonnx("denoise", dae, *words)
        assert result.exit_code in (1, 2)
        assert result.stderr.count("\n") == 1
        assert "Traceback" not in result.output
    assert os.listdir() == ["x.npy"]


def test_a_verb_that_cannot_run_is_told_before_anything_is_read(
    aeonnx: Cli, bundle_of: Maker
) -> None:
    for verb in ("denoise", "classify"):
        result = aeonnx(verb, bundle_of(), "missing.png", "-o", "there.npy")
        assert result.exit_code == 1
        assert "missing.png" not in result.stderr
        assert {"denoise": "no part 'denoiser'", "classify": "learns no classes"}[verb] in (
            result.stderr
        )


def test_classify_reads_the_same_and_writes_to_stdout(
    aeonnx: Cli, bundle_of: Maker, digits: Any
) -> None:
    for name, digit in zip(("a/x.png", "b/x.png"), digits, strict=False):
        save(name, digit)
    bundle = bundle_of("sdae")
    table = done(aeonnx("classify", bundle, "a", "b/x.png", "-o", "-")).stdout
    assert [line.split(",")[0] for line in table.splitlines()] == ["name", "a/x.png", "b/x.png"]
    done(aeonnx("classify", bundle, "a", "b", "-o", "p.csv"))
    assert Path("p.csv").read_text() == table
    save("b/bad.png", digits[0][:9])
    result = done(aeonnx("classify", bundle, "a", "b", "--skip-bad"))
    assert result.stderr.startswith("Skipped 1: b/bad.png: expected 28x28 pixels, got 28x9")
    assert len(result.stdout.splitlines()) == 2
