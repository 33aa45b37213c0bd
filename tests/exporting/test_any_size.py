"""Graphs of any size, from Python and the command line."""

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
from aeonnx.errors import GraphError, InputError, ParityError, UsageError
from aeonnx.exporting import ExportOptions, export
from aeonnx.runtime import verify
from aeonnx.runtime.tiles import tile_side
from clients.proof import external

Cli = Callable[..., Result]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Bundles of the models in `clients.proof.external`, by name."""
    folder = tmp_path_factory.mktemp("made")

    def make(name: str) -> Path:
        if not (folder / name).exists():
            factory = f"module:clients.proof.external:{name}"
            export(ExportOptions(name, folder / name, from_source=factory))
        return folder / name

    return make


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).random(shape, dtype=np.float32)


def test_a_denoiser_of_any_size_is_verified_at_several(made: Callable[[str], Path]) -> None:
    bundle = library.load(made("any_size"))
    variant = bundle.variant("denoiser")
    measured = {tuple(item.sizes.items()) for item in variant.parity["denoised"]}
    assert len(measured) == 3
    assert (("height", 8), ("width", 8)) in measured
    assert any(dict(sizes)["height"] != dict(sizes)["width"] for sizes in measured)
    assert len(variant.golden) == 2
    assert len({item.inputs["x"].shape[2:] for item in variant.golden}) == 2
    report = verify(bundle)
    assert report.passed
    assert [(*check.sizes.values(),) for check in report.checks] == [
        item.inputs["x"].shape[2:] for item in variant.golden
    ]
    assert {axis.margin for axis in variant.axes.values()} == {0, 7}


def test_verify_prints_the_sizes_of_golden_vectors(
    aeonnx: Cli, made: Callable[[str], Path]
) -> None:
    result = aeonnx("verify", made("any_size"))
    assert result.exit_code == 0, result.stderr
    for golden in library.load(made("any_size")).variant("denoiser").golden:
        rows, _, *sizes = golden.inputs["x"].shape
        assert f"{rows} golden at {sizes[0]}x{sizes[1]}" in result.output


@pytest.mark.shortened(1)
@pytest.mark.parametrize("part", ["encoder", "decoder"])
def test_a_part_of_any_size_is_timed_at_the_size_of_its_golden_vectors(
    aeonnx: Cli, made: Callable[[str], Path], part: str
) -> None:
    source = ("--from", "module:clients.proof.external:signal")
    fast = ("--part", part, "--seconds", 0.02, "--threads", 1, "--batch", 3, "--json")
    result = aeonnx("bench", made("signal"), *source, *fast)
    assert result.exit_code == 0, result.stderr
    cells = json.loads(result.stdout)["cells"]
    assert {cell["part"] for cell in cells} == {part}


@pytest.mark.parametrize("size", [(8, 8), (1, 1), (37, 53), (9, 300)])
def test_any_size_is_padded_by_reflection_and_cropped(
    made: Callable[[str], Path], size: tuple[int, int]
) -> None:
    bundle = library.load(made("any_size"))
    x = noise(2, 1, *size)
    found = bundle.denoise(x)
    assert found.shape == x.shape
    pads = [max(8, size + size % 2) - size for size in size]
    whole = np.pad(x, [(0, 0), (0, 0), *((0, pad) for pad in pads)], mode="reflect")
    with torch.no_grad():
        expected = external.any_size().eval()(torch.from_numpy(whole)).numpy()
    np.testing.assert_allclose(found, expected[:, :, : size[0], : size[1]], rtol=0, atol=1e-5)


def test_a_large_image_runs_in_tiles_that_give_the_whole(made: Callable[[str], Path]) -> None:
    bundle = library.load(made("any_size"))
    x = noise(1, 1, 2100, 2052)
    whole = bundle.session("denoiser").run({"x": x})["denoised"]
    np.testing.assert_allclose(bundle.denoise(x), whole, rtol=0, atol=1e-6)


@pytest.mark.parametrize("tile", [18, 24, 100, 512])
def test_tiles_of_any_length_give_the_whole(made: Callable[[str], Path], tile: int) -> None:
    x = noise(2, 1, 137, 90)
    whole = library.load(made("any_size"), ["cpu"])
    with library.load(made("any_size"), ["cpu"], tile=tile) as bundle:
        np.testing.assert_allclose(bundle.denoise(x), whole.denoise(x), rtol=0, atol=1e-6)
        difference = bundle.denoise(x, pixels=True).astype(int) - whole.denoise(x, pixels=True)
        assert np.abs(difference).max() <= 1
        assert bundle.blended == ()


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (
            {"tile": 16},
            "tile: expected at least 18 for denoiser, two margins of 8 (rounded up to a multiple "
            "of 2) and 2 between them, got 16",
        ),
        (
            {"tile": 33},
            "tile: expected a multiple of 2 for denoiser, got 33: the nearest are 32 and 34",
        ),
        (
            {"tile": 64, "overlap": 8},
            "overlap: expected none, the tiles of denoiser are exact: they overlap by the margins "
            "in the manifest. Leave it out",
        ),
    ],
)
def test_exact_tiles_that_do_not_fit_are_refused(
    aeonnx: Cli, made: Callable[[str], Path], options: dict[str, int], text: str
) -> None:
    with pytest.raises(UsageError) as refused:
        library.load(made("any_size"), **options).denoise(noise(1, 1, 8, 8))  # type: ignore[arg-type]
    assert str(refused.value) == text
    flags = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    done = aeonnx("denoise", made("any_size"), "x.png", "-o", "y.png", *flags)
    assert (done.exit_code, f"Error: {text}\n" in done.stderr) == (2, True)


def test_tiles_are_counted_in_the_largest_tensor(made: Callable[[str], Path]) -> None:
    """Of 16 samples per frame, a tile has 2^18 samples and not 2^18 frames."""
    assert tile_side(library.load(made("signal")).variant("decoder")) == 2**14
    assert tile_side(library.load(made("any_size")).variant("denoiser")) == 512


def test_pictures_of_any_size(aeonnx: Cli, made: Callable[[str], Path], tmp_path: Path) -> None:
    sizes = {"a.png": (37, 53), "b.png": (1, 1), "c.png": (64, 40, 3)}
    (tmp_path / "in").mkdir()
    for name, size in sizes.items():
        pixels = (noise(*size) * 255).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / "in" / name)
    result = aeonnx("denoise", made("any_size"), "in", "-o", "out/")
    assert result.exit_code == 0, result.stderr
    for name, (height, width, *_) in sizes.items():
        with Image.open(tmp_path / "out" / name) as picture:
            assert picture.size == (width, height)
    refused = aeonnx("denoise", made("any_size"), "in", "-o", "grid.png")
    assert refused.exit_code == 2
    text = "one file holds results of one size, not of [1, 37, 53] and [1, 1, 1]: give a folder"
    assert text in refused.stderr
    assert not (tmp_path / "grid.png").exists()


def test_a_signal_codec_of_any_length(made: Callable[[str], Path]) -> None:
    bundle = library.load(made("signal"))
    x = noise(2, 1, 16 * 23) * 2 - 1
    codec = external.signal().eval()
    with torch.no_grad():
        expected = codec.decoder(codec.encoder(torch.from_numpy(x))).numpy()
    np.testing.assert_allclose(bundle.decode(bundle.encode(x)), expected, rtol=0, atol=1e-5)
    with pytest.raises(InputError, match=r"^encoder: x: expected a multiple of 16 for 16\*fr"):
        bundle.run("encoder", x=noise(1, 1, 33))
    with pytest.raises(
        InputError, match=r"^encoder: x: frames: expected a size of at least 2, got"
    ):
        bundle.run("encoder", x=noise(1, 1, 16))
    for length, padded in ((33, 48), (16, 32), (17, 32)):
        x = noise(1, 1, length)
        whole = np.pad(x, [(0, 0), (0, 0), (0, padded - length)], mode="reflect")
        np.testing.assert_array_equal(bundle.encode(x), bundle.encode(whole))
    text = (
        r"^encoder: x: expected a signal of at least one frame, 16 samples, got 15: give a longer "
        r"one, or append silence$"
    )
    with pytest.raises(InputError, match=text):
        bundle.encode(noise(1, 1, 15))


def test_a_class_is_generated_by_decoder_and_sampler(
    aeonnx: Cli, made: Callable[[str], Path], tmp_path: Path
) -> None:
    bundle = library.load(made("conditional"))
    images = bundle.generate(3, seed=5, label=7)
    z = torch.from_numpy(bundle.draw_latents(3, 5))
    with torch.no_grad():
        expected = external.conditional().eval().decoder(z, torch.full((3,), 7)).numpy()
    np.testing.assert_allclose(images, expected, rtol=0, atol=1e-5)
    each = bundle.generate(3, seed=5, label=np.array([7, 7, 7]))
    np.testing.assert_array_equal(images, each)
    index = np.arange(3)
    drawn = bundle.run("sampler", seed=np.array([5]), index=index, label=7)["image"]
    np.testing.assert_array_equal(drawn, bundle.generate(3, seed=5, label=7, pixels=True))
    done = aeonnx("generate", made("conditional"), "-n", "3", "--seed", "5", "--label", "7",
                  "-o", "x.npy", "--pixels")  # fmt: skip
    assert done.exit_code == 0, done.stderr
    np.testing.assert_array_equal(np.load(tmp_path / "x.npy"), drawn)


@pytest.mark.parametrize(
    ("label", "text"),
    [
        (None, r"^decoder: label: expected int64 \[batch\], got a NoneType"),
        (2.5, r"^decoder: label: expected int64 \[batch\], got float64: convert it with"),
        (10, r"^decoder: label: expected int64 \[batch\] in \[0, 9\], got values from 10 to 10"),
        ([1, 2], r"^decoder: batch: expected one size in all inputs, got 3 in z and 2 in label"),
    ],
)
def test_labels_that_are_none_are_refused(
    made: Callable[[str], Path], label: object, text: str
) -> None:
    with pytest.raises(InputError, match=text):
        library.load(made("conditional")).generate(3, label=label)  # type: ignore[arg-type]


def test_a_missing_condition_is_named(aeonnx: Cli, made: Callable[[str], Path]) -> None:
    done = aeonnx("generate", made("conditional"), "-o", "x.npy")
    assert done.exit_code == 2
    assert (
        "Error: Missing option '--label' or '--labels': the class to generate, a number from 0 to 9"
        in done.stderr
    )
    done = aeonnx("generate", made("conditional"), "--label", "seven", "-o", "x.npy")
    assert done.exit_code == 2
    assert "--label: expected a number from 0 to 9, got 'seven'" in done.stderr


class Unrolled(nn.Module):
    """Sums frames in a Python loop, whose length torch fixes."""

    def forward(self, x: Tensor) -> Tensor:
        total = torch.zeros_like(x[..., 0])
        for frame in range(x.shape[-1]):
            total = total + x[..., frame]
        return x + total.unsqueeze(-1)


class Detached(nn.Module):
    """Multiplies by a number that it computes of its size outside of torch."""

    def forward(self, x: Tensor) -> Tensor:
        return x * float(np.sqrt(int(x.shape[-1])))


@pytest.mark.parametrize("module", [Unrolled(), Detached()])
def test_a_size_that_is_frozen_into_the_graph_is_refused(module: nn.Module, tmp_path: Path) -> None:
    x = torch.randn(2, 1, 24)
    with pytest.raises((ParityError, GraphError)):
        library.export("odd", tmp_path / "b", denoiser=module, example=x)
    assert not (tmp_path / "b").exists()


class Spatial(nn.Module):
    """An encoder and a decoder with spatial latents, for `aeonnx.export`."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.encoder = nn.Sequential(nn.Conv2d(3, 8, 4, 4), nn.GELU(), nn.Conv2d(8, 4, 3, 1, 1))
        self.decoder = nn.Sequential(nn.ConvTranspose2d(4, 3, 4, 4), nn.Tanh())


def test_modules_alone_are_enough(tmp_path: Path) -> None:
    both = Spatial()
    x = torch.rand(2, 3, 32, 48) * 2 - 1
    library.export(
        "mine", tmp_path / "b", encoder=both.encoder, decoder=both.decoder, example=x, range=(-1, 1)
    )
    bundle = library.load(tmp_path / "b")
    (spec,) = bundle.inputs("encoder")
    assert (spec.name, spec.kind, spec.shape) == ("x", "image", ("batch", 3, "height", "width"))
    (latent,) = bundle.inputs("decoder")
    assert (latent.kind, latent.shape) == ("latent", ("batch", 4, "height/4", "width/4"))
    assert bundle.variant("encoder").axes["height"] == Axis(4, 4, margin=4)
    other = torch.rand(1, 3, 20, 36) * 2 - 1
    with torch.no_grad():
        expected = both.decoder(both.encoder(other)).numpy()
    np.testing.assert_allclose(bundle.reconstruct(other), expected, rtol=0, atol=1e-5)
    odd = other[..., :19, :33]
    whole = np.pad(odd, [(0, 0), (0, 0), (0, 1), (0, 3)], mode="reflect")
    found = bundle.reconstruct(odd, out=np.empty(odd.shape, np.float32))
    np.testing.assert_array_equal(found, bundle.reconstruct(whole)[..., :19, :33])


def test_modules_whose_size_is_fixed(tmp_path: Path) -> None:
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(12 * 8, 5))
    library.export("flat", tmp_path / "b", encoder=encoder, example=np.zeros((3, 1, 12, 8), "f4"))
    bundle = library.load(tmp_path / "b")
    assert bundle.inputs("encoder")[0].shape == ("batch", 1, 12, 8)
    assert bundle.outputs("encoder")[0].shape == ("batch", 5)
    assert set(bundle.variant("encoder").axes) == {"batch"}


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"encoder": nn.Linear(4, 2)}, "expected example=, an array of one row or more that enc"),
        (
            {"encoder": nn.Linear(4, 2), "example": np.zeros((2, 5), "f4")},
            "encoder, called on the example, raised RuntimeError: .* cannot be multiplied",
        ),
        (
            {"encoder": nn.LSTM(4, 2), "example": np.zeros((2, 3, 4), "f4")},
            "expected encoder to return tensors, .*, got a tuple for z_2: wrap it in a module",
        ),
        (
            {"encoder": nn.Linear(4, 2), "example": np.zeros((2, 4), "f4"), "checkpoint": "x"},
            "checkpoint: expected none beside modules, encoder: load the weights into them first",
        ),
    ],
)
def test_what_modules_cannot_be_is_said(
    options: dict[str, object], text: str, tmp_path: Path
) -> None:
    with pytest.raises(library.errors.AeonnxError, match=text):
        library.export("mine", tmp_path / "b", **options)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_spatial_latents_are_drawn_and_decoded(tmp_path: Path) -> None:
    """By a sampler in one graph, with a prior that is fitted to channels."""

    class Model(Spatial):
        def parts(self) -> dict[str, library.models.Part]:
            image = TensorSpec("x", ("batch", 3, 16, 24), range=(-1.0, 1.0))
            z = TensorSpec("z", ("batch", 4, 4, 6))
            y = TensorSpec("y", ("batch", 3, 16, 24), range=(-1.0, 1.0))
            part = library.models.Part
            return {
                "encoder": part(self.encoder, (image,), (z,)),
                "decoder": part(self.decoder, (z,), (y,)),
            }

    globals()["spatial"] = Model
    np.save(tmp_path / "x.npy", noise(30, 3, 16, 24) * 2 - 1)
    export(
        ExportOptions(
            "spatial",
            tmp_path / "b",
            from_source=f"module:{__name__}:spatial",
            calibration=tmp_path / "x.npy",
            prior="fitted",
        )
    )
    bundle = library.load(tmp_path / "b")
    assert bundle.manifest.prior is not None
    assert bundle.manifest.prior.factor is not None
    assert bundle.manifest.prior.factor.shape == (4, 4)
    found = bundle.run("sampler", seed=np.array([3]), index=np.arange(5))
    np.testing.assert_allclose(found["z"], bundle.draw_latents(5, 3), rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(found["image"], bundle.generate(5, 3, pixels=True))
    latents = bundle.encode(np.load(tmp_path / "x.npy"))
    drawn = bundle.draw_latents(2000)
    np.testing.assert_allclose(
        drawn.mean((0, 2, 3)), latents.mean((0, 2, 3)), atol=0.1 * float(latents.std())
    )
