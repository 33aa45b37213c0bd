"""One part -> the bytes of one ONNX graph that keeps the bundle's rules."""

from __future__ import annotations

import copy
import io
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass

import onnx
import onnx.checker
import onnx.helper
import onnx.numpy_helper
import onnx.version_converter
import torch
from onnx import ModelProto, NodeProto

from aeonnx.errors import GraphError
from aeonnx.export.detached import DetachedData
from aeonnx.export.opsets import DEFAULT_OPSET, MIN_ONNXRUNTIME
from aeonnx.manifest import BATCH, TensorSpec
from aeonnx.models import Part

__all__ = ["Graph", "build_graph", "captured", "finish"]

_CAPTURE_OPSET = 18  # the exporter's own; every other is converted from it
_LOWEST_CONVERTER_OPSET = 15

_MULTIPLIES_WORDS = "1.21"  # the first with Mul of uint64, which only graphs with shifts do

_RANDOM_OPS = {
    "Bernoulli",
    "Dropout",
    "Multinomial",
    "RandomNormal",
    "RandomNormalLike",
    "RandomUniform",
    "RandomUniformLike",
}


@dataclass(frozen=True)
class Graph:
    """An ONNX file.

    Args:
        data: its bytes.
        opset: version of its operator set.
        ir_version: version of the file format, the lowest that carries the opset.
        min_onnxruntime: lowest release that runs it, such as "1.14".
    """

    data: bytes
    opset: int
    ir_version: int
    min_onnxruntime: str


def build_graph(part: Part, opset: int, metadata: Mapping[str, str]) -> Graph:
    """The graph of a part: one file, only `batch` dynamic, no traces of this machine.

    The same part, opset and metadata give the same bytes.

    Args:
        part: its module is not changed.
        opset: 13 to 22.
        metadata: what the graph says of itself.

    Raises:
        GraphError: the part cannot be captured, or the graph breaks a rule.
    """
    return finish(captured(part, opset), metadata)


def captured(part: Part, opset: int) -> ModelProto:
    """The part as a graph that is not checked yet; see `build_graph`.

    Raises:
        GraphError: the part cannot be captured.
    """
    graph = _capture(part)
    _strip(graph)
    return _convert(graph, opset)


def finish(graph: ModelProto, metadata: Mapping[str, str]) -> Graph:
    """The file of a graph, which says of itself what `metadata` does.

    Raises:
        GraphError: it breaks a rule of the bundle.
    """
    del graph.metadata_props[:]
    for key, value in sorted(metadata.items()):
        graph.metadata_props.add(key=key, value=value)
    _check(graph)
    opset = graph.opset_import[0].version
    data = graph.SerializeToString(deterministic=True)
    return Graph(data, opset, graph.ir_version, _lowest_release(graph))


def _lowest_release(graph: ModelProto) -> str:
    releases = [MIN_ONNXRUNTIME[graph.opset_import[0].version]]
    if any(node.op_type == "BitShift" for node in graph.graph.node):
        releases.append(_MULTIPLIES_WORDS)
    return max(releases, key=lambda release: tuple(map(int, release.split("."))))


def _capture(part: Part) -> ModelProto:
    # A batch of 2, because 0 and 1 are special to the capture, on a copy, because it marks modules.
    module = copy.deepcopy(part.module).cpu().eval()
    example = tuple(_example(spec) for spec in part.inputs)
    shapes = tuple(
        {axis: torch.export.Dim(BATCH) for axis, size in enumerate(spec.shape) if size == BATCH}
        for spec in part.inputs
    )
    try:
        with _quiet(), DetachedData():
            program = torch.onnx.export(
                module,
                example,
                dynamo=True,
                input_names=[spec.name for spec in part.inputs],
                output_names=[spec.name for spec in part.outputs],
                dynamic_shapes=shapes,
                opset_version=_CAPTURE_OPSET,
                external_data=False,
                verbose=False,
            )
    except Exception as error:  # the exporter raises whatever it meets on its way
        _require_no_interrupt(error)
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise GraphError(f"torch cannot capture this part as a graph: {reason}") from error
    return program.model_proto  # type: ignore[union-attr]  # dynamo=True returns a program


def _require_no_interrupt(error: BaseException) -> None:
    """Raise KeyboardInterrupt if it is what an error of the exporter was made of."""
    met: BaseException | None = error
    while met is not None:
        if isinstance(met, KeyboardInterrupt):
            raise KeyboardInterrupt from error
        met = met.__cause__ or met.__context__


def _example(spec: TensorSpec) -> torch.Tensor:
    shape = [2 if size == BATCH else int(size) for size in spec.shape]
    low, high = spec.range or (-1.0, 1.0)
    return torch.linspace(low, high, torch.Size(shape).numel()).reshape(shape)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's progress lines and its advice to exporter developers."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _strip(graph: ModelProto) -> None:
    """Remove stack traces, paths and stale shapes, and what older opsets do not know."""
    graph.producer_name, graph.producer_version = "aeonnx", ""
    del graph.metadata_props[:]
    # Stale: onnxruntime's quantizer fails on them.
    del graph.graph.value_info[:]
    del graph.graph.metadata_props[:]
    constants = {tensor.name: tensor for tensor in graph.graph.initializer}
    for value in [*graph.graph.input, *graph.graph.output]:
        del value.metadata_props[:]
    for node in graph.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
        if node.op_type == "Reshape" and node.input[1] in constants:
            sizes = onnx.numpy_helper.to_array(constants[node.input[1]])
            if (sizes != 0).all():  # then the attribute, new in opset 14, says nothing
                _drop(node, "allowzero")
        if node.op_type.startswith("Reduce") and len(node.input) > 1:
            _drop(node, "noop_with_empty_axes")  # new in opset 18; the axes are not empty


def _drop(node: NodeProto, attribute: str) -> None:
    kept = [item for item in node.attribute if item.name != attribute]
    del node.attribute[:]
    node.attribute.extend(kept)


def _convert(graph: ModelProto, opset: int) -> ModelProto:
    if opset != _CAPTURE_OPSET:
        # The converter has no way from 15 down to 13, where most operators only lost dtypes: the
        # graph is stamped, and the checker refuses it if an operator is not as it was.
        target = max(opset, _LOWEST_CONVERTER_OPSET)
        try:
            graph = onnx.version_converter.convert_version(graph, target)
        except Exception as error:  # the C++ converter's own types
            raise GraphError(
                f"this part cannot be written at opset {opset}: {str(error).splitlines()[0]} "
                f"Use --opset {DEFAULT_OPSET}"
            ) from error
        del graph.graph.value_info[:]
        graph.opset_import[0].version = opset
    graph.ir_version = onnx.helper.find_min_ir_version_for(list(graph.opset_import))
    return graph


def _check(graph: ModelProto) -> None:
    problems = [problem for node in graph.graph.node if (problem := _forbidden(node))]
    domains = sorted({item.domain for item in graph.opset_import} - {""})
    if domains or graph.functions:
        problems.append(f"operators outside the standard domain: {domains or 'functions'}")
    if problems:
        raise GraphError(f"the graph breaks a rule of the bundle: {'; '.join(problems)}")
    try:
        onnx.checker.check_model(graph, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise GraphError(f"the onnx checker refuses the graph: {error}") from error


def _forbidden(node: NodeProto) -> str | None:
    if node.op_type in _RANDOM_OPS:
        return f"{node.name} ({node.op_type}) is random: a graph must be a function of its inputs"
    training = any(item.name == "training_mode" and item.i for item in node.attribute)
    if training:
        return f"{node.name} ({node.op_type}) is in training mode: call eval() on the module"
    if node.domain:
        return f"{node.name} ({node.domain}::{node.op_type}) is not a standard operator"
    return None
