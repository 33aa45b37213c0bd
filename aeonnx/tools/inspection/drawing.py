"""Boxes and their arrows as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from aeonnx.tools.inspection.boxes import Box
from aeonnx.tools.inspection.graph import Value
from aeonnx.tools.inspection.layout import Point, Size, lay_out

__all__ = ["draw", "shape_text"]

_LETTER = 7.3  # width of a letter, 12 px monospace
_LINE = 16.0
_PADDING = 10.0
_LONGEST = 34  # letters per line; longer lines are cut
_CAPTION = 18.0  # height of the shape below a box, where its arrows begin


def draw(boxes: Sequence[Box], title: str) -> str:
    """Draw boxes as one <svg> element, with inputs at the top and outputs at the bottom.

    The page sets the colours of its classes: "box" with "op-FAMILY", "edge", "op", "detail" and
    "size".

    Args:
        boxes: in topological order.
        title: text for screen readers.
    """
    makers = {value.name: index for index, box in enumerate(boxes) for value in box.gives}
    arrows = [
        (makers[name], index, name)
        for index, box in enumerate(boxes)
        for name in dict.fromkeys(box.takes)
        if name in makers
    ]
    sizes = [_size(box) for box in boxes]
    layout = lay_out(sizes, arrows)
    tails = [_tails(box, *place) for box, place in zip(boxes, layout.centres, strict=True)]
    points = [
        [(tails[start][name], _bottom(layout.centres[start], sizes[start]) + _CAPTION), *bends]
        for (start, _, name), bends in zip(arrows, layout.bends, strict=True)
    ]
    heads = _heads([end for _, end, _ in arrows], points, layout.centres, sizes)
    paths = _paths([name for *_, name in arrows], points, heads)
    labels = [
        _text(tails[index][value.name], _bottom(layout.centres[index], sizes[index]) + 14, value)
        for index, box in enumerate(boxes)
        for value in box.gives
    ]
    shapes = [
        _draw_box(box, place, size)
        for box, place, size in zip(boxes, layout.centres, sizes, strict=True)
    ]
    width, height = layout.size
    return (
        f'<svg width="{width + 4:.0f}" height="{height + 4:.0f}" '
        f'viewBox="-2 -2 {width + 4:.0f} {height + 4:.0f}" role="img">'
        f"<title>{escape(title)}</title>\n" + "\n".join([*paths, *shapes, *labels]) + "\n</svg>"
    )


def shape_text(value: Value) -> str:
    """The shape as text, after the dtype unless that is float32, the most common."""
    shape = "?" if value.shape is None else f"[{', '.join(str(size) for size in value.shape)}]"
    return shape if value.dtype in (None, "float32") else f"{value.dtype} {shape}"


def _size(box: Box) -> Size:
    longest = max(len(_cut(line)) for line in box.lines)
    below = sum(_label_width(value) for value in box.gives)
    return max(longest * _LETTER + 2 * _PADDING, below), len(box.lines) * _LINE + _PADDING


def _label_width(value: Value) -> float:
    return (len(_cut(shape_text(value))) + 1) * _LETTER


def _bottom(centre: Point, size: Size) -> float:
    return centre[1] + size[1] / 2


def _tails(box: Box, x: float, _: float) -> dict[str, float]:
    """x of the point where each tensor leaves its box: side by side, above its shape."""
    left = x - sum(_label_width(value) for value in box.gives) / 2
    tails = {}
    for value in box.gives:
        tails[value.name] = left + _label_width(value) / 2
        left += _label_width(value)
    return tails


def _heads(
    ends: Sequence[int],
    points: Sequence[Sequence[Point]],
    centres: Sequence[Point],
    sizes: Sequence[Size],
) -> list[Point]:
    """The point where each arrow arrives: side by side, ordered by where it comes from."""
    heads: dict[int, Point] = {}
    arriving: dict[int, list[int]] = {}
    for arrow in sorted(range(len(ends)), key=lambda arrow: (points[arrow][-1][0], arrow)):
        arriving.setdefault(ends[arrow], []).append(arrow)
    for box, arrows in arriving.items():
        (x, y), (width, height) = centres[box], sizes[box]
        step = width / (len(arrows) + 1)
        for place, arrow in enumerate(arrows, 1):
            heads[arrow] = (x - width / 2 + place * step, y - height / 2)
    return [heads[arrow] for arrow in range(len(ends))]


def _paths(
    names: Sequence[str], points: Sequence[Sequence[Point]], heads: Sequence[Point]
) -> list[str]:
    """Paths of the arrows; what arrows of one name have in common is drawn once."""
    shared: dict[str, int] = {}
    paths = []
    for name, line, head in zip(names, points, heads, strict=True):
        drawn = shared.get(name, 0)
        paths.append(_path([*line[min(drawn, len(line) - 1) :], head]))
        shared[name] = max(drawn, len(line) - 1)
    return paths


def _path(points: Sequence[Point]) -> str:
    # Between layers, a curve that starts and ends vertically; through a layer, a straight line.
    (x, y), *rest = points
    words = [f"M{x:.1f} {y:.1f}"]
    for index, (to_x, to_y) in enumerate(rest):
        middle = (y + to_y) / 2
        curve = f"C{x:.1f} {middle:.1f} {to_x:.1f} {middle:.1f} {to_x:.1f} {to_y:.1f}"
        words.append(f"V{to_y:.1f}" if index % 2 else curve)
        x, y = to_x, to_y
    head = f"M{x - 4:.1f} {y - 7:.1f}L{x:.1f} {y:.1f}L{x + 4:.1f} {y - 7:.1f}"
    return f'<path class="edge" d="{" ".join(words)}{head}"/>'


def _text(x: float, y: float, value: Value) -> str:
    return f'<text class="size" x="{x:.1f}" y="{y:.1f}">{escape(_cut(shape_text(value)))}</text>'


def _draw_box(box: Box, centre: Point, size: Size) -> str:
    (x, y), (width, height) = centre, size
    top = y - height / 2
    radius = height / 2 if box.family == "end" else 7
    lines = "".join(
        f'<text class="{"detail" if index else "op"}" x="{x:.1f}" '
        f'y="{top + 17 + index * _LINE:.1f}">{escape(_cut(line))}</text>'
        for index, line in enumerate(box.lines)
    )
    return (
        f'<g class="box op-{box.family}"><title>{escape(box.hint)}</title>'
        f'<rect x="{x - width / 2:.1f}" y="{top:.1f}" width="{width:.1f}" height="{height:.1f}" '
        f'rx="{radius:.1f}"/>{lines}</g>'
    )


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
