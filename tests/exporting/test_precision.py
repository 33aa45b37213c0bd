"""Reduced precision of networks as people have them: GroupNorm, SiLU, attention, huge numbers."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.helper
import onnx.numpy_helper
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import aeonnx as library
from aeonnx.bundle import Axis, Conversion, TensorSpec
from aeonnx.errors import ImageError, QualityError
from aeonnx.exporting import Exported, ExportOptions, export, variants
from aeonnx.exporting.passes import precision as passes
from aeonnx.exporting.passes.precision import Candidate
from aeonnx.models import Part
from aeonnx.runtime import verify
from tests.support import graph_file

Export = Callable[..., Exported]
pytestmark = pytest.mark.usefixtures("few_rows")


class Residual(nn.Module):
    """As in image decoders: the sum that goes through all blocks may grow, norms hide it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            nn.GroupNorm(2, channels), nn.SiLU(), nn.Conv2d(channels, channels, 3, padding=1)
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.branch(x)


class Attention(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm, self.values = nn.GroupNorm(2, channels), nn.Linear(channels, 3 * channels)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.norm(x).flatten(2).transpose(1, 2)
        q, k, v = self.values(tokens).chunk(3, -1)
        weights = (q @ k.transpose(1, 2) / q.shape[-1] ** 0.5).softmax(-1)
        return x + (weights @ v).transpose(1, 2).reshape(x.shape)


class Images(nn.Module):
    """An autoencoder of colour images of any size, whose decoder works on numbers times `scale`."""

    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        torch.manual_seed(0)
        first = nn.Conv2d(2, 16, 3, padding=1)
        with torch.no_grad():
            first.weight *= scale
        self.encoder = nn.Conv2d(3, 2, 4, 4)
        self.decoder = nn.Sequential(
            first,
            Residual(16),
            Attention(16),
            nn.Upsample(scale_factor=4),
            Residual(16),
            nn.GroupNorm(2, 16),
            nn.SiLU(),
            nn.Conv2d(16, 3, 3, padding=1),
            nn.Tanh(),
        )

    def parts(self) -> dict[str, Part]:
        shape = ("batch", 3, "height", "width")
        x, y = (TensorSpec(name, shape, range=(-1.0, 1.0), kind="image") for name in "xy")
        z = TensorSpec("z", ("batch", 2, "height/4", "width/4"), kind="latent")
        more: dict[str, Any] = {
            "axes": {name: Axis(4, min=8) for name in ("height", "width")},
            "sizes": {"height": 16, "width": 16},
        }
        return {
            "encoder": Part(self.encoder, (x,), (z,), **more),
            "decoder": Part(self.decoder, (z,), (y,), **more),
        }


class Outliers(nn.Module):
    """A convolutional encoder; a channel that nothing reads is a million times the others."""

    def __init__(self, convolutions: int, outliers: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        sizes = [1, *[16] * convolutions]
        layers = [nn.Conv2d(*pair, 3, padding=1, bias=False) for pair in pairwise(sizes)]
        with torch.no_grad():
            for layer in layers:
                layer.weight *= 2.4  # otherwise hardly anything of an image gets through
            for first, second in [*pairwise(layers)][:outliers]:
                first.weight[0] *= 1e6
                second.weight[:, 0] = 0.0
        mixed = [item for layer in layers for item in (layer, nn.ELU())]
        end = nn.AvgPool2d(4), nn.Flatten(), nn.Linear(16 * 4, 16)
        self.encoder = nn.Sequential(*mixed, *end)

    def parts(self) -> dict[str, Part]:
        x = TensorSpec("x", ("batch", 1, 8, 8), range=(0.0, 1.0), kind="image")
        z = TensorSpec("z", ("batch", 16), kind="latent")
        return {"encoder": Part(self.encoder, (x,), (z,))}


class Words(nn.Module):
    """An LSTM and linear layers, with channels as in `Outliers`."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.lstm = nn.LSTM(8, 32)
        layers = nn.Linear(32, 64), nn.Linear(64, 64), nn.Linear(64, 16)
        with torch.no_grad():
            for first, second in pairwise(layers):
                first.weight[0] *= 1e6
                second.weight[:, 0] = 0.0
        self.head = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        hidden, _ = self.lstm(x[:, 0].transpose(0, 1))
        found: Tensor = self.head(hidden[-1])
        return found

    def parts(self) -> dict[str, Part]:
        x = TensorSpec("x", ("batch", 1, 8, 8), range=(0.0, 1.0), kind="image")
        return {"encoder": Part(self, (x,), (TensorSpec("z", ("batch", 16), kind="latent"),))}


class Heads(nn.Module):
    """A product with a stack of three matrices, as codebooks make it, behind `first`."""

    def __init__(self, first: nn.Module, size: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.stack = first, nn.Parameter(torch.randn(3, size, 4) / size**0.5)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.first(x).flatten(1)[:, None, None]
        found: Tensor = (hidden @ self.stack).flatten(1)
        return found

    def parts(self) -> dict[str, Part]:
        x = TensorSpec("x", ("batch", 1, 8, 8), range=(0.0, 1.0), kind="image")
        return {"encoder": Part(self, (x,), (TensorSpec("z", ("batch", 12), kind="latent"),))}


def convolution_and_stack() -> nn.Module:
    return Heads(nn.Conv2d(1, 64, 8), 64)


def linear_and_stack() -> nn.Module:
    return Heads(nn.Sequential(nn.Flatten(), nn.Linear(64, 32)), 32)


def plain() -> nn.Module:
    return Images()


def large() -> nn.Module:
    return Images(1e6)


def one_outlier() -> nn.Module:
    return Outliers(6, 1)


def outliers() -> nn.Module:
    return Outliers(6, 5)


def words() -> nn.Module:
    return Words()


@pytest.fixture
def exported(tmp_path: Path) -> Export:
    """(factory, part, precision, more options) -> the export, into the folder b."""

    def make(factory: str, part: str, precision: str, **more: Any) -> Exported:
        rng, calibration = np.random.default_rng(0), tmp_path / "x.npy"
        small = rng.random((24, 3, 4, 4), np.float32)
        if factory in ("plain", "large"):  # of any size, and so are the pictures
            calibration = tmp_path / "pictures"
            calibration.mkdir()
            for number, row in enumerate(small):
                pixels = (row.repeat(5, 1).repeat(6 + number % 3, 2) * 255).astype(np.uint8)
                Image.fromarray(pixels.transpose(1, 2, 0)).save(calibration / f"{number:02}.png")
        else:
            np.save(calibration, small[:, :1].repeat(2, 2).repeat(2, 3))
        options = ExportOptions(
            factory,
            tmp_path / "b",
            parts=(part,),
            precisions=(precision,),
            from_source=f"module:{__name__}:{factory}",
            calibration=calibration,
            **more,
        )
        return export(options)

    return make


def test_a_decoder_beyond_float16_is_no_black_image(exported: Export, tmp_path: Path) -> None:
    done = exported("large", "decoder", "fp16")
    bundle = library.load(tmp_path / "b")
    assert verify(bundle).passed
    z = bundle.variant("decoder")
    conversion = bundle.variant("decoder", "fp16").conversion
    assert conversion is not None
    assert conversion.method == "float16"
    assert 0 < conversion.in_fp32 < 0.6 * conversion.of
    assert done.notes == ()
    assert z.conversion is None


def test_without_the_nodes_in_fp32_it_is_refused(
    exported: Export, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passes, "nodes_outside_float16", lambda *_: [])
    with pytest.raises(QualityError, match=r"^decoder in fp16: y has NaN or infinite values on 24"):
        exported("large", "decoder", "fp16")
    assert not (tmp_path / "b").exists()


PEAK = """
import resource

import numpy as np
import onnx
from onnx import TensorProto, helper

from aeonnx.exporting.passes.float16 import nodes_outside_float16

names = [f"t{i}" for i in range(101)]
sides = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 16, 128, 128])
         for name in (names[0], names[-1])]
nodes = [helper.make_node("Add", [a, "one"], [b], b) for a, b in zip(names, names[1:])]
one = onnx.numpy_helper.from_array(np.array(1000, np.float32), "one")
graph = helper.make_graph(nodes, "deep", sides[:1], sides[1:], [one])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
batch = {"t0": np.zeros((8, 16, 128, 128), np.float32)}
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
found = nodes_outside_float16(model, [batch])
print(len(found), (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


def test_the_search_for_large_numbers_keeps_few_tensors_in_memory() -> None:
    """Of 100 tensors of 8 MB, the last 68 are above 32,752 and so is one node's result before."""
    done = subprocess.run([sys.executable, "-c", PEAK], capture_output=True, text=True, check=True)
    count, megabytes = map(float, done.stdout.split())
    assert count == 68
    assert megabytes < 300


def test_convolutions_with_group_norm_are_int8(exported: Export, tmp_path: Path) -> None:
    done = exported("plain", "decoder", "int8")
    bundle = library.load(tmp_path / "b")
    assert verify(bundle).passed
    conversion = bundle.variant("decoder", "int8").conversion
    assert conversion == Conversion("static", 0, 5)
    assert done.notes == ()
    graph = onnx.load(graph_file(tmp_path / "b", "decoder", "int8")).graph
    made = {name: node.op_type for node in graph.node for name in node.output}
    products = [node for node in graph.node if node.op_type == "MatMul"]
    # The products of attention are not quantised: they have no weights to make smaller.
    assert sum("DequantizeLinear" in map(made.get, node.input) for node in products) == 1


@pytest.mark.parametrize(
    ("factory", "method"), [("convolution_and_stack", "static"), ("linear_and_stack", "dynamic")]
)
def test_a_product_with_a_stack_of_matrices_stays_in_fp32(
    exported: Export, tmp_path: Path, factory: str, method: str
) -> None:
    """onnxruntime has no int8 kernel for one with a scale per channel."""
    done = exported(factory, "encoder", "int8")
    bundle = library.load(tmp_path / "b")
    assert verify(bundle).passed
    assert bundle.variant("encoder", "int8").conversion == Conversion(method, 0, 1)
    assert done.notes == ()


def test_variants_of_any_size_are_judged_at_two(exported: Export, tmp_path: Path) -> None:
    exported("plain", "encoder", "fp16", io=("uint8",))
    bundle = library.load(tmp_path / "b")
    usual = {"height": 16, "width": 16}
    for name in ("fp16", "fp32-uint8", "fp16-uint8"):
        variant = bundle.variant("encoder", name)
        shapes = {tensor.shape[2:] for item in variant.golden for tensor in item.inputs.values()}
        assert len(shapes) == 2, name
        assert (16, 16) in shapes
        for found in variant.parity.values():
            assert len({tuple(item.sizes.items()) for item in found}) == 2, name
    quality = bundle.variant("encoder", "fp16").quality
    assert quality is not None
    sizes = [item.sizes for item in quality["z"] if item.metric == "psnr"]
    assert sizes == [usual, {"height": 12, "width": 20}]


def test_pictures_smaller_than_the_usual_size_are_refused(tmp_path: Path) -> None:
    Image.new("RGB", (40, 15)).save(tmp_path / "low.png")
    options = ExportOptions(
        "plain",
        tmp_path / "b",
        from_source=f"module:{__name__}:plain",
        calibration=tmp_path / "low.png",
    )
    with pytest.raises(
        ImageError, match=r"low.png: expected images of at least 16x16, got one of 15x40: "
    ):
        export(options)
    assert not (tmp_path / "b").exists()


def test_a_loss_at_another_size_is_refused(
    exported: Export, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a graph that is right at the usual size only: it adds what the width makes of 0."""
    real = variants.in_precision

    def spoiled(*given: Any) -> Iterator[Candidate]:
        for candidate in real(*given):
            graph = candidate.graph.graph
            for node in graph.node:
                node.output[:] = ["right" if name == "z" else name for name in node.output]
            usual = onnx.numpy_helper.from_array(np.array(16, np.float32), "usual")
            graph.initializer.append(usual)
            for operator, inputs, output in (
                ("Shape", ["x"], "shape"),
                ("ReduceMax", ["shape"], "longest"),
                ("Cast", ["longest"], "length"),
                ("Sub", ["length", "usual"], "unusual"),
                ("Add", ["right", "unusual"], "z"),
            ):
                more = {"Shape": {"start": 2}, "ReduceMax": {"keepdims": 0}, "Cast": {"to": 1}}
                graph.node.append(
                    onnx.helper.make_node(operator, inputs, [output], **more.get(operator, {}))
                )
            yield candidate

    monkeypatch.setattr(variants, "in_precision", spoiled)
    text = r"z has a signal-to-noise ratio of .* on 24 test inputs, height 12, width 20 \("
    with pytest.raises(QualityError, match=text):
        exported("plain", "encoder", "fp16")
    assert not (tmp_path / "b").exists()


def test_a_layer_that_loses_most_stays_in_fp32(exported: Export, tmp_path: Path) -> None:
    done = exported("one_outlier", "encoder", "int8")
    conversion = library.load(tmp_path / "b").variant("encoder", "int8").conversion
    assert conversion == Conversion("static", 3, 7)
    (note,) = done.notes
    assert note.startswith(
        "encoder in int8 has 3 of 7 layers in fp32, since otherwise: z has a signal-to-noise ratio "
    )


@pytest.mark.parametrize("factory", ["outliers", pytest.param("words", marks=pytest.mark.slow)])
def test_where_activations_do_not_quantise_weights_alone_are_int8(
    exported: Export, tmp_path: Path, factory: str
) -> None:
    done = exported(factory, "encoder", "int8")
    bundle = library.load(tmp_path / "b")
    assert verify(bundle).passed
    variant = bundle.variant("encoder", "int8")
    assert variant.conversion is not None
    assert variant.conversion.method == "weights"
    (note,) = done.notes
    assert note.startswith(
        "encoder in int8 has int8 weights alone, since activations do not quantise: z has a "
        "signal-to-noise ratio of "
    )
    assert variant.bytes < 0.45 * bundle.variant("encoder").bytes
    graph = onnx.load(graph_file(tmp_path / "b", "encoder", "int8")).graph
    assert not [node for node in graph.node if node.op_type == "QuantizeLinear"]
    large = [item for item in graph.initializer if np.prod(item.dims) > 256]
    assert {item.data_type for item in large} == {onnx.TensorProto.INT8}
