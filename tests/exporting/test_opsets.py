"""Every operator that autoencoders use, at every opset, runs as torch does."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from click.testing import Result
from torch import Tensor, nn

from aeonnx.errors import GraphError
from aeonnx.exporting.capture.downgrade import at_opset
from aeonnx.exporting.capture.graph import finish
from aeonnx.exporting.capture.program import capture
from aeonnx.exporting.capture.translation import nodes_of
from aeonnx.exporting.opsets import MIN_ONNXRUNTIME
from tests.graphs import Of, part_of

OPSETS = sorted(MIN_ONNXRUNTIME)


class First(nn.Module):
    """The sequence that a recurrent layer gives, without its state."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        sequence: Tensor = self.layer(x)[0]
        return sequence


def sampled(x: Tensor) -> Tensor:
    mu, logvar = x.chunk(2, 1)
    return mu * torch.exp(logvar / 2)


def statistics(x: Tensor) -> Tensor:
    over = (x.mean(1), x.amax(1), x.amin(1), x.sum(1), x.std(1), x.norm(dim=1), x.logsumexp(1))
    return torch.cat([*over, x.abs().sum(1), x.prod(1), x.square().sum(1)], 1)


def attention(x: Tensor) -> Tensor:
    return F.scaled_dot_product_attention(x, x * 0.5, x + 1)


def branching(x: Tensor) -> Tensor:
    chosen: Tensor = torch.cond(
        x.sum() > 0, lambda x: x + 1, lambda x: F.layer_norm(x.tril(), (4,)), (x,)
    )
    return chosen


def grid(x: Tensor) -> Tensor:
    theta = torch.eye(2, 3).expand(x.shape[0], 2, 3)
    return F.grid_sample(
        x, F.affine_grid(theta, [*x.shape], align_corners=False), align_corners=False
    )


RUN: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
    "chunk": (Of(sampled), (6,)),
    "chunk in unequal parts": (Of(lambda x: torch.cat(x.chunk(3, 1)[::-1], 1)), (7,)),
    "chunk of channels": (Of(sampled), (4, 3, 3)),
    "split": (Of(lambda x: torch.cat(torch.split(x, [1, 4, 2], 1)[::-1], 1)), (7,)),
    "reflection in 1-d": (nn.ReflectionPad1d((1, 2)), (2, 5)),
    "reflection in 2-d": (nn.ReflectionPad2d((1, 2, 3, 0)), (2, 5, 6)),
    "replication": (nn.ReplicationPad2d((1, 0, 2, 3)), (2, 5, 6)),
    "zero padding": (nn.ZeroPad2d((1, 0, 2, 3)), (2, 5, 6)),
    "reflecting Conv2d": (nn.Conv2d(2, 3, 3, padding=1, padding_mode="reflect"), (2, 5, 6)),
    "GroupNorm": (nn.GroupNorm(2, 4), (4, 5, 5)),
    "GroupNorm with one group": (nn.GroupNorm(1, 4), (4, 5, 5)),
    "InstanceNorm2d": (nn.InstanceNorm2d(4, affine=True), (4, 5, 5)),
    "LayerNorm": (nn.LayerNorm(5), (4, 5)),
    "LayerNorm over two axes": (nn.LayerNorm([4, 5], elementwise_affine=False), (4, 5)),
    "LayerNorm without a bias": (nn.LayerNorm(5, eps=1e-12, bias=False), (4, 5)),
    "BatchNorm1d alone": (nn.BatchNorm1d(4), (4,)),
    "bilinear": (nn.Upsample(scale_factor=2, mode="bilinear"), (4, 5, 5)),
    "bilinear to a size": (nn.Upsample((7, 9), mode="bilinear", align_corners=True), (4, 5, 5)),
    "nearest": (nn.Upsample(scale_factor=2), (4, 5, 5)),
    "nearest to a size": (nn.Upsample((10, 15)), (4, 5, 5)),
    "LSTM": (First(nn.LSTM(4, 3, batch_first=True)), (5, 4)),
    "LSTM both ways": (First(nn.LSTM(4, 3, 2, batch_first=True, bidirectional=True)), (5, 4)),
    "GRU": (First(nn.GRU(4, 3, batch_first=True)), (5, 4)),
    "attention": (Of(attention), (2, 5, 8)),
    "transformer": (nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), (5, 8)),
    "Conv1d": (nn.Sequential(nn.Conv1d(2, 3, 3), nn.ConvTranspose1d(3, 2, 4, 2, 1)), (2, 8)),
    "Conv3d": (nn.Sequential(nn.Conv3d(2, 3, 3), nn.ConvTranspose3d(3, 2, 4, 2)), (2, 4, 4, 4)),
    "activations": (nn.Sequential(nn.GELU(), nn.Mish(), nn.PReLU(), nn.GLU(1)), (4,)),
    "Hardswish": (nn.Hardswish(), (4,)),
    "torch.cond": (Of(branching), (3, 4)),
    "statistics": (Of(statistics), (3, 5)),
    "triangles": (Of(lambda x: x.tril(1) - x.triu(-1) * 2), (4, 5)),
    "pixel shuffle": (nn.Sequential(nn.PixelShuffle(2), nn.PixelUnshuffle(2)), (4, 3, 3)),
    "assignment": (Of(lambda x: torch.index_fill(x, 1, torch.tensor([0]), 2.0)), (4,)),
}  # fmt: skip


@pytest.mark.shortened(5)
@pytest.mark.parametrize("name", RUN)
def test_every_opset_runs_as_torch_does(name: str) -> None:
    torch.manual_seed(0)
    module, sizes = RUN[name]
    for weight in module.parameters():
        nn.init.normal_(weight, std=0.5)
    captured = capture(part_of(module, *sizes), 18).graph
    rng = np.random.default_rng(0)
    batches = [rng.standard_normal((count, *sizes)).astype(np.float32) for count in (1, 2, 3)]
    with torch.no_grad():
        expected = [module(torch.from_numpy(x)).numpy() for x in batches]
    for opset in OPSETS:
        graph = finish(at_opset(copy.deepcopy(captured), opset), {})
        loaded = onnx.load_model_from_string(graph.data)
        assert [item.version for item in loaded.opset_import] == [opset]
        assert b".py" not in graph.data  # no traces of this machine, in branches neither
        used = {value for node in nodes_of(loaded.graph) for value in node.input}
        assert {item.name for item in loaded.graph.initializer} <= used
        session = onnxruntime.InferenceSession(graph.data, providers=["CPUExecutionProvider"])
        for x, y in zip(batches, expected, strict=True):
            np.testing.assert_allclose(
                session.run(None, {"x": x})[0], y, rtol=1e-4, atol=5e-6, err_msg=f"opset {opset}"
            )


@pytest.mark.shortened(3)
@pytest.mark.parametrize(
    ("module", "sizes", "opset", "text"),
    [
        (Of(grid), (2, 5, 5), 13, "opset 13 does not support this GridSample, at tests/graphs.py:"),
        (Of(grid), (2, 5, 5), 15, ": sample with F.interpolate, or with fixed weights"),
        (Of(grid), (2, 5, 5), 15, "without --target and with --opset 16 or newer"),
        (nn.Fold((4, 4), 2, stride=2), (8, 4), 17, "opset 17 does not support this Col2Im"),
        (nn.Fold((4, 4), 2, stride=2), (8, 4), 17, "write F.fold as nn.PixelShuffle"),
        (
            Of(lambda x: torch.zeros_like(x).scatter_reduce(1, x.argsort(1), x, "amax")),
            (4,),
            16,
            "as a product with a one-hot matrix; or, where the engine allows it, export without "
            "--target and with --opset 18 or newer",
        ),
        (
            Of(lambda x: F.interpolate(x, scale_factor=0.5, mode="bilinear", antialias=True)),
            (2, 6, 6),
            16,
            "opset 16 does not support this Resize, at tests/graphs.py:",
        ),
    ],
)  # fmt: skip
def test_what_an_opset_cannot_do_is_named_with_its_line(
    module: nn.Module, sizes: tuple[int, ...], opset: int, text: str
) -> None:
    part = part_of(module, *sizes)
    with pytest.raises(GraphError) as caught:
        capture(part, opset)
    assert text in str(caught.value)
    finish(capture(part, int(str(caught.value).split("--opset ")[1].split()[0])).graph, {})


MINE = """
from torch import nn
import torch

from aeonnx.models import Part, image, latent


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.network = nn.Sequential(
            nn.Conv2d(1, 4, 3, 2, 1, padding_mode="reflect"), nn.GroupNorm(2, 4), nn.SiLU(),
            nn.Flatten(), nn.Linear(64, 8),
        )

    def forward(self, x):
        mu, logvar = self.network(x).chunk(2, dim=1)
        return mu, logvar


class Shrinking(nn.Module):
    def forward(self, x):
        grid = x[:, 0, :, :, None].expand(-1, -1, -1, 2)
        return nn.functional.grid_sample(x, grid, align_corners=False)


class Mine(nn.Module):
    def __init__(self, last):
        super().__init__()
        torch.manual_seed(0)
        self.encoder = Encoder()
        self.decoder = nn.Sequential(
            nn.Linear(4, 64), nn.LayerNorm(64), nn.Unflatten(1, (4, 4, 4)),
            nn.Upsample(scale_factor=2, mode="bilinear"), nn.Conv2d(4, 1, 3, padding=1), last,
            nn.Sigmoid(),
        )

    def parts(self):
        x, mu, logvar = image("x", (1, 8, 8), "x"), latent("mu", 4, "mu"), latent("logvar", 4, "v")
        z, y = latent("z", 4, "latent"), image("reconstruction", (1, 8, 8), "y")
        return {
            "encoder": Part(self.encoder, (x,), (mu, logvar)),
            "decoder": Part(self.decoder, (z,), (y,)),
        }


def build():
    return Mine(nn.Identity())


def shrinking():
    return Mine(Shrinking())
"""


@pytest.mark.shortened(1)
@pytest.mark.parametrize(
    ("target", "opset"), [("tensorrt-8", 17), ("jetson-jp5", 16), ("opencv", 13)]
)
def test_targets_of_old_opsets_take_what_autoencoders_have(
    aeonnx: Callable[..., Result], target: str, opset: int
) -> None:
    Path("old_mine.py").write_text(MINE)
    result = aeonnx("export", "--from", "module:old_mine:build", "-o", "b", "--target", target)
    assert result.exit_code == 0, result.stderr
    graphs = [onnx.load(path) for path in Path("b").glob("*.onnx")]
    assert {graph.opset_import[0].version for graph in graphs} == {opset}


def test_a_target_that_cannot_is_not_told_to_take_a_newer_opset_alone(
    aeonnx: Callable[..., Result],
) -> None:
    Path("old_mine.py").write_text(MINE)
    command = ("export", "--from", "module:old_mine:shrinking", "--part", "decoder", "-o", "b")
    result = aeonnx(*command, "--target", "opencv")
    assert result.exit_code == 1, result.stderr
    told = " ".join(result.stderr.split())
    assert "decoder: opset 13 does not support this GridSample, at old_mine.py:24 (return" in told
    assert "export without --target and with --opset 16 or newer" in told
    assert not Path("b").exists()
    assert aeonnx(*command, "--opset", "16").exit_code == 0


@pytest.mark.parametrize("mode", ["reflect", "edge", "constant"])
def test_pads_of_some_axes_are_pads_of_all(mode: str) -> None:
    """torch writes pads of all axes; a model from elsewhere may have them of some."""
    ends = {"x": ["n", 2, 5, 6], "y": ["n", 2, 8, 9]}
    x, y = (onnx.helper.make_tensor_value_info(name, 1, shape) for name, shape in ends.items())
    numbers = {"pads": [1, 2, 2, 1], "axes": [2, 3]}
    stored = [onnx.numpy_helper.from_array(np.array(v), name) for name, v in numbers.items()]
    node = onnx.helper.make_node("Pad", ["x", "pads", "", "axes"], ["y"], mode=mode)
    graph = onnx.helper.make_graph([node], "g", [x], [y], stored)
    imports = [onnx.helper.make_opsetid("", 18)]
    model = onnx.helper.make_model(graph, opset_imports=imports, ir_version=8)
    given = np.random.default_rng(0).standard_normal((3, 2, 5, 6)).astype(np.float32)
    expected, found = (
        onnxruntime.InferenceSession(made.SerializeToString()).run(None, {"x": given})[0]
        for made in (model, at_opset(copy.deepcopy(model), 17))
    )
    assert expected.shape == (3, 2, 8, 9)
    np.testing.assert_array_equal(found, expected)
