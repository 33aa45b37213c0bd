"""Graphs and modules that stop while they are compared: the report is kept."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx.helper
import onnx.numpy_helper
import pytest
from click.testing import Result
from onnx import ModelProto

from aeonnx.errors import ParityError
from aeonnx.export import ExportOptions, export, proven
from aeonnx.models import Part
from tests.export.test_outside_outputs import THEIRS

Maker = Callable[..., Path]


def with_a_fixed_batch(graph: ModelProto) -> ModelProto:
    """As exporters freeze the batch that they traced: the graph stops at any other."""
    changed = ModelProto()
    changed.CopyFrom(graph)
    name = changed.graph.input[0].name
    for node in changed.graph.node:
        node.input[:] = ["frozen" if item == name else item for item in node.input]
    sizes = [2, *(d.dim_value for d in changed.graph.input[0].type.tensor_type.shape.dim[1:])]
    changed.graph.initializer.append(onnx.numpy_helper.from_array(np.array(sizes), "sizes"))
    node = onnx.helper.make_node("Reshape", [name, "sizes"], ["frozen"])
    changed.graph.node.insert(0, node)
    return changed


@pytest.mark.parametrize(
    ("broken", "parts", "told"),
    [
        ("decoder", (), ["decoder (fp32): "]),
        ("decoder", ("encoder", "sampler"), ["decoder (fp32): "]),
        ("encoder", (), ["encoder (fp32): "]),
    ],
)
def test_a_graph_that_stops_is_a_failure_with_a_report(
    run_of: Maker,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    broken: str,
    parts: tuple[str, ...],
    told: list[str],
) -> None:
    captured = proven.captured

    def capture(part: Part, opset: int) -> ModelProto:
        graph = captured(part, opset)
        names = [spec.name for spec in part.outputs]
        wanted = {"decoder": ["reconstruction"], "encoder": ["mu", "logvar"]}[broken]
        here = names == wanted and (broken == "encoder" or part.inputs[0].name == "z")
        return with_a_fixed_batch(graph) if here else graph

    monkeypatch.setattr(proven, "captured", capture)
    options = ExportOptions("vae", tmp_path / "b", run_of(), parts, io=("uint8",))
    with pytest.raises(ParityError) as caught:
        export(options)
    said = str(caught.value)
    assert said.startswith("graph and torch differ, nothing was written:\n  ")
    for text in told:
        assert text in said
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
    result = aeonnx("export", "--from-module", "theirs:few", "-o", "b", "--part", "decoder")
    sys.modules.pop("theirs", None)
    assert result.exit_code == 1, result.stderr
    assert (
        "decoder: its module, called on more rows, raised IndexError: index 5 is " in result.stderr
    )
    assert "return Theirs(end=lambda y: y + table[torch.arange(len(y))])" in result.stderr
    assert not Path("b").exists()
