from __future__ import annotations

from types import ModuleType
from typing import Any

import onnx
import onnx.parser
import pytest
import torch
from torch import Tensor, nn

from aeonnx import models
from aeonnx.bundle import TensorSpec
from aeonnx.errors import GraphError, UsageError
from aeonnx.exporting.capture import graph as graph_module
from aeonnx.exporting.capture.graph import build_graph, finish
from aeonnx.exporting.capture.program import Captured, capture
from aeonnx.exporting.opsets import MIN_ONNXRUNTIME, check_opset
from aeonnx.models import Part

IR = {13: 7, 14: 7, 15: 8, 16: 8, 17: 8, 18: 8, 19: 9, 20: 9, 21: 10, 22: 10}
X = TensorSpec("x", ("batch", 4))
Y = TensorSpec("y", ("batch", 4))


def part_of(model: str = "vae", arch: str = "conv", name: str = "decoder") -> Part:
    torch.manual_seed(0)
    return models.build(models.configure(model, arch, (1, 28, 28))).eval().parts()[name]


@pytest.mark.shortened(4)
@pytest.mark.parametrize("opset", sorted(IR))
@pytest.mark.parametrize("name", ["encoder", "decoder"])
def test_opset_is_the_one_asked_for_with_its_lowest_ir(name: str, opset: int) -> None:
    graph = build_graph(part_of(name=name), opset, {})
    loaded = onnx.load_model_from_string(graph.data)
    assert [(item.domain, item.version) for item in loaded.opset_import] == [("", opset)]
    assert loaded.ir_version == graph.ir_version == IR[opset]
    onnx.checker.check_model(loaded, full_check=True)


def test_opsets_out_of_range_are_refused() -> None:
    assert set(MIN_ONNXRUNTIME) == set(IR)
    for opset in (12, 23):
        with pytest.raises(UsageError, match=f"--opset: expected 13 to 22, got {opset}"):
            check_opset(opset)


def test_graph_carries_no_trace_of_this_machine() -> None:
    graph = build_graph(part_of(), 18, {"aeonnx.part": "decoder"})
    loaded = onnx.load_model_from_string(graph.data)
    assert b"site-packages" not in graph.data
    assert b"forward" not in graph.data
    assert [(item.key, item.value) for item in loaded.metadata_props] == [
        ("aeonnx.part", "decoder")
    ]
    assert not any(node.metadata_props or node.doc_string for node in loaded.graph.node)
    assert not loaded.graph.value_info
    assert not any(item.external_data for item in loaded.graph.initializer)


def test_same_part_same_bytes() -> None:
    assert build_graph(part_of(), 18, {}).data == build_graph(part_of(), 18, {}).data


def test_only_the_batch_is_dynamic() -> None:
    loaded = onnx.load_model_from_string(build_graph(part_of(), 18, {}).data)
    for value in (*loaded.graph.input, *loaded.graph.output):
        first, *rest = value.type.tensor_type.shape.dim
        assert first.dim_param == "batch"
        assert all(size.dim_value > 0 for size in rest)


class Noisy(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + torch.randn_like(x)


class Dropping(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.dropout(x, 0.5, training=True)


class Branching(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x if float(x.sum()) > 0 else -x


@pytest.mark.parametrize("module", [Noisy(), Dropping()])
def test_random_nodes_are_named_and_refused(module: nn.Module) -> None:
    with pytest.raises(GraphError, match=r"is random: a graph must be a function of its inputs"):
        build_graph(Part(module, (X,), (Y,)), 18, {})


@pytest.mark.parametrize(
    ("node", "text"),
    [
        (("BatchNormalization", {"training_mode": 1}), "is in training mode: call eval"),
        (("RandomUniformLike", {}), "is random"),
        (("Gelu", {"domain": "com.microsoft"}), "is not a standard operator"),
    ],
)
def test_forbidden_nodes_are_named(
    monkeypatch: pytest.MonkeyPatch, node: tuple[str, dict[str, Any]], text: str
) -> None:
    def captured(part: Part, opset: int) -> Captured:
        made = capture(part, opset)
        op_type, attributes = node
        made.graph.graph.node.append(
            onnx.helper.make_node(op_type, ["z"], ["w"], name="bad_one", **attributes)
        )
        return made

    monkeypatch.setattr(graph_module, "capture", captured)
    with pytest.raises(GraphError, match=f"breaks a rule of the bundle: bad_one .*{text}"):
        build_graph(part_of(), 18, {})


def test_whatever_the_onnx_checker_raises_is_a_graph_error() -> None:
    """A name that is not UTF-8 is an error of Python's, not of onnx's."""
    text = '<ir_version: 8, opset_import: ["" : 18]> g (float[1] x) => (float[1] y) { y = Odd(x) }'
    data = onnx.parser.parse_model(text).SerializeToString().replace(b"Odd", b"\xc7dd")
    with pytest.raises(GraphError, match=r"the onnx checker rejects the graph: 'utf-8' codec"):
        finish(onnx.load_model_from_string(data), {})


def test_what_torch_cannot_capture_is_said() -> None:
    with pytest.raises(GraphError, match="torch cannot capture this part as a graph"):
        build_graph(Part(Branching(), (X,), (Y,)), 18, {})


def test_the_module_is_left_as_it_was() -> None:
    part = part_of()
    part.module.train()
    before = {name: value.clone() for name, value in part.module.state_dict().items()}
    build_graph(part, 18, {})
    assert part.module.training
    assert all(torch.equal(before[name], v) for name, v in part.module.state_dict().items())


@pytest.mark.parametrize("exporter", [torch.onnx, torch.export], ids=lambda item: item.__name__)
def test_ctrl_c_that_an_exporter_made_an_error_of(
    monkeypatch: pytest.MonkeyPatch, exporter: ModuleType
) -> None:
    def exporting(*_: Any, **__: Any) -> None:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt:
            raise RuntimeError("a pass failed")  # noqa: B904  # as C++ bindings do

    monkeypatch.setattr(exporter, "export", exporting)
    with pytest.raises(KeyboardInterrupt):
        build_graph(part_of(), 18, {})
