"""An original part whose output is uint8: its values are levels of pixels, not codes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from click.testing import Result
from onnx import helper
from torch import Tensor, nn

from aeonnx import load
from aeonnx.bundle import TensorSpec
from aeonnx.exporting import variants
from aeonnx.exporting.verify.quality import LIMITS
from aeonnx.models import Part
from aeonnx.runtime import verify

Cli = Callable[..., Result]


class Painter(nn.Module):
    """x [n, 6] -> levels [n, 1, 8, 8] from 0 to 255."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Linear(6, 96), nn.Tanh(), nn.Linear(96, 64))

    def forward(self, x: Tensor) -> Tensor:
        shares = torch.sigmoid(4 * self.layers(x)).reshape(-1, 1, 8, 8)
        return (255 * shares + 0.5).floor().to(torch.uint8)

    def parts(self) -> dict[str, Part]:
        x = TensorSpec("x", ("batch", 6), range=(-1.0, 1.0), kind="vector")
        levels = TensorSpec("levels", ("batch", 1, 8, 8), "uint8", (0.0, 255.0), kind="image")
        return {"decoder": Part(self, (x,), (levels,))}


def painter() -> nn.Module:
    return Painter()


@pytest.fixture
def painted(aeonnx: Cli, tmp_path: Path) -> Callable[[str], Result]:
    """Exports the painter in fp32 and another precision."""
    rows = np.random.default_rng(0).uniform(-1, 1, (400, 6)).astype(np.float32)
    np.save(tmp_path / "rows.npy", rows)
    return lambda precision: aeonnx(
        "export", "-m", "painter", "--from", f"module:{__name__}:painter", "-o", "b",
        "--calibration", tmp_path / "rows.npy", "--precision", precision,
    )  # fmt: skip


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_levels_are_measured_as_images(painted: Callable[[str], Result], precision: str) -> None:
    """Most values differ by a level in int8; their distance counts, and not their number."""
    result = painted(precision)
    assert result.exit_code == 0, result.stderr
    bundle = load("b", precision=precision)
    form = bundle.variant("decoder", precision)
    assert [item.metric for item in form.quality["levels"]] == ["snr"]
    (golden,) = form.golden
    expected = bundle.read_golden(golden.outputs["levels"])
    z = bundle.read_golden(golden.inputs["x"])
    got = bundle.run("decoder", x=z)["levels"]
    assert got.dtype == np.uint8
    assert np.abs(got.astype(int) - expected).max() > 0
    spread = np.sqrt(expected.astype(float).var(0).mean())
    for tolerance in golden.outputs["levels"].tolerance:
        assert tolerance == pytest.approx(1 + 16 * LIMITS[precision].noise * spread, rel=0.2)
    assert verify(bundle).passed


def moved(graph: onnx.ModelProto, levels: float) -> onnx.ModelProto:
    """The graph with a number added to the values that are rounded to levels."""
    (floor,) = (node for node in graph.graph.node if node.op_type == "Floor")
    types = {
        value.name: value.type.tensor_type.elem_type
        for value in onnx.shape_inference.infer_shapes(graph).graph.value_info
    }
    number = helper.make_tensor("moved.by", types[floor.input[0]], [], [levels])
    graph.graph.initializer.append(number)
    at = [*graph.graph.node].index(floor)
    graph.graph.node.insert(at, helper.make_node("Add", [floor.input[0], "moved.by"], ["moved"]))
    floor.input[0] = "moved"
    return graph


@pytest.mark.parametrize(
    ("precision", "levels"), [pytest.param("fp16", 2.0, marks=pytest.mark.slow), ("int8", 20.0)]
)
def test_moved_levels_are_refused(
    painted: Callable[[str], Result],
    monkeypatch: pytest.MonkeyPatch,
    precision: str,
    levels: float,
) -> None:
    real = variants.in_precision
    monkeypatch.setattr(
        variants,
        "in_precision",
        lambda *given: [replace(form, graph=moved(form.graph, levels)) for form in real(*given)],
    )
    result = painted(precision)
    assert result.exit_code == 3, result.stderr
    assert f"decoder in {precision}: levels has a signal-to-noise ratio of" in result.stderr
    assert not Path("b").exists()
