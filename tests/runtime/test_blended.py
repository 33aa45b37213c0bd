"""Parts that look at the whole, in tiles that are blended: exact nowhere, and honest about it."""

from __future__ import annotations

import itertools
import json
import re
import resource
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import Result
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor, nn

import aeonnx as library
from aeonnx._util import machine
from aeonnx.bundle import BATCH, Axis, ScaledAxis, TensorSpec, manifest
from aeonnx.errors import InputError, RunError, UsageError
from aeonnx.exporting import ExportOptions, export
from aeonnx.models import Part
from aeonnx.runtime.blending import overlapping, run_blended, weights
from aeonnx.runtime.tiling import Tiling, default_tile, tiling_of

Cli = Callable[..., Result]
SIZED = ("batch", 1, "height", "width")


class Normed(nn.Module):
    """A denoiser whose group norm looks at the whole picture, and a codec of the same kind."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1), nn.GroupNorm(2, 8), nn.GELU(), nn.Conv2d(8, 1, 1)
        )
        self.encoder = nn.Sequential(nn.Conv2d(1, 8, 4, 4), nn.GroupNorm(2, 8), nn.Conv2d(8, 4, 1))
        self.decoder = nn.ConvTranspose2d(4, 1, 4, 4)

    def forward(self, x: Tensor) -> Tensor:
        denoised: Tensor = (x + 0.1 * self.body(x)).clamp(0.0, 1.0)
        return denoised

    def parts(self) -> dict[str, Part]:
        x = TensorSpec("x", SIZED, range=(0.0, 1.0), kind="image")
        y = TensorSpec("y", SIZED, range=(0.0, 1.0), kind="image")
        z = TensorSpec("z", ("batch", 4, "height/4", "width/4"), kind="latent")
        free = TensorSpec("made", SIZED, kind="image")
        axes = {name: Axis(4, min=8, max=4096) for name in ("height", "width")}
        return {
            "denoiser": Part(self, (x,), (y,), axes=axes),
            "encoder": Part(self.encoder, (x,), (z,), axes=axes),
            "decoder": Part(self.decoder, (z,), (free,), axes=axes),
        }


def normed() -> nn.Module:
    return Normed()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("normed") / "b"
    export(ExportOptions("normed", folder, from_source=f"module:{__name__}:normed"))
    return folder


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).random(shape, dtype=np.float32)


TILINGS = {
    "multiple": st.integers(1, 8),
    "count": st.integers(1, 90),
    "tile": st.integers(1, 20),
    "share": st.floats(0, 1),
}


@given(**TILINGS, each=st.sampled_from([ScaledAxis("a"), ScaledAxis("a", 3)]))
def test_weights_sum_to_one(
    multiple: int, count: int, tile: int, share: float, each: ScaledAxis
) -> None:
    axis, side = Axis(multiple, multiple), tile * multiple
    overlap = int(share * (tile // 2)) * multiple
    cut = overlapping(axis, count * multiple, side, overlap)
    floats, whole = np.zeros(each.at(count * multiple)), np.zeros(each.at(count * multiple))
    for number, piece in enumerate(cut):
        assert piece.first % multiple == 0
        assert piece.last - piece.first == min(side, count * multiple)
        here = slice(each.at(piece.first), each.at(piece.last))
        floats[here] += weights(cut, number, each, "float32")
        whole[here] += weights(cut, number, each, "int64")
    np.testing.assert_allclose(floats, 1.0, rtol=1e-12)
    np.testing.assert_array_equal(whole, 1.0)
    for before, after in itertools.pairwise(cut):
        assert before.last - after.first >= overlap


@pytest.mark.parametrize(("size", "tile", "overlap"), [(40, 16, 4), (40, 16, 8), (16, 8, 0)])
def test_weights_are_linear_ramps(size: int, tile: int, overlap: int) -> None:
    cut = overlapping(Axis(4, 4), size, tile, overlap)
    shared = cut[0].last - cut[1].first
    found = weights(cut, 0, ScaledAxis("a"), "float32")
    ramp = (np.arange(shared)[::-1] + 0.5) / max(1, shared)
    np.testing.assert_allclose(found, [*np.ones(tile - shared), *ramp])


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "uint8", "int64", "bool"])
def test_what_does_not_look_far_is_blended_to_itself(dtype: str) -> None:
    """On inputs and outputs that follow the axes by other factors, in every dtype."""
    x = TensorSpec("x", ("batch", 1, "height", "2*width"), dtype)
    y = TensorSpec("y", ("batch", 1, "height/2", "2*width"), dtype)
    axes = {"height": Axis(2, 4), "width": Axis()}
    part = Part(nn.Identity(), (x,), (y,), axes=axes)
    value = (noise(1, 1, 62, 46) * 200).astype(dtype)

    def run(inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {"y": inputs["x"][:, :, ::2]}

    sizes = {"height": 62, "width": 23, BATCH: 1}
    found = run_blended(part, run, {"x": value}, sizes, 8, 3)["y"]  # type: ignore[arg-type]
    assert found.dtype == dtype
    if dtype in ("float32", "float64", "float16"):
        np.testing.assert_allclose(
            found, value[:, :, ::2], rtol=1e-3 if dtype == "float16" else 2e-7
        )
    else:
        np.testing.assert_array_equal(found, value[:, :, ::2])


@st.composite
def axes(draw: st.DrawFn) -> Axis:
    multiple, least = draw(st.integers(1, 12)), draw(st.integers(1, 6))
    more = draw(st.none() | st.integers(0, 40))
    most = None if more is None else (least + more) * multiple
    return Axis(multiple, least * multiple, most, draw(st.none() | st.integers(0, 20)))


@given(height=axes(), width=axes(), tile=st.integers(1, 300), usual=st.integers(1, 20))
def test_what_is_recommended_works(height: Axis, width: Axis, tile: int, usual: int) -> None:
    """The default tile, and the tiles that an error names."""
    x, y = (TensorSpec(name, SIZED) for name in ("x", "y"))
    part = Part(nn.Identity(), (x,), (y,), axes={"height": height, "width": width})
    exact = None not in (height.margin, width.margin)
    sizes = {"height": usual * height.multiple, "width": usual * width.multiple}
    chosen = default_tile(part, sizes)
    if chosen and not exact:
        assert tiling_of("p", part, *chosen) == Tiling(part, *chosen, asked=True)
    try:
        assert tiling_of("p", part, tile, None) is not None
    except UsageError as error:
        text = str(error)
        if "no tile fits" in text:
            return
        if "nearest" in text:
            named = re.findall(r"\d+", text.split("nearest")[1])
        else:
            named = re.findall(r"at (?:least|most) (\d+)", text)
        assert named, text
        for side in named:
            assert tiling_of("p", part, int(side), None) is not None


def test_a_loss_that_cannot_be_measured_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise RunError("no room")

    monkeypatch.setattr("aeonnx.exporting.blending.run_blended", fail)
    options = ExportOptions("b", tmp_path / "b", from_source=f"module:{__name__}:normed")
    export(replace(options, parts=("denoiser",)))
    assert library.load(tmp_path / "b").variant("denoiser").blending is None
    assert "denoiser: the loss in blended tiles was not measured: no room" in caplog.text


def test_export_measures_the_loss(aeonnx: Cli, made: Path) -> None:
    bundle = library.load(made, ["cpu"])
    found = bundle.variant("denoiser").blending
    assert found is not None
    assert (found.tile, found.overlap, found.metric) == (68, 20, "psnr")
    assert 20 < found.value < 80
    encoder = bundle.variant("encoder").blending
    assert encoder is not None
    assert encoder.metric == "snr"
    assert bundle.variant("decoder").blending is None  # its margin is known
    assert bundle.variant("decoder").axes["height"].margin is not None
    shown = aeonnx("inspect", made).stdout
    words = " ".join(shown.replace("│", " ").split())
    assert f"of 68 with an overlap of 20 {found.value:.1f} dB PSNR" in words
    page = aeonnx("inspect", made, "--html", "page.html")
    assert page.exit_code == 0
    document = json.loads((made / manifest.FILE_NAME).read_text())
    del document["parts"]["denoiser"]["fp32"]["blending"]
    read = manifest.parse(json.dumps(document).encode())
    assert read.parts["denoiser"]["fp32"].blending is None


def test_a_picture_in_blended_tiles(aeonnx: Cli, made: Path, tmp_path: Path) -> None:
    pixels = (noise(150, 203) * 255).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "in.png")
    whole = aeonnx("denoise", made, "in.png", "-o", "whole.png")
    assert whole.exit_code == 0, whole.stderr
    assert "exact" not in whole.stderr
    done = aeonnx("denoise", made, "in.png", "-o", "tiles.png", "--tile", "64", "--overlap", "16")
    assert done.exit_code == 0, done.stderr
    lines = [line for line in done.stderr.splitlines() if "Not exact" in line]
    loss = library.load(made).variant("denoiser").blending
    assert loss is not None
    assert lines == [
        "Not exact: denoiser looks further than a tile, so tiles of 64 with an overlap of 16 were "
        "blended; in tiles of 68 with an overlap of 20, the export measured "
        f"{loss.loss} against the whole"
    ]
    images = [np.asarray(Image.open(tmp_path / f"{n}.png")).astype(int) for n in ("whole", "tiles")]
    assert images[0].shape == images[1].shape == pixels.shape
    assert 0 < np.abs(images[0] - images[1]).max() < 60
    told = aeonnx("denoise", made, "in.png", "-o", "json.png", "--tile", "64", "--json")
    assert json.loads(told.stdout)["blended"] == ["denoiser"]
    small = aeonnx("denoise", made, "in.png", "-o", "one.png", "--tile", "204")
    assert small.exit_code == 0
    assert "exact" not in small.stderr  # one tile is the whole


def test_tiles_are_blended_in_python_too(made: Path) -> None:
    x = noise(2, 1, 100, 64)
    with library.load(made, ["cpu"], tile=32) as bundle:
        found = bundle.denoise(x)
        assert list(bundle.blended) == ["denoiser"]
        bundle.reconstruct(x)
        assert list(bundle.blended) == ["denoiser", "encoder"]  # the decoder's tiles are exact
    whole = library.load(made, ["cpu"])
    assert whole.blended == ()
    difference = np.abs(found - whole.denoise(x))
    assert 1e-4 < difference.max() < 0.2
    # A tile sees its own part alone: the first corner, which no other tile reaches.
    corner = whole.denoise(np.ascontiguousarray(x[:, :, :32, :32]))[:, :, :8, :8]
    np.testing.assert_allclose(found[:, :, :8, :8], corner, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("verb", "options", "text"),
    [
        (
            "denoise",
            {"tile": 4},
            "tile: expected at least 8 for denoiser, its smallest size, got 4",
        ),
        (
            "denoise",
            {"tile": 30},
            "tile: expected a multiple of 4 for denoiser, got 30: the nearest are 28 and 32",
        ),
        (
            "denoise",
            {"tile": 5000},
            "tile: expected at most 4096 for denoiser, its largest size, got 5000",
        ),
        (
            "denoise",
            {"tile": 32, "overlap": 20},
            "overlap: expected 0 to 16, at most half of the tile, 32, in multiples of 4 for "
            "denoiser, got 20",
        ),
        (
            "decode",
            {"tile": 32, "overlap": 8},
            "overlap: expected none, the tiles of decoder are exact: they overlap by the margins "
            "in the manifest. Leave it out",
        ),
    ],
)
def test_tiles_that_do_not_fit_are_refused(
    aeonnx: Cli, made: Path, tmp_path: Path, verb: str, options: dict[str, int], text: str
) -> None:
    bundle = library.load(made, ["cpu"], **options)  # type: ignore[arg-type]
    with pytest.raises(UsageError) as refused:
        bundle.require(verb)
    assert str(refused.value) == text
    flags = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    done = aeonnx(verb, made, "x.npy", "-o", "y.npy", *flags)  # before it looks for the file
    assert done.exit_code == 2
    assert f"Error: {text}\n" in done.stderr
    assert not (tmp_path / "y.npy").exists()


def test_the_nearest_tiles_work(made: Path) -> None:
    x = noise(1, 1, 64, 64)
    for tile in (28, 32, 8, 4096):
        assert library.load(made, ["cpu"], tile=tile).denoise(x).shape == x.shape
    with library.load(made, ["cpu"], tile=32, overlap=16) as bundle:
        assert bundle.denoise(x).shape == x.shape


def test_overlap_needs_a_tile(aeonnx: Cli, made: Path) -> None:
    text = (
        "overlap: expected a tile too, got 32 alone: give the length of a tile, such as 128, or "
        "leave overlap out"
    )
    with pytest.raises(UsageError, match=text):
        library.load(made, overlap=32)
    done = aeonnx("denoise", made, "x.npy", "-o", "y.npy", "--overlap", "32")
    assert (done.exit_code, text in done.stderr) == (2, True)
    with pytest.raises(InputError, match="tile: expected 1 or more, got 0"):
        library.load(made, tile=0)
    with pytest.raises(InputError, match=r"tile: expected a whole number, got 1\.5"):
        library.load(made, tile=1.5)  # type: ignore[arg-type]


def test_parts_of_one_size_have_no_tiles(aeonnx: Cli, bundle_of: Callable[..., Path]) -> None:
    with library.load(bundle_of(), ["cpu"], tile=64) as bundle:
        text = "tile: expected none, encoder runs on inputs of one size: leave it out"
        with pytest.raises(UsageError, match=text):
            bundle.encode(np.zeros((1, 1, 28, 28), np.float32))
        assert len(bundle.score(np.zeros((2, 1, 28, 28), np.float32))) == 2
    done = aeonnx("encode", bundle_of(), "x.png", "-o", "z.npy", "--tile", "64")
    assert (done.exit_code, text in done.stderr) == (2, True)


def test_want_of_memory_recommends_tiles_that_work(
    aeonnx: Cli, made: Path, tmp_path: Path, scarce_memory: Callable[[], None]
) -> None:
    scarce_memory()
    np.save(tmp_path / "x.npy", noise(1, 1, 128, 128))
    done = aeonnx("denoise", made, "x.npy", "-o", "y.npy")
    assert done.exit_code == 1
    assert (
        "Or run it in tiles, which is not exact: --tile 68 --overlap 20, in Python "
        "aeonnx.load(..., tile=68, overlap=20)"
    ) in done.stderr
    done = aeonnx("denoise", made, "x.npy", "-o", "y.npy", "--tile", "68", "--overlap", "20")
    assert done.exit_code == 0, done.stderr


def test_what_needs_more_memory_than_is_free_fails_before_it_is_killed(
    aeonnx: Cli, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Linux promises the memory, so that onnxruntime alone would not fail."""
    monkeypatch.setattr(machine, "available_memory", lambda _: 250 * 2**20)
    before = resource.getrlimit(resource.RLIMIT_DATA)
    np.save(tmp_path / "x.npy", noise(1, 1, 3000, 3000))  # 275 MB after the first convolution
    given = ("denoise", made, "x.npy", "-o", "y.npy", "--provider", "cpu")
    done = aeonnx(*given)
    assert done.exit_code == 1
    assert "Or run it in tiles, which is not exact: --tile " in done.stderr
    assert not (tmp_path / "y.npy").exists()
    assert resource.getrlimit(resource.RLIMIT_DATA) == before
    done = aeonnx(*given, "--tile", "512")
    assert done.exit_code == 0, done.stderr
