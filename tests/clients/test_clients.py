"""Every client against fresh bundles of all models: the numbers, the pixels and the errors."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

import aeonnx
from aeonnx.bundle import manifest
from aeonnx.io import images
from aeonnx.io.pictures import read_picture
from clients.proof.bundles import BUNDLES
from clients.proof.external import FACTORIES
from clients.proof.program import Program, lines_of, pixels_of, times_of
from tests.clients.damaged import WRONG, with_rows

pytestmark = pytest.mark.clients

Copy = Callable[[str], Path]

LARGEST = 2**63 - 1


@pytest.mark.parametrize("name", [*BUNDLES, *FACTORIES])
def test_every_golden_vector_holds(program: Program, made: Path, name: str) -> None:
    done = program("check", made / name)
    lines = lines_of(done.stdout)
    assert done.returncode in program.passes, done.stdout + done.stderr
    outputs = {
        (part, variant, output): [
            tolerance for item in graph.golden for tolerance in item.outputs[output].tolerance or ()
        ]
        for part, variants in manifest.read(made / name).parts.items()
        for variant, graph in variants.items()
        for output in graph.golden[0].outputs
        if not program.lacks(variant)
    }
    assert {(line.part, line.variant, line.output) for line in lines} == set(outputs)
    for line in lines:
        rows = outputs[line.part, line.variant, line.output]
        assert any(line.tolerance == pytest.approx(tolerance, rel=0.01) for tolerance in rows)
        assert line.error <= program.language.slack * line.tolerance
        assert (line.verdict == "ok") == (line.error <= line.tolerance)
    last = done.stdout.splitlines()[-1]
    parts = len({line.part for line in lines})
    assert last.startswith(f"checked {len(lines)} outputs of {parts} parts with "), last


@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG)
def test_wrong_numbers_are_found(
    program: Program, copy: Copy, change: Callable[[Path], object]
) -> None:
    folder = copy("vae")
    change(folder)
    done = program("check", folder)
    assert done.returncode == 3, done.stdout + done.stderr
    slack = program.language.slack
    lines = [line for line in lines_of(done.stdout) if line.verdict == "WRONG"]
    wrong = [line for line in lines if not line.error <= slack * line.tolerance]
    assert ("decoder", "fp32", "reconstruction") in {
        (line.part, line.variant, line.output) for line in wrong
    }
    assert all(not line.error <= line.tolerance for line in lines)
    assert all(line.part == "decoder" for line in wrong)


@pytest.mark.parametrize("name", ["vae", "vae-conv"])  # any number of rows at once, and four
@pytest.mark.parametrize(
    ("rows", "verdict", "row"),
    [
        ({6: (0.5, 1.0)}, "ok", 6),
        ({0: (0.5, 1.0), 6: (0.25, 0.125)}, "WRONG", 6),
        ({-1: (0.5, 0.25), 6: (0.25, 1.0)}, "WRONG", -1),
        ({2: (0.5, 0.25), 6: (0.25, 0.0625), -1: (1.0, 1.5)}, "WRONG", 6),
        ({2: (0.5, 0.25), 6: (math.nan, 1.0), -1: (1.0, 0.5)}, "WRONG", 6),
        ({6: (math.inf, 1e38)}, "WRONG", 6),
    ],
    ids=["within", "less far", "the last", "the ratio", "NaN", "infinite"],
)
def test_each_row_is_held_to_its_own_tolerance(
    program: Program,
    copy: Copy,
    name: str,
    rows: dict[int, tuple[float, float]],
    verdict: str,
    row: int,
) -> None:
    """All others may be far off."""
    folder = copy(name)
    with_rows(folder, rows, others=1000.0)
    lines = lines_of(program("check", folder).stdout)
    (line,) = (line for line in lines if (line.part, line.variant) == ("decoder", "fp32"))
    error, tolerance = rows[row]
    assert line.verdict == verdict
    assert line.error == pytest.approx(error, rel=0.01, nan_ok=True)
    assert line.tolerance == pytest.approx(tolerance, rel=0.01)


def test_check_times_every_variant(program: Program, made: Path) -> None:
    done = program("check", made / "vae", "--time")
    assert done.returncode in program.passes, done.stderr
    parts = manifest.read(made / "vae").parts
    taken = times_of(done.stdout)
    assert set(taken) == {(part, name) for part, variants in parts.items() for name in variants}
    assert all(0 < time < 1e6 for time in taken.values())


@pytest.mark.parametrize(
    ("name", "seed", "count"),
    [
        ("vae", 7, 64),
        ("vae", LARGEST, 5),
        ("vae", 0, 1100),
        ("ae", 2**53 + 1, 1),
        ("vae-conv", 3, 10),
    ],
)
def test_a_seed_gives_the_pixels_that_python_gives(
    program: Program, made: Path, tmp_path: Path, name: str, seed: int, count: int
) -> None:
    picture = tmp_path / "grid.png"
    done = program("generate", made / name, "--seed", seed, "-n", count, picture)
    assert done.returncode == 0, done.stderr
    with aeonnx.load(made / name, providers=["cpu"]) as bundle:
        expected = images.grid(bundle.generate(count, seed=seed, pixels=True))
    if program.language.slack == 1 and count <= 64:
        np.testing.assert_array_equal(pixels_of(picture), expected)
    # Sums in another order round one pixel in 100,000 the other way.
    assert_close(pixels_of(picture), expected, share=1e-4)


def test_seed_0_and_64_images_are_what_generate_takes_by_itself(
    program: Program, made: Path, tmp_path: Path
) -> None:
    for target, options in (("a.png", ()), ("b.png", ("--seed", 0, "-n", 64))):
        assert program("generate", made / "vae", *options, tmp_path / target).returncode == 0
    np.testing.assert_array_equal(pixels_of(tmp_path / "a.png"), pixels_of(tmp_path / "b.png"))


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "P", "1"])
@pytest.mark.parametrize("name", ["dae", "dae-conv"])
def test_denoises_as_python_does(
    program: Program, made: Path, tmp_path: Path, name: str, mode: str
) -> None:
    noisy, clean = tmp_path / "noisy.png", tmp_path / "clean.png"
    coloured(made / "noisy.png").convert(mode).save(noisy)
    done = program("denoise", made / name, noisy, clean)
    assert done.returncode == 0, done.stderr
    with aeonnx.load(made / name, providers=["cpu"]) as bundle:
        pixels = read_picture(noisy, bundle.inputs("denoiser")[0].shape[1:])[None]
        expected = images.grid(bundle.denoise(pixels))
    assert_close(pixels_of(clean), expected, share=0.01)


def assert_close(
    found: npt.NDArray[np.uint8], expected: npt.NDArray[np.uint8], share: float
) -> None:
    """Off by one level at most, in a share of the pixels."""
    assert found.shape == expected.shape
    difference = np.abs(found.astype(int) - expected.astype(int))
    assert difference.max() <= 1
    assert (difference > 0).mean() <= share


def coloured(path: Path) -> Image.Image:
    """The digit in a picture with every kind of colour, and alpha that hides nothing."""
    grey = pixels_of(path).astype(int)
    across = np.arange(grey.shape[1]) * 9
    colours = [grey, (grey + across) % 256, 255 - grey // 2, 255 + 0 * grey]
    return Image.fromarray(np.stack(colours, axis=-1).astype(np.uint8), "RGBA")
