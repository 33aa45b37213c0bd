"""Checks the bytes of an ONNX file before any engine parses them.

It walks the protobuf wire format field by field, down to tensors, and skips their values. Standard
library only, no protobuf.
"""

from __future__ import annotations

from collections.abc import Iterator

from aeonnx._util.text import printable
from aeonnx.errors import GraphError, IntegrityError

__all__ = ["check_graph"]

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_LARGEST_TAG = 2**32 - 1
_DOMAINS = (b"", b"ai.onnx")
_SUBGRAPH_OPS = (b"If", b"Loop", b"Scan", b"SequenceMap")

# Field numbers in onnx.proto.
_MODEL_GRAPH, _MODEL_OPSET, _MODEL_TRAINING, _MODEL_FUNCTIONS = 7, 8, 20, 25
_OPSET_DOMAIN = 1
_GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_SPARSE = 1, 5, 15
_NODE_OP, _NODE_ATTRIBUTE, _NODE_DOMAIN = 4, 5, 7
_ATTRIBUTE_TENSORS, _ATTRIBUTE_GRAPHS, _ATTRIBUTE_SPARSE = (5, 10), (6, 11), (22, 23)
_ATTRIBUTE_TYPE = 20
_TENSOR_EXTERNAL, _TENSOR_LOCATION = 13, 14

_MODEL = (_MODEL_GRAPH, _MODEL_OPSET, _MODEL_TRAINING, _MODEL_FUNCTIONS)
_GRAPH = (_GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_SPARSE)
_NODE = (_NODE_OP, _NODE_ATTRIBUTE, _NODE_DOMAIN)
_ATTRIBUTE = (*_ATTRIBUTE_TENSORS, *_ATTRIBUTE_GRAPHS, *_ATTRIBUTE_SPARSE)

_GRAPH_TYPES, _SPARSE_TYPES = (5, 10), (11, 12)
"""Values of `AttributeProto.type` for graphs and for sparse tensors."""

Span = tuple[int, int]
"""Offsets of the first byte of a field's content and of the byte after its last."""


class _BrokenError(Exception):
    """The bytes are not a valid ONNX file; the argument says why."""


class _ForbiddenError(Exception):
    """The graph has content that a bundle must not have; the argument names it."""


def check_graph(data: bytes, name: str) -> None:
    """Check that a graph needs only itself and ONNX's own operators, and must terminate.

    Args:
        data: content of an ONNX file.
        name: of the file, for messages.

    Raises:
        IntegrityError: it is not an ONNX graph.
        GraphError: it has subgraphs (which could loop forever), functions, training information,
            external or sparse weights, or operators of other domains.
    """
    try:
        _check_model(data)
    except _BrokenError as error:
        raise IntegrityError(
            f"{name} is not an ONNX graph: {error}. Export the bundle again."
        ) from None
    except _ForbiddenError as error:
        raise GraphError(f"{name}: a bundle never holds {error}") from None


def _check_model(data: bytes) -> None:
    graphs = 0
    for number, start, end in _fields(data, (0, len(data)), _MODEL):
        if number == _MODEL_GRAPH:
            graphs += 1
            _check_graph(data, (start, end))
        elif number == _MODEL_OPSET:
            for _, first, last in _fields(data, (start, end), (_OPSET_DOMAIN,)):
                _check_domain(data[first:last])
        elif number == _MODEL_TRAINING:
            raise _ForbiddenError("training information")
        else:
            raise _ForbiddenError("functions")
    if not graphs:
        raise _BrokenError("it holds none")


def _check_graph(data: bytes, span: Span) -> None:
    for number, start, end in _fields(data, span, _GRAPH):
        if number == _GRAPH_NODE:
            _check_node(data, (start, end))
        elif number == _GRAPH_INITIALIZER:
            _check_tensor(data, (start, end))
        else:
            raise _ForbiddenError("sparse weights")


def _check_node(data: bytes, span: Span) -> None:
    op, attributes = b"", []
    for number, start, end in _fields(data, span, _NODE):
        if number == _NODE_ATTRIBUTE:
            attributes.append((start, end))
        elif number == _NODE_OP:
            op = data[start:end]
        else:
            _check_domain(data[start:end])
    if op in _SUBGRAPH_OPS:
        raise _ForbiddenError(f"a subgraph ({_text(op)})")
    for attribute in attributes:
        _check_attribute(data, attribute, op)


def _check_attribute(data: bytes, span: Span, op: bytes) -> None:
    for number, start, end in _fields(data, span, _ATTRIBUTE, (_ATTRIBUTE_TYPE,)):
        kind = data[start] if number == _ATTRIBUTE_TYPE else None
        if number in _ATTRIBUTE_TENSORS:
            _check_tensor(data, (start, end))
        elif number in _ATTRIBUTE_GRAPHS or kind in _GRAPH_TYPES:
            raise _ForbiddenError(f"a subgraph ({_text(op)})")
        elif number in _ATTRIBUTE_SPARSE or kind in _SPARSE_TYPES:
            raise _ForbiddenError("sparse weights")


def _check_tensor(data: bytes, span: Span) -> None:
    for number, start, _ in _fields(data, span, (_TENSOR_EXTERNAL,), (_TENSOR_LOCATION,)):
        if number == _TENSOR_EXTERNAL or data[start] != 0:
            raise _ForbiddenError("weights in other files")


def _check_domain(domain: bytes) -> None:
    if domain not in _DOMAINS:
        raise _ForbiddenError(f'operators of the domain "{_text(domain)}"')


def _text(name: bytes) -> str:
    return printable(name[:40].decode(errors="replace"))


def _fields(
    data: bytes, span: Span, messages: tuple[int, ...], numbers: tuple[int, ...] = ()
) -> Iterator[tuple[int, int, int]]:
    """Iterate over the given fields of a protobuf message: (field number, start, end).

    Args:
        data: the whole file.
        span: offsets of the message in it.
        messages: numbers of fields that must be length-delimited: strings, bytes or messages.
        numbers: numbers of fields that must be varints.

    Raises:
        _BrokenError: the message is not valid protobuf.
    """
    at, end = span
    while at < end:
        tag = data[at]
        at += 1
        if tag > 0x7F:
            tag, at = _varint(data, at - 1, end)
            if tag > _LARGEST_TAG:  # some parsers would use the low bits only
                raise _BrokenError(f"a field of number {tag >> 3} before byte {at}")
        number, kind = tag >> 3, tag & 7
        if kind == _BYTES:
            # Most lengths have one byte: decoding it here avoids a function call.
            if at < end and data[at] < 0x80:
                length, start = data[at], at + 1
            else:
                length, start = _varint(data, at, end)
            at = start + length
        elif kind == _VARINT:
            start = at
            while at < end and data[at] > 0x7F:
                at += 1
            at += 1
            if at - start > 10:
                raise _BrokenError(f"a number of more than 10 bytes at byte {start}")
        elif kind in (_FIXED64, _FIXED32):
            start = at
            at += 8 if kind == _FIXED64 else 4
        else:
            raise _BrokenError(f"wire type {kind} at byte {at}")
        if at > end:
            raise _BrokenError(f"a field ends beyond the {end} bytes that hold it, at byte {start}")
        if number == 0:
            raise _BrokenError(f"a field without a number at byte {start}")
        if number in messages:
            if kind != _BYTES:
                raise _BrokenError(f"wire type {kind} in field {number} at byte {start}")
            yield number, start, at
        elif number in numbers:
            if kind != _VARINT:
                raise _BrokenError(f"wire type {kind} in field {number} at byte {start}")
            yield number, start, at


def _varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while at < end:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise _BrokenError(f"a number of more than 10 bytes before byte {at}")
    raise _BrokenError(f"it is cut at byte {at}")
