"""How many rows a part is compared on: all of them, or few where a row takes long.

Comparing a row takes some 20 forward passes: float64 is slower than float32, and simulated rounding
slower than that. The number of rows follows from the counted operations of one row, not from a
clock, so that the same part is always compared on the same rows.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from aeonnx.bundle import nearest
from aeonnx.exporting.determinism.state import restored_globals
from aeonnx.exporting.sizes import at_sizes, other_sizes, usual_sizes
from aeonnx.exporting.sources.outputs import examples
from aeonnx.models import Part
from aeonnx.runtime.interface import batch_of

__all__ = ["BATCHES", "FULL", "Comparison", "Effort", "comparisons", "effort_of", "thorough_of"]

BATCHES = (1, 2, 3, 7, 32)

_BUDGET = 1e12  # multiply-adds for the comparison at one size: some minutes on two cores at most
_PER_ROW = 20.0  # cost of comparing a row, in forward passes
_PER_ELEMENT = 10.0  # time of an element of a pointwise operator, in multiply-adds
_FEWEST = 2  # rows: one alone, and both in a batch
_ENOUGH = 64  # rows for a thorough comparison
_MEMORY = 1.5 * 2**30  # bytes for the largest operator in float64
_BYTES = 24.0  # per element: float64, a copy for the simulation, and its noise


@dataclass(frozen=True)
class Effort:
    """How thoroughly a part is compared at one size.

    Args:
        rows: most rows.
        at_once: most rows that run together in float64.
        draws: samples of rounding errors for a row.
        edge_draws: the same for edge rows, which are too few to measure the floor with 2.
        batches: batch sizes, ascending; the last one takes all rows.
    """

    rows: int = 2**31
    at_once: int = 32
    draws: int = 2
    edge_draws: int = 8
    batches: tuple[int, ...] = BATCHES


FULL = Effort()
"""The effort for parts whose rows take little time."""


@dataclass(frozen=True)
class Comparison:
    """A comparison of a part with its graph at one size.

    Args:
        sizes: of the dynamic axes, without that of rows.
        effort: how thoroughly.
        thorough: whether all kinds of rows are compared here, not only a few; the rows that
            activate units are searched for at these sizes.
    """

    sizes: Mapping[str, int]
    effort: Effort
    thorough: bool = False

    def at_batch(self, size: int) -> Comparison:
        """The same at one batch size, in float64 too: another batch may take another branch."""
        return replace(self, effort=replace(self.effort, batches=(size,), at_once=size))


def comparisons(part: Part) -> list[Comparison]:
    """The sizes at which a part is compared: first the usual ones, exactly one thoroughly.

    That is at the usual sizes, or, if rows of these take too long, at smaller ones.
    """
    usual = usual_sizes(part)
    first = effort_of(at_sizes(part, usual))
    sizes, effort = usual, first
    while effort.rows < _ENOUGH:
        smaller = {name: nearest(part.axes[name], size // 2) for name, size in sizes.items()}
        if smaller == sizes:
            break
        sizes, effort = smaller, effort_of(at_sizes(part, smaller))
    found = [Comparison(usual, first, thorough=sizes == usual)]
    if sizes != usual:
        found.append(Comparison(sizes, effort, thorough=True))
    others = [item for item in other_sizes(part) if item != sizes]
    return found + [Comparison(item, effort_of(at_sizes(part, item))) for item in others]


def thorough_of(plan: Sequence[Comparison]) -> Comparison:
    """The comparison of a plan that covers all kinds of rows."""
    return next(item for item in plan if item.thorough)


def effort_of(part: Part) -> Effort:
    """The effort that the cost of one row allows.

    Args:
        part: with fixed sizes; its module is run once, on a copy.
    """
    rows = batch_of(part) or 1
    module = copy.deepcopy(part.module).cpu().eval()
    elements = _Elements()
    with (
        restored_globals(module),
        torch.no_grad(),
        sdpa_kernel(SDPBackend.MATH),
        FlopCounterMode(display=False) as flops,
        elements,
    ):
        module(*examples(part, rows).values())
    cost = (flops.get_total_flops() / 2 + _PER_ELEMENT * elements.total) / rows
    count = int(_BUDGET / (_PER_ROW * max(cost, 1.0)))
    at_once = min(FULL.at_once, max(1, int(_MEMORY * rows / (_BYTES * max(elements.largest, 1.0)))))
    if count >= _ENOUGH:
        return Effort(count, at_once)
    return Effort(max(count, _FEWEST), at_once, draws=1, edge_draws=2)


class _Elements(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch has none here
    """Counts the elements of results, and of the largest operator with what it reads."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.total, self.largest = 0.0, 0.0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        made, read = _count(result), _count((args, kwargs))
        columns = 0.0
        if func.overloadpacket is torch.ops.aten.convolution:
            # float64 has no kernel that works in place: patches of the input become columns.
            columns = made * args[1].numel() / max(args[1].shape[0], 1) ** 2
        self.total += made
        self.largest = max(self.largest, made + read + columns)
        return result


def _count(values: Any) -> float:
    leaves = torch.utils._pytree.tree_leaves(values)
    return float(sum(item.numel() for item in leaves if isinstance(item, Tensor)))
