"""Graphs and modules that stop while they are compared: the report is kept."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx.helper
import onnx.numpy_helper
import pytest
from click.testing import Result
from onnx import ModelProto

from aeonnx.errors import ParityError
from aeonnx.exporting import ExportOptions, export
from aeonnx.exporting import parts as export_parts
from aeonnx.exporting.capture.program import Captured
from aeonnx.models import Part
from tests.exporting.theirs import THEIRS

Maker = Callable[..., Path]


def with_few_rows(graph: ModelProto) -> ModelProto:
    """As of a table with a row for each of five: the graph stops at more."""
    changed = ModelProto()
    changed.CopyFrom(graph)
    name = changed.graph.input[0].name
    rank = len(changed.graph.input[0].type.tensor_type.shape.dim)
    for node in changed.graph.node:
        node.input[:] = ["looked_up" if item == name else item for item in node.input]
    constants = {
        "table": np.zeros((5, *[1] * (rank - 1)), np.float32),
        "none": np.array(0),
        "one": np.array(1),
    }
    changed.graph.initializer.extend(
        onnx.numpy_helper.from_array(value, key) for key, value in constants.items()
    )
    nodes = [
        onnx.helper.make_node("Shape", [name], ["sizes"]),
        onnx.helper.make_node("Gather", ["sizes", "none"], ["rows"]),
        onnx.helper.make_node("Range", ["none", "rows", "one"], ["places"]),
        onnx.helper.make_node("Gather", ["table", "places"], ["found"]),
        onnx.helper.make_node("Add", [name, "found"], ["looked_up"]),
    ]
    for place, node in enumerate(nodes):
        changed.graph.node.insert(place, node)
    return changed


@pytest.mark.shortened(1)
@pytest.mark.parametrize(
    ("broken", "parts"), [("decoder", ("encoder", "sampler")), ("encoder", ("encoder",))]
)
def test_a_graph_that_stops_is_a_failure_with_a_report(
    run_of: Maker,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    broken: str,
    parts: tuple[str, ...],
) -> None:
    right = export_parts.capture

    def capture(part: Part, opset: int) -> Captured:
        captured = right(part, opset)
        names = [spec.name for spec in part.outputs]
        wanted = {"decoder": ["reconstruction"], "encoder": ["mu", "logvar"]}[broken]
        here = names == wanted and (broken == "encoder" or part.inputs[0].name == "z")
        return replace(captured, graph=with_few_rows(captured.graph)) if here else captured

    monkeypatch.setattr(export_parts, "capture", capture)
    options = ExportOptions("vae", tmp_path / "b", run_of(), parts, io=("uint8",))
    with pytest.raises(ParityError) as caught:
        export(options)
    said = str(caught.value)
    assert said.startswith("graph and torch differ, nothing was written:\n  ")
    assert f"\n  {broken} (fp32): {broken}." in said
    assert "failed on inputs" in said
    assert caught.value.exit_code == 3
    assert not (tmp_path / "b").exists()


def test_a_module_that_stops_at_more_rows_is_told_with_its_line(
    aeonnx: Callable[..., Result],
) -> None:
    code = (
        "def few():\n    table = torch.zeros(5, 1, 8, 8)\n"
        "    return Theirs(end=lambda y: y + table[torch.arange(len(y))])"
    )
    Path("theirs.py").write_text(f"{THEIRS}\n{code}\n")
    sys.modules.pop("theirs", None)
    result = aeonnx("export", "--from", "module:theirs:few", "-o", "b", "--part", "decoder")
    sys.modules.pop("theirs", None)
    assert result.exit_code == 1, result.stderr
    assert (
        "decoder: its module, called on more rows, raised IndexError: index 5 is " in result.stderr
    )
    assert "return Theirs(end=lambda y: y + table[torch.arange(len(y))])" in result.stderr
    assert not Path("b").exists()
