"""Layout of a directed acyclic graph: layers from top to bottom, edges around the boxes.

The layered method of Sugiyama, Tagawa and Toda (1981): layers by longest path, order within each
layer by barycentres, which leaves few crossings, and positions near the mean of the neighbours.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

__all__ = ["Layout", "Point", "Size", "lay_out"]

GAP_X = 20.0
GAP_Y = 50.0
_SWEEPS = 8

Point = tuple[float, float]
Size = tuple[float, float]
Edge = tuple[int, int, str]
Neighbours = dict[int, list[int]]


@dataclass(frozen=True)
class Layout:
    """Positions, in the units of the sizes, with (0, 0) at the top left.

    Args:
        centres: centre of each box.
        bends: for each edge, the points between its two boxes, from top to bottom.
        size: width and height of the whole drawing.
    """

    centres: tuple[Point, ...]
    bends: tuple[tuple[Point, ...], ...]
    size: Size


def lay_out(sizes: Sequence[Size], edges: Sequence[Edge]) -> Layout:
    """Place boxes and edges. The result is deterministic.

    Args:
        sizes: width and height of each box.
        edges: (from, to, name) with indices of boxes, from < to. Edges of the same name have the
            same start and share their path as far as possible.
    """
    layer = _layers(len(sizes), edges)
    widths = [width for width, _ in sizes]
    # In each layer that an edge crosses, its name gets a position of its own, of width 0.
    lanes: dict[str, list[int]] = {}
    chains: list[list[int]] = []
    for start, end, name in edges:
        lane = lanes.setdefault(name, [start])
        span = layer[end] - layer[start]
        for level in range(layer[start] + len(lane), layer[end]):
            lane.append(len(layer))
            layer.append(level)
            widths.append(0.0)
        chains.append([*lane[:span], end])
    above: Neighbours = defaultdict(list)
    below: Neighbours = defaultdict(list)
    for upper, lower in sorted({pair for chain in chains for pair in pairwise(chain)}):
        above[lower].append(upper)
        below[upper].append(lower)
    rows = _ordered(layer, above, below)
    xs = _placed(rows, widths, above, below)
    tops, heights = _heights(rows, sizes)
    centres = [(xs[i], tops[layer[i]] + heights[layer[i]] / 2) for i in range(len(sizes))]
    bends = [
        tuple(
            (xs[i], y)
            for i in chain[1:-1]
            for y in (tops[layer[i]], tops[layer[i]] + heights[layer[i]])
        )
        for chain in chains
    ]
    right = max((xs[i] + widths[i] / 2 for i in range(len(layer))), default=0.0)
    bottom = tops[-1] + heights[-1] if rows else 0.0
    return Layout(tuple(centres), tuple(bends), (right, bottom))


def _layers(count: int, edges: Sequence[Edge]) -> list[int]:
    layer = [0] * count
    before, after = defaultdict(list), defaultdict(list)
    for start, end, _ in edges:
        before[end].append(start)
        after[start].append(end)
    for box in range(count):
        layer[box] = max((layer[other] + 1 for other in before[box]), default=0)
    for box in reversed(range(count)):
        if not before[box] and after[box]:  # a box without inputs goes next to its first use
            layer[box] = min(layer[other] for other in after[box]) - 1
    return layer


def _ordered(layer: Sequence[int], above: Neighbours, below: Neighbours) -> list[list[int]]:
    rows: list[list[int]] = [[] for _ in range(max(layer, default=-1) + 1)]
    for item, level in enumerate(layer):
        rows[level].append(item)
    for sweep in range(_SWEEPS):
        place = {item: float(index) for row in rows for index, item in enumerate(row)}
        near = below if sweep % 2 else above
        for row in reversed(rows) if sweep % 2 else rows:
            row.sort(key=lambda item: _mean(place, near[item], item))
            place |= {item: float(index) for index, item in enumerate(row)}
    return rows


def _placed(
    rows: Sequence[Sequence[int]], widths: Sequence[float], above: Neighbours, below: Neighbours
) -> dict[int, float]:
    xs = {item: 0.0 for row in rows for item in row}
    for sweep in range(_SWEEPS + 1):
        near = below if sweep % 2 else above
        for row in reversed(rows) if sweep % 2 else rows:
            wished = [_mean(xs, near[item], item) for item in row]
            xs |= zip(row, _spread(wished, [widths[item] for item in row]), strict=True)
    left = min((xs[item] - widths[item] / 2 for item in xs), default=0.0)
    return {item: x - left for item, x in xs.items()}


def _mean(value: dict[int, float], items: Sequence[int], itself: int) -> float:
    return sum(value[item] for item in items) / len(items) if items else value[itself]


def _spread(wished: Sequence[float], widths: Sequence[float]) -> list[float]:
    """The positions nearest to `wished`, by least squares, that keep the order without overlap.

    With the widths subtracted, the positions only have to be non-decreasing: isotonic regression,
    solved by pooling adjacent violators.
    """
    offsets = [0.0]
    for left, right in pairwise(widths):
        offsets.append(offsets[-1] + (left + right) / 2 + GAP_X)
    pools: list[tuple[float, int]] = []  # mean and count
    for wish, offset in zip(wished, offsets, strict=False):
        mean, count = wish - offset, 1
        while pools and pools[-1][0] > mean:
            other, size = pools.pop()
            mean, count = (mean * count + other * size) / (count + size), count + size
        pools.append((mean, count))
    flat = [mean for mean, count in pools for _ in range(count)]
    return [mean + offset for mean, offset in zip(flat, offsets, strict=False)]


def _heights(
    rows: Iterable[Sequence[int]], sizes: Sequence[Size]
) -> tuple[list[float], list[float]]:
    tops, heights, top = [], [], 0.0
    for row in rows:
        height = max((sizes[item][1] for item in row if item < len(sizes)), default=0.0)
        tops.append(top)
        heights.append(height)
        top += height + GAP_Y
    return tops, heights
