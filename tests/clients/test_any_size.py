"""Clients on pictures and arrays of any size, with labels, and what they refuse."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, helper
from PIL import Image

import aeonnx
from clients.proof.program import Program, pixels_of
from tests.clients.damaged import with_graph, with_manifest

pytestmark = pytest.mark.clients


def picture(path: Path, *shape: int) -> np.ndarray:
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return pixels


@pytest.mark.parametrize("shape", [(37, 53), (1, 1), (8, 200), (64, 40, 3)])
def test_a_picture_of_any_size_is_denoised(
    program: Program, made: Path, tmp_path: Path, shape: tuple[int, ...]
) -> None:
    pixels = picture(tmp_path / "in.png", *shape)
    done = program("denoise", made / "any_size", tmp_path / "in.png", tmp_path / "out.png")
    assert done.returncode == 0, done.stderr
    with aeonnx.load(made / "any_size", providers=["cpu"]) as bundle:
        grey = pixels if pixels.ndim == 2 else np.asarray(Image.fromarray(pixels).convert("L"))
        expected = bundle.denoise(grey[None, None], pixels=True)[0, 0]
    found = pixels_of(tmp_path / "out.png")
    assert found.shape == expected.shape
    assert np.abs(found.astype(int) - expected).max() <= 1


def test_a_large_picture_is_denoised_in_tiles(program: Program, made: Path, tmp_path: Path) -> None:
    pixels = picture(tmp_path / "in.png", 2100, 2051)
    done = program("denoise", made / "any_size", tmp_path / "in.png", tmp_path / "out.png")
    assert done.returncode == 0, done.stderr
    with aeonnx.load(made / "any_size", providers=["cpu"]) as bundle:
        expected = bundle.denoise(pixels[None, None], pixels=True)[0, 0]
    difference = np.abs(pixels_of(tmp_path / "out.png").astype(int) - expected)
    assert difference.max() <= 1
    assert (difference > 0).mean() < 1e-3


def test_any_part_runs_on_arrays(program: Program, made: Path, tmp_path: Path) -> None:
    x = np.random.default_rng(0).uniform(-1, 1, (3, 1, 16 * 21)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    inputs = (f"x={tmp_path / 'x.npy'}", f"z={tmp_path / 'z.npy'}")
    done = program("run", made / "signal", "encoder", *inputs)
    assert done.returncode == 0, done.stderr
    with aeonnx.load(made / "signal", providers=["cpu"]) as bundle:
        expected = bundle.encode(x)
    found = np.load(tmp_path / "z.npy")
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)


def test_a_class_is_generated(program: Program, made: Path, tmp_path: Path) -> None:
    target = tmp_path / "x.png"
    done = program("generate", made / "conditional", "--label", 3, "-n", 1, "--seed", 5, target)
    assert done.returncode == 0, done.stderr
    with aeonnx.load(made / "conditional", providers=["cpu"]) as bundle:
        expected = bundle.generate(1, seed=5, label=3, pixels=True)[0].transpose(1, 2, 0)
    assert np.abs(pixels_of(target).astype(int) - expected).max() <= 1
    done = program("generate", made / "conditional", "-n", 1, tmp_path / "y.png")
    assert done.returncode == 2
    assert done.stderr.startswith("Error: this sampler needs --label, 0 to 9")
    for label in (-1, 10):
        target = tmp_path / "y.png"
        done = program("generate", made / "conditional", "--label", label, "-n", 1, target)
        assert done.returncode == 2
        assert re.match(
            rf"Error: (--)?label: expected a whole number from 0 to 9, got {label}\b", done.stderr
        )
    assert not (tmp_path / "y.png").exists()


@pytest.mark.parametrize("size", [(8, 200), (44, 60), None])
def test_images_of_any_size_are_generated(
    program: Program, made: Path, tmp_path: Path, size: tuple[int, int] | None
) -> None:
    target = tmp_path / "x.png"
    asked = () if size is None else ("--size", "x".join(map(str, size)))
    options = ("--label", 3, *asked, "-n", 1, "--seed", 5)
    done = program("generate", made / "generator", *options, target)
    assert done.returncode == 0, done.stderr
    with aeonnx.load(made / "generator", providers=["cpu"]) as bundle:
        expected = bundle.generate(1, seed=5, size=size, label=3, pixels=True)[0, 0]
    assert expected.shape == (size or (16, 24))
    found = pixels_of(target)
    assert found.shape == expected.shape
    assert np.abs(found.astype(int) - expected).max() <= 1


@pytest.mark.parametrize(
    ("bundle", "size", "text"),
    [
        ("conditional", "8x8", "size: expected none, the images of this bundle have one size"),
        ("generator", "8x8x8", "size: expected 2 numbers, height and width, got 8x8x8"),
        (
            "generator",
            "30x8",
            "size: height: expected a multiple of 4 from 8 to 512, got 30: the nearest is 32",
        ),
        (
            "generator",
            "8x516",
            "size: width: expected a multiple of 4 from 8 to 512, got 516: the nearest is 512",
        ),
        ("generator", "8x0", "size: width: expected a multiple of 4 from 8 to 512, got 0"),
    ],
)
def test_sizes_of_images_that_break_a_rule_are_refused(
    program: Program, made: Path, tmp_path: Path, bundle: str, size: str, text: str
) -> None:
    options = ("--label", 3, "--size", size, "-n", 1)
    done = program("generate", made / bundle, *options, tmp_path / "x.png")
    assert done.returncode == 2
    assert done.stderr.startswith(f"Error: {text}")
    wrong = program("generate", made / "generator", "--size", "8y8", "-n", 1, tmp_path / "x.png")
    assert wrong.returncode == 2
    assert "expected HEIGHTxWIDTH, such as 64x48" in wrong.stderr
    assert "8y8" in wrong.stderr
    assert not (tmp_path / "x.png").exists()


@pytest.mark.parametrize(
    ("shape", "code", "text"),
    [
        ((1, 1, 33), 1, "encoder: x: expected a multiple of 16 for 16*frames, got 33"),
        ((1, 1, 16), 1, "encoder: x: frames: expected a size of at least 2, got 1: the nearest"),
        (
            (1, 2, 32),
            1,
            "encoder: x: expected float32 [batch, 1, 16*frames], got float32 [1, 2, 32]",
        ),
        ((32,), 1, "encoder: x: expected float32 [batch, 1, 16*frames], got float32 [32]"),
    ],
)
def test_sizes_that_break_a_rule_are_refused(
    program: Program, made: Path, tmp_path: Path, shape: tuple[int, ...], code: int, text: str
) -> None:
    np.save(tmp_path / "x.npy", np.zeros(shape, np.float32))
    inputs = (f"x={tmp_path / 'x.npy'}", f"z={tmp_path / 'z.npy'}")
    done = program("run", made / "signal", "encoder", *inputs)
    assert done.returncode == code
    assert done.stderr.startswith(f"Error: {text}")
    assert not (tmp_path / "z.npy").exists()


def _spec(document: dict[str, Any], part: str, name: str) -> Any:
    inputs = document["parts"][part]["fp32"]["inputs"]
    return next(spec for spec in inputs if spec["name"] == name)


def test_negative_labels_are_refused_where_no_range_is_known(
    program: Program, copy: Callable[[str], Path], tmp_path: Path
) -> None:
    """A graph would count from the end, and nobody would notice."""
    folder = copy("conditional")

    def change(document: dict[str, Any]) -> None:
        for part in ("decoder", "sampler"):
            _spec(document, part, "label")["range"] = None

    with_manifest(folder, change)
    target = tmp_path / "x.png"
    done = program("generate", folder, "--label", -1, "-n", 1, target)
    assert done.returncode == 2
    text = r"Error: (--)?label: expected a whole number of 0 or more, got -1\b"
    assert re.match(text, done.stderr), done.stderr
    np.save(tmp_path / "z.npy", np.zeros((1, 4), np.float32))
    np.save(tmp_path / "label.npy", np.array([-1]))
    files = [f"{name}={tmp_path / name}.npy" for name in ("z", "label", "image")]
    done = program("run", folder, "decoder", *files)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "Error: decoder: label: expected values of 0 or more, got -1\n"
    done = program("generate", folder, "--label", 9, "-n", 1, target)
    assert done.returncode == 0, done.stderr


def test_the_ends_of_a_range_are_as_exact_as_the_values(
    program: Program, copy: Callable[[str], Path], tmp_path: Path
) -> None:
    folder, x = copy("any_size"), np.full((1, 1, 8, 8), 0.1, np.float32)
    with_manifest(folder, lambda document: _spec(document, "denoiser", "x").update(range=[0, 0.1]))
    files = [f"x={tmp_path / 'x.npy'}", f"denoised={tmp_path / 'y.npy'}"]
    np.save(tmp_path / "x.npy", x)
    done = program("run", folder, "denoiser", *files)
    assert done.returncode == 0, done.stderr
    np.save(tmp_path / "x.npy", np.nextafter(x, np.float32(1)))
    done = program("run", folder, "denoiser", *files, "--force")
    assert done.returncode == 1
    assert done.stderr.startswith("Error: denoiser: x: expected values in [0, 0.1], got 0.1")
    with aeonnx.load(folder, providers=["cpu"]) as bundle:
        bundle.denoise(x)
        with pytest.raises(aeonnx.errors.InputError, match=r"in \[0, 0.1\], got values from 0.1"):
            bundle.denoise(np.nextafter(x, np.float32(1)))


def test_a_denoiser_that_gives_nan_writes_nothing(
    program: Program, copy: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = copy("any_size")

    def change(graph: ModelProto) -> None:
        nodes, (output,) = graph.graph.node, graph.graph.output
        last = next(node for node in nodes if output.name in node.output)
        last.output[0] = "made"
        nodes.append(helper.make_node("Sub", ["made", "made"], ["nothing"]))
        nodes.append(helper.make_node("Div", ["nothing", "nothing"], [output.name]))

    with_graph(folder, "denoiser", change)
    picture(tmp_path / "in.png", 16, 16)
    done = program("denoise", folder, tmp_path / "in.png", tmp_path / "out.png")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.endswith("denoiser gave NaN, which is no pixel\n")
    assert not (tmp_path / "out.png").exists()
    with aeonnx.load(folder, providers=["cpu"]) as bundle:
        x = np.zeros((1, 1, 16, 16), np.uint8)
        for given in ({}, {"strength": 0.5}):
            with pytest.raises(aeonnx.errors.RunError, match="NaN, which is no pixel"):
                bundle.denoise(x, pixels=True, **given)
