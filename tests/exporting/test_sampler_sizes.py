"""Samplers of images of any size: the size is that of an input, the canvas."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from click.testing import Result
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor, nn

import aeonnx as package
from aeonnx.bundle import Axis, TensorSpec
from aeonnx.errors import InputError, ParityError
from aeonnx.exporting.passes import sampler
from aeonnx.io.pixels import to_pixels
from aeonnx.models import Part
from aeonnx.runtime import Bundle, verify
from aeonnx.runtime.stream import generated
from aeonnx.runtime.walks import Walk, walked
from clients.proof.external import Generator
from tests.support import graph_file

Cli = Callable[..., Result]

pytestmark = pytest.mark.usefixtures("few_rows")


class Labelled(Generator):
    """A decoder of a latent of any size and a label, whose axes are those of the latent."""

    def __init__(self) -> None:
        torch.manual_seed(1)
        super().__init__()

    def parts(self) -> dict[str, Part]:
        z = TensorSpec("z", ("batch", 2, "rows", "columns"), kind="latent")
        label = TensorSpec("label", ("batch",), "int64", (0, 4), kind="label")
        shape = ("batch", 1, "4*rows", "4*columns")
        made = TensorSpec("made", shape, range=(-1, 1), kind="image")
        axes = {"rows": Axis(min=2, max=100), "columns": Axis(min=2, max=100)}
        return {"decoder": Part(self, (z, label), (made,), axes=axes)}


def modules() -> dict[str, nn.Module]:
    torch.manual_seed(0)
    encoder = nn.Conv2d(3, 2, 4, stride=4)
    return {
        "encoder": encoder,
        "decoder": nn.Sequential(nn.ConvTranspose2d(2, 3, 4, stride=4), nn.Sigmoid()),
    }


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of an autoencoder of RGB pictures of any size, with a prior fitted to channels."""
    folder = tmp_path_factory.mktemp("fitted")
    x = np.random.default_rng(0).beta(0.5, 0.5, (64, 3, 16, 16)).astype(np.float32)
    np.save(folder / "x.npy", x)
    package.export(
        **modules(), example=x[:1], model="any", output=folder / "b", range=(0, 1),
        prior="fitted", calibration=folder / "x.npy",
    )  # fmt: skip
    return folder / "b"


def sampled(bundle: Bundle, seed: int, index: np.ndarray, height: int, width: int) -> dict:  # type: ignore[type-arg]
    canvas = np.full((len(index), height, width), 77, np.uint8)
    return bundle.run("sampler", seed=np.array([seed]), index=index, canvas=canvas)


@given(
    seed=st.integers(0, 2**63 - 1),
    first=st.integers(0, 2**62),
    height=st.integers(1, 12),
    width=st.integers(1, 12),
)
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_the_graph_draws_and_decodes_what_python_does_at_any_size(
    fitted: Path, seed: int, first: int, height: int, width: int
) -> None:
    size = (4 * height, 4 * width)
    with package.load(fitted) as bundle:
        made = sampled(bundle, seed, np.arange(first, first + 3), *size)
        z = bundle.draw_latents(3, seed, first, size=size)
        assert made["z"].shape == z.shape == (3, 2, height, width)
        np.testing.assert_allclose(made["z"], z, rtol=1e-6, atol=1e-6)
        expected = to_pixels(bundle.generate(3, seed, first, size=size))
        assert np.abs(made["image"].astype(int) - expected).max() <= 1
        alone = sampled(bundle, seed, np.array([first + 2]), *size)
        np.testing.assert_array_equal(alone["image"], made["image"][2:])


def test_the_manifest_declares_the_canvas_and_has_golden_vectors_of_two_sizes(fitted: Path) -> None:
    with package.load(fitted) as bundle:
        variant = bundle.variant("sampler")
        canvas = variant.inputs[2]
        assert (canvas.name, canvas.kind, canvas.dtype) == ("canvas", "canvas", "uint8")
        assert canvas.shape == ("batch", "height", "width")
        assert [golden.inputs["canvas"].shape[1:] for golden in variant.golden] == [
            (16, 16),
            (4, 4),
        ]
        sizes = {tuple(item.sizes.values()) for item in variant.parity["image"]}
        assert sizes == {(16, 16), (4, 4), (12, 20)}
        # What a place draws depends on the size of the whole, so that tiles would differ.
        assert variant.axes["height"].margin is None
        assert verify(bundle).passed
        bundle.run(
            "sampler", seed=np.array([1]), index=np.arange(2), canvas=np.zeros((2, 8, 4), np.uint8)
        )
        with pytest.raises(
            InputError, match="canvas: height: expected a multiple of 4 of at least"
        ):
            sampled(bundle, 1, np.arange(2), 6, 8)
        with pytest.raises(InputError, match="canvas"):
            bundle.run("sampler", seed=np.array([1]), index=np.arange(2))


def test_large_images_are_generated_few_at_once(fitted: Path) -> None:
    with package.load(fitted) as bundle:
        assert [len(each) for each in generated(bundle, 12)] == [12]
        large = [*generated(bundle, 12, size=(512, 512))]
        assert [len(each) for each in large] == [5, 5, 2]
        walk = walked(bundle, 12, 0, 0, Walk(interpolate=("1", "2")), size=(512, 512))
        assert [len(each) for each in walk] == [5, 5, 2]
        expected = bundle.generate(12, size=(512, 512))
        np.testing.assert_array_equal(np.concatenate(large), expected)


def test_pictures_of_any_size_are_the_ends_of_a_walk(aeonnx: Cli, fitted: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 3, 24, 40), dtype=np.uint8)
    for name, image in zip("ab", pixels, strict=True):
        Image.fromarray(image.transpose(1, 2, 0)).save(f"{name}.png")
    command = ("generate", fitted, "-n", 3, "-o", "x.npy", "--provider", "cpu")
    told = aeonnx(*command, "--interpolate", "a.png", "b.png")
    assert told.exit_code == 0, told.output
    with package.load(fitted, ["cpu"]) as bundle:
        ends = bundle.decode(bundle.encode(pixels))
    np.testing.assert_allclose(np.load("x.npy")[[0, -1]], ends, atol=1e-5)
    Image.fromarray(pixels[0, :, :16].transpose(1, 2, 0)).save("c.png")
    text = "--interpolate: expected two latents of one size, got [2, 6, 10] and [2, 4, 10]"
    told = aeonnx(*command, "--interpolate", "a.png", "c.png", "--force")
    assert told.exit_code == 1
    assert text in told.stderr
    told = aeonnx(*command, "--interpolate", "a.png", 3, "--size", "24x40", "--force")
    assert told.exit_code == 0, told.output


def test_a_labelled_sampler_alone_generates_images_of_a_size(aeonnx: Cli) -> None:
    source = ("--from", f"module:{__name__}:Labelled", "-m", "labelled")
    assert aeonnx("export", *source, "-o", "b").exit_code == 0
    assert aeonnx("export", *source, "--part", "sampler", "-o", "alone").exit_code == 0
    options = ("--size", "24x40", "-n", 3, "--label", 2, "--seed", 9, "--pixels")
    for bundle, name in (("b", "decoded.npy"), ("alone", "sampled.npy")):
        done = aeonnx("generate", bundle, *options, "-o", name)
        assert done.exit_code == 0, done.output
    decoded, drawn = np.load("decoded.npy"), np.load("sampled.npy")
    assert drawn.shape == (3, 1, 24, 40)
    assert np.abs(drawn.astype(int) - decoded).max() <= 1
    assert drawn.std() > 1
    # Without a size, the images have that of the golden vectors.
    assert aeonnx("generate", "alone", "-n", 1, "--label", 0, "-o", "usual.npy").exit_code == 0
    with package.load("alone") as opened:
        stored = opened.variant("sampler").golden[0].outputs["image"].shape
    assert np.load("usual.npy").shape[1:] == stored[1:]
    assert aeonnx("verify", "b", *source[:2]).exit_code == 0


@pytest.mark.parametrize(
    ("size", "text"),
    [
        ("30x40", "size: expected a multiple of 4 for 4*rows, got 30"),
        ("404x40", "size: rows: expected a size from 2 to 100, got 101: the nearest is 100"),
        ("24x40x8", "size: expected 2 numbers, 4*rows and 4*columns, got (24, 40, 8)"),
    ],
)
def test_sizes_that_break_a_rule_are_refused(aeonnx: Cli, size: str, text: str) -> None:
    source = ("--from", f"module:{__name__}:Labelled", "-m", "labelled")
    assert aeonnx("export", *source, "--part", "sampler", "-o", "alone").exit_code == 0
    result = aeonnx("generate", "alone", "--size", size, "-n", 1, "--label", 1, "-o", "no.npy")
    assert result.exit_code == 1
    assert text in result.stderr
    assert not Path("no.npy").exists()


def test_a_sampler_of_one_size_takes_none(aeonnx: Cli, bundle_of: Callable[..., Path]) -> None:
    result = aeonnx("generate", bundle_of(), "--size", "28x28", "-n", 1, "-o", "no.npy")
    assert result.exit_code == 1
    assert "size: expected none, the images of this bundle have one size" in result.stderr


def test_a_graph_that_swaps_height_and_width_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = sampler.sizes_of_canvas

    def swapped(latent: tuple[int | str, ...], *rest: object) -> object:
        channels, height, width = latent
        return real((channels, width, height), *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(sampler, "sizes_of_canvas", swapped)
    with pytest.raises(ParityError, match="nothing was written"):
        package.export(
            **modules(), example=np.zeros((1, 3, 16, 16), np.float32), model="any",
            output=tmp_path / "b", range=(0, 1), prior="standard",
        )  # fmt: skip
    assert not (tmp_path / "b").exists()


def test_the_graph_needs_no_new_operators(fitted: Path) -> None:
    graph = onnx.load(graph_file(fitted, "sampler")).graph
    assert [value.name for value in graph.input] == ["seed", "index", "canvas"]
    assert not [node for node in graph.node if node.op_type.startswith("Random")]
    with package.load(fitted) as bundle:
        assert bundle.variant("sampler").min_onnxruntime == "1.21"
        assert bundle.variant("sampler").macs is not None


class Beside(nn.Module):
    """A decoder whose latent has an axis that its images do not have."""

    def forward(self, z: Tensor) -> Tensor:
        return torch.sigmoid(z.mean(2)[:, None, :, None].expand(-1, 1, -1, 8))

    def parts(self) -> dict[str, Part]:
        z = TensorSpec("z", ("batch", 4, "steps"), kind="latent")
        made = TensorSpec("made", ("batch", 1, 4, 8), range=(0, 1), kind="image")
        return {"decoder": Part(self, (z,), (made,), axes={"steps": Axis(min=2)})}


def test_latents_whose_size_no_image_has_get_no_sampler(aeonnx: Cli) -> None:
    source = ("--from", f"module:{__name__}:Beside", "-m", "beside", "--prior", "standard")
    done = aeonnx("export", *source, "-o", "b")
    assert done.exit_code == 0, done.output
    assert "sampler left out: it draws latents of the size of the images" in done.stdout
    assert "has a size that made [batch, 1, 4, 8] has not" in done.stdout
