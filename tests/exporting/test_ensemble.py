"""`--ensemble`: a denoiser that is the mean over flips and turns of each image."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from importlib.resources import files
from pathlib import Path

import jsonschema
import numpy as np
import pytest
import torch
from click.testing import Result
from torch import nn

import aeonnx as library
from aeonnx.bundle import Axis, manifest
from aeonnx.errors import UsageError
from aeonnx.exporting.ensemble import with_ensemble
from aeonnx.models import Part, image
from tests.support import few_rows

Cli = Callable[..., Result]
Maker = Callable[..., Path]
SCHEMA = json.loads((files("aeonnx.bundle") / "schema.json").read_text())


class Uneven(nn.Module):
    """A 3x3 filter that looks to one side, and is no part of any symmetry."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.filter = nn.Conv2d(1, 1, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.filter(x).sigmoid()


def part(height: int | str, width: int | str, axes: Mapping[str, Axis] = {}) -> Part:
    shape = (1, height, width)
    return Part(Uneven(), (image("x", shape, "-"),), (image("y", shape, "images"),), axes=axes)


def by_torch(module: nn.Module, x: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return module(torch.from_numpy(x)).numpy()


def mean_of(run: Callable[[np.ndarray], np.ndarray], x: np.ndarray) -> np.ndarray:
    """Mean over the eight orientations, by numpy."""
    made = []
    for turns in range(4):
        for flip in (False, True):
            turned = np.rot90(x, turns, (2, 3))
            found = run(np.ascontiguousarray(turned[..., ::-1] if flip else turned))
            made.append(np.rot90(found[..., ::-1] if flip else found, -turns, (2, 3)))
    return np.mean(made, 0)


def mean_of_flips(run: Callable[[np.ndarray], np.ndarray], x: np.ndarray) -> np.ndarray:
    """Mean over the image and its three flips, by numpy."""
    made = []
    for axes in ((), (2,), (3,), (2, 3)):
        made.append(np.flip(run(np.ascontiguousarray(np.flip(x, axes))), axes))
    return np.mean(made, 0)


@pytest.fixture(scope="module")
def run(run_of: Callable[..., Path]) -> Path:
    """A small `dae`."""
    return run_of("dae")


@pytest.fixture(scope="module")
def bundles(run: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """Of it, by the number of orientations."""
    folder = tmp_path_factory.mktemp("ensemble")
    for count, ensemble in ((1, None), (4, 4), (8, 8)):
        given = {"checkpoint": run, "parts": "denoiser", "io": "uint8", "ensemble": ensemble}
        with few_rows():
            library.export("dae", folder / str(count), **given)
    return {count: folder / str(count) for count in (1, 4, 8)}


def test_the_graph_is_the_mean_of_eight(aeonnx: Cli, bundles: dict[int, Path], run: Path) -> None:
    plain, whole = (library.load(bundles[count], ["cpu"]) for count in (1, 8))
    x = np.random.default_rng(0).random((3, 1, 28, 28), np.float32)
    np.testing.assert_allclose(whole.denoise(x), mean_of(plain.denoise, x), atol=1e-5)
    assert np.abs(whole.denoise(x) - plain.denoise(x)).max() > 0.01
    turned = np.ascontiguousarray(np.rot90(x, 1, (2, 3)))
    expected = np.rot90(whole.denoise(x), 1, (2, 3))
    np.testing.assert_allclose(whole.denoise(turned), expected, atol=1e-5)
    for name in ("fp32", "fp32-uint8"):
        assert whole.variant("denoiser", name).ensemble == 8
        assert plain.variant("denoiser", name).ensemble == 1
    document = json.loads((bundles[8] / manifest.FILE_NAME).read_text())
    jsonschema.validate(document, SCHEMA)
    assert whole.outputs("denoiser")[0].description.endswith(", mean over 8 orientations")
    told = aeonnx("verify", bundles[8], "--against", run)
    assert told.exit_code == 0, told.output


def test_the_graph_is_the_mean_of_four(aeonnx: Cli, bundles: dict[int, Path], run: Path) -> None:
    plain, flipped = (library.load(bundles[count], ["cpu"]) for count in (1, 4))
    x = np.random.default_rng(0).random((3, 1, 28, 28), np.float32)
    expected = mean_of_flips(plain.denoise, x)
    np.testing.assert_allclose(flipped.denoise(x), expected, atol=1e-5)
    assert flipped.variant("denoiser", "fp32").ensemble == 4
    assert flipped.outputs("denoiser")[0].description.endswith(", mean over 4 orientations")
    told = aeonnx("verify", bundles[4], "--against", run)
    assert told.exit_code == 0, told.output


@pytest.mark.usefixtures("few_rows")
def test_variants_of_another_graph_are_dropped(aeonnx: Cli, run: Path, tmp_path: Path) -> None:
    options = ("--checkpoint", run, "--part", "denoiser", "-o", tmp_path / "b")
    made = [
        aeonnx("export", "-m", "dae", *options, *more)
        for more in (("--io", "uint8"), ("--ensemble", 4), ("--ensemble", 4, "--io", "uint8"))
    ]
    assert [one.exit_code for one in made] == [0, 0, 0], made[1].output
    text = "denoiser: dropped fp32-uint8, made of another fp32 graph than this export's"
    assert [text in one.output for one in made] == [False, True, False]
    again = aeonnx("export", "-m", "dae", *options, "--ensemble", 4)
    assert "dropped" not in again.output
    bundle = library.load(tmp_path / "b", ["cpu"])
    assert [*bundle.manifest.parts["denoiser"]] == ["fp32", "fp32-uint8"]
    x = np.random.default_rng(0).integers(0, 256, (2, 1, 28, 28), np.uint8)
    floats = bundle.denoise(x.astype(np.float32) / 255)
    assert np.abs(bundle.denoise(x, pixels=True) - floats * 255).max() <= 0.51


@pytest.mark.usefixtures("few_rows")
def test_pictures_of_any_size_in_tiles(tmp_path: Path) -> None:
    network = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 1, 3, padding=1))
    example = torch.rand(2, 1, 24, 40)
    for name, ensemble in (("plain", None), ("whole", 8)):
        library.export(
            "own", tmp_path / name, denoiser=nn.Sequential(network, nn.Sigmoid()),
            example=example, range=(0, 1), ensemble=ensemble,
        )  # fmt: skip
    plain = library.load(tmp_path / "plain", ["cpu"])
    whole = library.load(tmp_path / "whole", ["cpu"])
    tiled = library.load(tmp_path / "whole", ["cpu"], tile=32)
    x = np.random.default_rng(0).random((1, 1, 90, 70), np.float32)
    np.testing.assert_allclose(whole.denoise(x), mean_of(plain.denoise, x), atol=1e-5)
    np.testing.assert_allclose(tiled.denoise(x), whole.denoise(x), atol=1e-6)


def test_images_whose_sides_cannot_be_exchanged_are_not_turned() -> None:
    assert with_ensemble({"denoiser": part(8, 8)}, 8)["denoiser"].ensemble == 8
    same = {"height": Axis(4, min=4), "width": Axis(4, min=4)}
    assert with_ensemble({"denoiser": part("height", "width", same)}, 8)["denoiser"].ensemble == 8
    other = {"height": Axis(4, min=4), "width": Axis(8, min=8)}
    double = ("2*height", "2*width")
    assert with_ensemble({"denoiser": part(*double, same)}, 8)["denoiser"].ensemble == 8
    for sides, given in (
        ((8, 12), {}),
        (("height", "width"), other),
        (double, other),
        (("height", "2*width"), same),
        ((8, "width"), same),
    ):
        single = part(*sides, given)
        with pytest.raises(UsageError, match="as its width: .*: give --ensemble 4, which only"):
            with_ensemble({"denoiser": single}, 8)
        flipped = with_ensemble({"denoiser": single}, 4)["denoiser"]
        assert flipped.ensemble == 4
        x = torch.rand(2, 1, 8, 12)
        expected = mean_of_flips(partial(by_torch, single.module), x.numpy())
        np.testing.assert_allclose(by_torch(flipped.module, x.numpy()), expected, atol=1e-6)


def test_other_parts_are_refused(aeonnx: Cli, run_of: Maker) -> None:
    told = aeonnx("export", "-m", "vae", "--checkpoint", run_of(), "--ensemble", 8, "-o", "b")
    assert told.exit_code == 2
    assert "--ensemble 8 is for the part denoiser, and this model has encoder," in told.output
    assert not Path("b").exists()
    shape = (1, 8, 8)
    two = Part(
        Uneven(), (image("x", shape, "-"), image("m", shape, "-")), (image("y", shape, "-"),)
    )
    with pytest.raises(UsageError, match="expected a denoiser from an image to one of its size"):
        with_ensemble({"denoiser": two}, 4)
