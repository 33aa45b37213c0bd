"""More rows than memory holds: in order, ahead of the reader, and nothing half-written."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from PIL import Image

import aeonnx as package
from aeonnx.errors import ImageError, InputError
from aeonnx.io import npy
from aeonnx.io.pixels import to_pixels
from aeonnx.runtime.stream import ahead, generated, stream

Maker = Callable[..., Path]
Cli = Callable[..., Result]


@pytest.fixture
def vae(bundle_of: Maker) -> package.Bundle:
    return package.load(bundle_of(), ["cpu"], max_batch=64)


def test_items_come_in_order_and_are_taken_ahead() -> None:
    taken: list[int] = []
    reached = threading.Event()

    def items() -> Iterator[int]:
        for item in range(5):
            taken.append(item)
            if item == 2:
                reached.set()
            yield item

    reader = ahead(items(), 2)
    assert next(reader) == 0
    assert reached.wait(10), "two are fetched while the first is used"
    assert 4 not in taken, "and no more than two"
    assert list(reader) == [1, 2, 3, 4]


def test_an_error_of_the_other_thread_comes_to_the_reader() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ImageError("broken.png is not an image")

    reader = ahead(items())
    assert next(reader) == 1
    with pytest.raises(ImageError, match="broken.png"):
        next(reader)


def test_a_reader_that_stops_early_leaves_no_thread() -> None:
    before = threading.active_count()
    reader = ahead(iter(range(1000)))
    next(reader)
    reader.close()
    assert threading.active_count() == before


def test_streams_give_what_verbs_give(vae: package.Bundle) -> None:
    x = np.random.default_rng(0).random((300, 1, 28, 28), dtype=np.float32)
    whole = vae.encode(x)
    np.testing.assert_array_equal(np.concatenate(list(stream(vae, "encode", x))), whole)
    pieces = (x[start : start + 64] for start in range(0, 300, 64))
    found = np.concatenate(list(stream(vae, "encode", pieces)))
    np.testing.assert_allclose(found, whole, atol=1e-5)
    images = np.concatenate(list(generated(vae, 300, seed=3, first=5, pixels=True)))
    np.testing.assert_array_equal(images, vae.generate(300, seed=3, first=5, pixels=True))
    with pytest.raises(InputError, match="n: expected at least 1"):
        generated(vae, 0)


def test_a_stream_without_a_decoder_draws_from_the_sampler(
    vae: package.Bundle, bundle_copy: Path
) -> None:
    import json

    document = json.loads((bundle_copy / "manifest.json").read_text())
    del document["parts"]["decoder"]
    (bundle_copy / "manifest.json").write_text(json.dumps(document))
    alone = package.load(bundle_copy, ["cpu"])
    found = np.concatenate(list(generated(alone, 20, seed=3, pixels=True)))
    np.testing.assert_array_equal(found, vae.generate(20, seed=3, pixels=True))


def test_a_folder_of_pictures_becomes_one(aeonnx: Cli, bundle_of: Maker) -> None:
    Path("in").mkdir()
    rng = np.random.default_rng(0)
    digits = rng.integers(0, 256, (5, 28, 28), dtype=np.uint8)
    for name, digit in zip("edcba", digits, strict=True):
        Image.fromarray(digit).save(f"in/{name}.png")
    result = aeonnx("denoise", bundle_of("dae"), "in", "-o", "out", "--provider", "cpu")
    assert result.exit_code == 0, result.output
    assert result.stdout == "out: uint8 [5, 1, 28, 28] on CPUExecutionProvider\n"
    assert sorted(path.name for path in Path("out").iterdir()) == [f"{n}.png" for n in "abcde"]
    expected = package.load(bundle_of("dae"), ["cpu"]).denoise(digits[:, None], pixels=True)
    for name, image in zip("edcba", expected, strict=True):
        np.testing.assert_array_equal(np.asarray(Image.open(f"out/{name}.png")), image[0])
    result = aeonnx("denoise", bundle_of("dae"), "in", "-o", "out")
    assert "out exists already: pass --force" in result.stderr
    Path("out/kept.txt").write_text("hello")
    assert aeonnx("denoise", bundle_of("dae"), "in", "-o", "out", "--force").exit_code == 0
    assert Path("out/kept.txt").read_text() == "hello"


def test_names_that_differ_in_their_suffix_alone_keep_it(aeonnx: Cli, bundle_of: Maker) -> None:
    Path("in").mkdir()
    for name in ("a.png", "a.bmp"):
        Image.new("L", (28, 28)).save(f"in/{name}")
    assert aeonnx("denoise", bundle_of("dae"), "in", "-o", "out").exit_code == 0
    assert sorted(path.name for path in Path("out").iterdir()) == ["a.bmp.png", "a.png.png"]


def test_a_broken_picture_among_many_leaves_nothing(aeonnx: Cli, bundle_of: Maker) -> None:
    Path("in").mkdir()
    for index in range(8):
        Image.new("L", (28, 28)).save(f"in/{index}.png")
    Path("in/5.png").write_bytes(b"no picture")
    for target in ("out", "out.npy", "out.png"):
        result = aeonnx("denoise", bundle_of("dae"), "in", "-o", target)
        assert result.exit_code == 1
        assert "5.png is not a readable PNG" in result.stderr
    assert [path.name for path in Path().iterdir()] == ["in"]


def test_generated_folders_and_arrays_hold_the_same(aeonnx: Cli, bundle_of: Maker) -> None:
    common = ("generate", bundle_of(), "-n", 12, "--seed", 5, "--provider", "cpu")
    assert aeonnx(*common, "-o", "digits").exit_code == 0
    assert aeonnx(*common, "-o", "digits.npy").exit_code == 0
    assert aeonnx(*common, "-o", "pixels.npy", "--pixels").exit_code == 0
    pixels, floats = np.load("pixels.npy"), np.load("digits.npy")
    assert (pixels.dtype, floats.dtype) == (np.uint8, np.float32)
    np.testing.assert_array_equal(pixels, to_pixels(floats))
    names = sorted(path.name for path in Path("digits").iterdir())
    assert names == [f"{index:02}.png" for index in range(12)]
    for name, image in zip(names, pixels, strict=True):
        np.testing.assert_array_equal(np.asarray(Image.open(f"digits/{name}")), image[0])


def test_one_picture_of_too_many_images_is_refused(aeonnx: Cli, bundle_of: Maker) -> None:
    result = aeonnx("generate", bundle_of(), "-n", 10_001, "-o", "grid.png")
    assert result.exit_code == 2
    assert "one picture shows at most 10,000 images, not 10,001" in result.stderr
    assert "without a suffix for a folder of pictures" in result.stderr


@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_are_read_in_pieces(tmp_path: Path, order: str) -> None:
    path = tmp_path / "x.npy"
    value = np.random.default_rng(0).normal(size=(10, 3, 4)).astype(">f4")
    np.save(path, np.asarray(value, order=order))  # type: ignore[call-overload]
    pieces = list(npy.open_array(path).batches(4))
    assert [len(piece) for piece in pieces] == [4, 4, 2]
    np.testing.assert_array_equal(np.concatenate(pieces), value)


def test_arrays_that_are_none_are_refused(aeonnx: Cli, bundle_of: Maker) -> None:
    np.save("number.npy", np.float32(1))
    np.save("empty.npy", np.zeros((0, 20), np.float32))
    np.save("whole.npy", np.zeros((9, 20), np.float32))
    Path("cut.npy").write_bytes(Path("whole.npy").read_bytes()[:-4])
    for name, text in (
        ("number", "expected latents, a .npy or .npz array of floats [n, 20], got float32 []"),
        ("empty", "holds no rows: give at least one"),
        ("cut", "is not a readable array: its header says float32 [9, 20], 720 bytes, and it has"),
    ):
        result = aeonnx("decode", bundle_of(), f"{name}.npy", "-o", "x.npy")
        assert result.exit_code == 1
        assert text in result.stderr
        assert not Path("x.npy").exists()


def test_memory_does_not_grow_with_the_rows(bundle_of: Maker, tmp_path: Path) -> None:
    """Peak of the process, in MB, with 2,000 images and with 100,000 (314 MB of float32)."""
    code = (
        "import resource, sys\nfrom aeonnx.cli import cli\n"
        "cli(sys.argv[1:], standalone_mode=False)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)"
    )
    peaks = []
    for count in (2_000, 100_000):
        words = ["generate", str(bundle_of()), "-n", str(count), "-o", "x.npy", "--force"]
        done = subprocess.run(
            [sys.executable, "-c", code, *words, "--provider", "cpu"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
        peaks.append(float(done.stdout.splitlines()[-1]))
    assert np.load(tmp_path / "x.npy", mmap_mode="r").shape == (100_000, 1, 28, 28)
    assert peaks[1] < peaks[0] + 120, peaks
