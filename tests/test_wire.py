"""What a bundle never holds is told from a graph's bytes, before an engine sees them."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from google.protobuf.message import DecodeError
from onnx import AttributeProto, ModelProto, TensorProto, helper, numpy_helper

from aeonnx.bundle.graph_bytes import check_graph
from aeonnx.errors import AeonnxError, GraphError, IntegrityError
from tests.hostile.sound import sound
from tests.runtime.mutate import other_bytes

BODY = helper.make_graph([], "body", [], [])
OUTSIDE = TensorProto(name="w", data_type=1, dims=[1], data_location=TensorProto.EXTERNAL)
NAMED = TensorProto(name="w", data_type=1, dims=[1], raw_data=bytes(4))
NAMED.external_data.add(key="location", value="secret.bin")


@pytest.fixture(scope="module")
def graph() -> bytes:
    return sound(Path(), Path()).graphs["decoder"]


def first(found: ModelProto) -> onnx.NodeProto:
    return found.graph.node[0]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda m: setattr(first(m), "op_type", "Loop"), "a subgraph (Loop)"),
        (lambda m: setattr(first(m), "op_type", "SequenceMap"), "a subgraph (SequenceMap)"),
        (
            lambda m: first(m).attribute.append(helper.make_attribute("then", BODY)),
            "a subgraph (MatMul)",
        ),
        (
            lambda m: first(m).attribute.append(helper.make_attribute("all", [BODY, BODY])),
            "a subgraph (MatMul)",
        ),
        (
            lambda m: first(m).attribute.add(name="x", type=AttributeProto.GRAPH),
            "a subgraph (MatMul)",
        ),
        (
            lambda m: first(m).attribute.add(name="x", type=AttributeProto.SPARSE_TENSORS),
            "sparse weights",
        ),
        (lambda m: setattr(first(m), "domain", "x\x1b[2J"), r'operators of the domain "x\x1b[2J"'),
        (
            lambda m: m.opset_import.append(helper.make_opsetid("com.microsoft", 1)),
            'operators of the domain "com.microsoft"',
        ),
        (lambda m: m.functions.add(name="f"), "functions"),
        (lambda m: m.training_info.add(), "training information"),
        (lambda m: m.graph.sparse_initializer.add(), "sparse weights"),
        (lambda m: m.graph.initializer.append(OUTSIDE), "weights in other files"),
        (lambda m: m.graph.initializer.append(NAMED), "weights in other files"),
        (
            lambda m: first(m).attribute.append(helper.make_attribute("value", OUTSIDE)),
            "weights in other files",
        ),
        (
            lambda m: first(m).attribute.append(
                helper.make_attribute("values", [NAMED], attr_type=AttributeProto.TENSORS)
            ),
            "weights in other files",
        ),
    ],
)
def test_what_a_bundle_never_holds_is_refused(
    graph: bytes, change: Callable[[ModelProto], object], reason: str
) -> None:
    made = onnx.load_from_string(graph)
    change(made)
    data = made.SerializeToString()
    with pytest.raises(GraphError) as e:
        check_graph(data, "decoder.onnx")
    assert str(e.value) == f"decoder.onnx: a bundle never holds {reason}"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "it holds none"),
        (b"\x3a", "it is cut at byte 1"),
        (b"\x3a\x05\x00", "a field ends beyond the 3 bytes that hold it, at byte 2"),
        (b"\x3a\xff\xff\xff\xff\x0f", "a field ends beyond the 6 bytes that hold it, at byte 6"),
        (b"\x3a" + b"\xff" * 11, "a number of more than 10 bytes before byte"),
        (b"\x38\x01", "wire type 0 in field 7 at byte 1"),
        (b"\x3b\x3c", "wire type 3 at byte 1"),
        (b"\x3a\x02\x08\x01", "wire type 0 in field 1 at byte 3"),
        (b"\x08" + b"\x80" * 11, "a number of more than 10 bytes at byte 1"),
        (b"\x09\x00", "a field ends beyond the 2 bytes that hold it, at byte 1"),
        (b"\x02\x00", "a field without a number at byte 2"),
        (b"\xba\x80\x80\x80\x10\x00", "a field of number 536870919 before byte 5"),
        (b"not a graph", "wire type 6 at byte 1"),
    ],
)
def test_bytes_that_are_no_graph_are_refused(data: bytes, reason: str) -> None:
    with pytest.raises(IntegrityError) as e:
        check_graph(data, "x.onnx")
    assert str(e.value).startswith(f"x.onnx is not an ONNX graph: {reason}")


def test_2000_mutated_graphs_are_refused_in_words_or_hold_nothing_forbidden() -> None:
    """What passes and is a graph for onnx too holds none of it, says onnx."""
    graphs = sorted(sound(Path(), Path()).graphs.values())
    passed, said = 0, list[str]()
    for seed in range(2000):
        rng = random.Random(seed)
        whole = rng.choice(graphs)
        data = other_bytes(rng, whole, range(len(whole)))
        try:
            check_graph(data, "x.onnx")
        except AeonnxError as error:
            said.append(str(error))
            continue
        try:
            found = onnx.load_from_string(data)
        except DecodeError:
            continue
        passed += 1
        assert not found.functions
        assert {item.domain for item in found.opset_import} <= {"", "ai.onnx"}
        for item in found.graph.node:
            assert item.domain in ("", "ai.onnx")
            assert all(not a.HasField("g") and not a.graphs for a in item.attribute)
        assert all(not tensor.external_data for tensor in found.graph.initializer)
    assert passed > 300
    assert len(said) > 1000
    assert all(text.isprintable() for text in said)


def test_weights_cost_no_time(graph: bytes) -> None:
    """A hundred megabytes are skipped, and each node takes microseconds."""
    made = onnx.load_from_string(graph)
    made.graph.initializer.append(numpy_helper.from_array(np.zeros(25 * 10**6, np.float32), "w"))
    large = made.SerializeToString()
    began = time.perf_counter()
    check_graph(large, "x.onnx")
    assert time.perf_counter() - began < 0.05
