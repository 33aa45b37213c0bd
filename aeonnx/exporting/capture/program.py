"""Capture a part as a torch.export program and as the ONNX graph of that program.

The program is kept together with the graph, so that verification can run it operator by operator
with `torch.fx.Interpreter` and inspect intermediate values.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import onnx
import torch
import torch.fx.experimental._config as fx_config
from onnx import ModelProto
from torch._subclasses.fake_tensor import FakeTensor
from torch.export import ExportedProgram

from aeonnx.bundle import BATCH, scaled
from aeonnx.errors import GraphError
from aeonnx.exporting.capture.detached import DetachedData
from aeonnx.exporting.capture.downgrade import at_opset
from aeonnx.exporting.capture.reasons import (
    LARGEST_BATCH,
    Where,
    data_attribute_reason,
    largest_batch,
    reason_of,
    where_in_program,
    where_of_node,
    where_of_step,
    where_specialised,
)
from aeonnx.exporting.capture.recurrent import sequences_of_any_length
from aeonnx.exporting.capture.torchlib import build_tables_once
from aeonnx.exporting.capture.translation import graphs_in, nodes_of, translated
from aeonnx.exporting.quiet import quiet
from aeonnx.exporting.sources.modules import plain
from aeonnx.exporting.sources.outputs import CAPTURED_ROWS, examples
from aeonnx.models import Part

__all__ = ["RANDOM", "Captured", "capture", "captured_up_to", "program_of", "steps_of"]

RANDOM = frozenset(
    {
        "Bernoulli",
        "Dropout",
        "Multinomial",
        "RandomNormal",
        "RandomNormalLike",
        "RandomUniform",
        "RandomUniformLike",
    }
)
"""ONNX operators with random results."""

_CASTS = (torch.ops.aten.to.dtype, torch.ops.aten._to_copy.default)


@dataclass(frozen=True)
class Captured:
    """A part as a torch program and as an ONNX graph.

    Args:
        program: ATen operators and weights; takes the part's inputs in order. It was captured at
            batch 2 (or the fixed batch) and runs at every batch size of the graph.
        graph: the same in ONNX, at the requested opset, not checked yet.
    """

    program: ExportedProgram
    graph: ModelProto


def capture(part: Part, opset: int) -> Captured:
    """Capture a part as a torch program and translate it to ONNX.

    Args:
        part: its module is not changed; check it with `require_exportable` first.
        opset: 13 to 22.

    Raises:
        GraphError: torch cannot capture the part, or the opset lacks one of its operators. The
            message has the reason and, where known, the line of the module and what to write
            instead.
    """
    program = program_of(part)
    try:
        with quiet(), sequences_of_any_length():
            graph = translated(program, part)
    except GraphError:
        raise
    except Exception as error:  # the exporter raises errors of many types
        _require_no_interrupt(error)
        raise GraphError(f"this part cannot be translated to ONNX: {reason_of(error)}") from error
    _require_no_chance(graph)
    graph = at_opset(graph, opset)
    _strip(graph.graph)
    graph.producer_name, graph.producer_version = "aeonnx", ""
    del graph.metadata_props[:]
    graph.ir_version = onnx.helper.find_min_ir_version_for(list(graph.opset_import))
    return Captured(program, graph)


def program_of(part: Part) -> ExportedProgram:
    """The torch program of a part, without translation to ONNX.

    Code that asks whether a batch is large, as in `if x.shape[0] >= 64`, is captured as it runs on
    small ones, see `captured_up_to`. The graph must then be compared above that size too: often
    both branches compute the same.

    Raises:
        GraphError: torch cannot capture the part, or it computes in bfloat16.
    """
    module = plain(part.module)
    try:
        program = _program(module, part)
    except GraphError as error:
        largest = largest_batch(error.__cause__)
        if largest is None:
            raise
        program = _program(module, part, largest)
    _require_real_constants(program)
    _require_no_bfloat16(program)
    return program


def captured_up_to(program: ExportedProgram) -> int | None:
    """The largest batch that is known to take the captured branch; None if every batch does."""
    rows: Any = next(
        value.shape[0]
        for node in program.graph.find_nodes(op="placeholder")
        if node.name in program.graph_signature.user_inputs
        and isinstance(value := node.meta.get("val"), torch.Tensor)
        and value.ndim
    )
    if isinstance(rows, int):
        return None
    most = program.range_constraints[rows.node.expr].upper
    return int(most) if most < LARGEST_BATCH else None


def steps_of(program: ExportedProgram) -> list[torch.fx.Node]:
    """The nodes of a program and of the subgraphs in it."""
    return [
        step
        for module in program.graph_module.modules()
        if isinstance(module, torch.fx.GraphModule)
        for step in module.graph.nodes
    ]


def _program(module: torch.nn.Module, part: Part, largest: int | None = None) -> ExportedProgram:
    """Trace the module; if that fails, analyse its Python bytecode (`strict=True`)."""
    try:
        with quiet():
            return _export(module, part, largest, strict=False)
    except Exception as error:
        _require_no_interrupt(error)
        first = error
    try:
        with quiet():
            return _export(module, part, largest, strict=True)
    except Exception as error:
        _require_no_interrupt(error)
    place = where_specialised(first, lambda: _export(module, part, largest, strict=False))
    reason = reason_of(first, place=place)
    raise GraphError(f"torch cannot capture this part as a graph: {reason}") from first


def _export(
    module: torch.nn.Module, part: Part, largest: int | None, *, strict: bool
) -> ExportedProgram:
    # Defer the module's assumptions about the batch size to run time: the comparison at several
    # batch sizes detects wrong ones. A module that fixes the batch size is refused, whereas
    # torch.onnx would silently export a graph of fixed batch size.
    patched = fx_config.patch(backed_size_oblivious=True)  # type: ignore[attr-defined]
    with patched, build_tables_once(), DetachedData(), sequences_of_any_length():
        return torch.export.export(
            module,
            tuple(examples(part, CAPTURED_ROWS).values()),
            dynamic_shapes=_dynamic_shapes(part, largest),
            strict=strict,
            prefer_deferred_runtime_asserts_over_guards=True,
        )


def _dynamic_shapes(part: Part, largest: int | None) -> tuple[dict[int, Any], ...]:
    """torch's dimensions of the inputs: multiples of one number for each axis."""
    numbers: dict[str, Any] = {}
    for name, axis in part.axes.items():
        if name == BATCH:
            numbers[name] = torch.export.Dim(BATCH, max=largest)
            continue
        most = None if axis.max is None else axis.max // axis.multiple
        root = name if axis.multiple == 1 else f"{name}_{axis.multiple}"
        numbers[name] = torch.export.Dim(root, min=axis.min // axis.multiple, max=most)

    def dimension(size: int | str) -> Any:
        scaled_axis = scaled(size)
        if scaled_axis is None:
            return None
        count = scaled_axis.at(part.axes[scaled_axis.axis].multiple)
        number = numbers[scaled_axis.axis]
        return number if count == 1 else count * number

    return tuple(
        {
            place: found
            for place, size in enumerate(spec.shape)
            if (found := dimension(size)) is not None
        }
        for spec in part.inputs
    )


def _require_real_constants(program: ExportedProgram) -> None:
    """Refuse a program in which a value computed during capture became a constant."""
    lost = [name for name, value in program.constants.items() if isinstance(value, FakeTensor)]
    if lost:
        place = where_in_program(program, lost)
        raise GraphError(
            f"torch cannot capture this part as a graph: {data_attribute_reason(place)}"
        )


def _require_no_bfloat16(program: ExportedProgram) -> None:
    """Refuse bfloat16 operators, which onnxruntime lacks, except casts."""
    for step in steps_of(program):
        value = step.meta.get("val")
        short = isinstance(value, torch.Tensor) and value.dtype == torch.bfloat16
        if short and step.op == "call_function" and step.target not in _CASTS:
            what = Where.told("onnxruntime lacks most operators in bfloat16", where_of_step(step))
            raise GraphError(
                f"{what}: compute in float32 in eval mode, without .bfloat16() and autocast; "
                "--precision fp16 makes a smaller graph"
            )


def _require_no_chance(graph: ModelProto) -> None:
    for node in nodes_of(graph.graph):
        if node.op_type in RANDOM:
            what = (
                f"{node.name} ({node.op_type}) is random: a graph must be a function of its inputs"
            )
            raise GraphError(
                f"{Where.told(what, where_of_node(node))}: make the noise an input of the part"
            )


def _require_no_interrupt(error: BaseException) -> None:
    """Raise KeyboardInterrupt if it caused the exporter's error."""
    met: BaseException | None = error
    while met is not None:
        if isinstance(met, KeyboardInterrupt):
            raise KeyboardInterrupt from error
        met = met.__cause__ or met.__context__


def _strip(graph: onnx.GraphProto) -> None:
    """Remove stack traces, paths and stale shapes, also in subgraphs."""
    del graph.value_info[:]  # stale: onnxruntime's quantizer fails on them
    del graph.metadata_props[:]
    for value in [*graph.input, *graph.output, *graph.initializer]:
        del value.metadata_props[:]
    for node in graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
        for inner in graphs_in(node):
            _strip(inner)
