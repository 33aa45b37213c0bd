"""Run a captured part up to some of its tensors, on as many rows at once as memory allows."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, fx, nn
from torch._ops import HigherOrderOperator
from torch.export import ExportedProgram
from torch.utils.flop_counter import FlopCounterMode

from aeonnx.bundle import has_rows
from aeonnx.exporting.capture.program import steps_of
from aeonnx.exporting.verify.nodes import hint, subgraph, symbols
from aeonnx.models import Part

__all__ = ["DoesNotRunError", "Measure", "Prefix", "Traced"]

_MEMORY = 512 * 2**20  # bytes for all tensors of the rows that run together
_PER_ELEMENT = 12  # bytes: float32 forward, saved for the backward pass, and its gradient
_FLOPS_PER_ELEMENT = 20  # time of pointwise operators, as an equivalent number of FLOPs

_DECOMPOSED = (torch.ops.aten.glu.default,)  # its gate is a sigmoid

Measure = Callable[[tuple[Tensor, ...], int], list[Tensor]]
"""(tensors, batch) -> measures of them, each [batch, ...]."""


class DoesNotRunError(Exception):
    """The captured graph fails on these inputs."""


class Traced:
    """The functional ATen graph of a part with `glu` decomposed, and the cost of one row.

    Args:
        part: the part that the program was captured from.
        program: the captured program; not changed, parameters are shared.
        given: rows of each input, which may be larger than those of the capture.
    """

    def __init__(self, part: Part, program: ExportedProgram, given: Sequence[Tensor]) -> None:
        self.module: fx.GraphModule = _functional(program).module(check_guards=False)
        _freeze(self.module)
        places = [node for node in self.module.graph.nodes if node.op == "placeholder"]
        self.whole = [not has_rows(part, spec) for spec in part.inputs]
        self._first = self.whole.index(False)
        first = places[self._first].meta["val"].shape[0]
        self.batch_size = hint(first)
        self.fixed = not symbols(first)
        self.batch: object = next(iter(symbols(first)), self.batch_size)
        row = given[self._first][0].numel()
        # Size of one given row, in traced batches.
        self._scale = row / max(_elements(places[self._first]), 1.0)
        self.elements = self.elements_of(self.module)

    def rows(self, inputs: Sequence[Tensor]) -> int:
        """Number of rows of the inputs."""
        return len(inputs[self._first])

    def select_rows(self, inputs: Sequence[Tensor], rows: Tensor) -> list[Tensor]:
        """Some rows; inputs without a batch axis are returned as they are."""
        return [x if whole else x[rows] for x, whole in zip(inputs, self.whole, strict=True)]

    def prefix(self, wanted: Sequence[fx.Node]) -> Prefix:
        """The subgraph up to some nodes."""
        graph = subgraph(self.module, wanted)
        return Prefix(graph, self, self.elements_of(graph))

    def elements_of(self, graph: fx.GraphModule) -> float:
        """Elements of all tensors that one row needs."""
        return self._scale * sum(_elements(node) for node in graph.graph.nodes)


class Prefix:
    """Maps inputs of a part to tensors inside it.

    Args:
        graph: outputs these tensors as a tuple.
        traced: the whole graph that it was taken from.
        elements: elements of all its tensors, for one row.
    """

    def __init__(self, graph: fx.GraphModule, traced: Traced, elements: float) -> None:
        self._graph = graph
        self._traced = traced
        self.share = elements / max(traced.elements, 1.0)
        self.at_once = max(1, int(_MEMORY / (_PER_ELEMENT * max(elements, 1.0))))

    def over(self, inputs: Sequence[Tensor], measure: Measure) -> list[Tensor]:
        """The measures of all rows; in batches of the traced size if the graph runs no other.

        Raises:
            DoesNotRunError: the graph does not run at the traced size either.
        """
        if not self._traced.fixed:
            try:
                return self._one(inputs, measure)
            except DoesNotRunError:
                self._traced.fixed = True
        rows, size = self._traced.rows(inputs), self._traced.batch_size
        pieces = []
        for start in range(0, rows, size):
            places = torch.arange(start, start + size).clamp(max=rows - 1)
            pieces.append(self._one(self._traced.select_rows(inputs, places), measure))
        return [torch.cat(items)[:rows] for items in zip(*pieces, strict=True)]

    def flops(self, inputs: Sequence[Tensor], measure: Measure) -> tuple[float, Tensor]:
        """Floating-point operations per row, counted in a run, and the first of the measures."""
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            found = self.over(inputs, measure)
        elements = _FLOPS_PER_ELEMENT * self._traced.elements * self.share
        return counter.get_total_flops() / self._traced.rows(inputs) + elements, found[0]

    def _one(self, inputs: Sequence[Tensor], measure: Measure) -> list[Tensor]:
        try:
            return measure(self._graph(*inputs), self._traced.rows(inputs))
        except Exception as error:  # whatever the operators of any module raise
            raise DoesNotRunError from error


def _functional(program: ExportedProgram) -> ExportedProgram:
    """The program without subgraphs, operators that change a tensor in place, and `glu`."""
    if not any(_needs_decomposition(step.target) for step in steps_of(program)):
        return program  # the same result, without a third of a second of torch's
    known = torch.export.default_decompositions()
    flat: ExportedProgram = program.run_decompositions({key: known[key] for key in _DECOMPOSED})
    return flat


def _needs_decomposition(target: object) -> bool:
    if isinstance(target, HigherOrderOperator):  # runs a subgraph, such as that of no_grad
        return True
    schema = getattr(target, "_schema", None)
    return target in _DECOMPOSED or (schema is not None and bool(schema.is_mutable))


def _freeze(module: nn.Module) -> None:
    """Replace parameters by ones without gradients, of the same storage."""
    for item in module.modules():
        for name, value in list(item.named_parameters(recurse=False)):
            setattr(item, name, nn.Parameter(value.detach(), requires_grad=False))


def _elements(node: fx.Node) -> float:
    value = node.meta.get("val")
    values = value if isinstance(value, tuple | list) else [value]
    if node.op == "get_attr":
        return 0.0
    return float(
        sum(math.prod(hint(size) for size in v.shape) for v in values if isinstance(v, Tensor))
    )
