"""A bundle as one self-contained HTML page, without network access or scripts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from importlib import resources
from pathlib import Path
from string import Template

from aeonnx._util import files
from aeonnx.bundle import Manifest, manifest, summary
from aeonnx.bundle.summary import Table
from aeonnx.tools.inspection.boxes import FAMILIES, OTHER, boxes_of, node_boxes
from aeonnx.tools.inspection.drawing import draw
from aeonnx.tools.inspection.graph import Graph, summarize
from aeonnx.tools.inspection.pictures import Picture, pictures_of

__all__ = ["write_page"]

_OPEN = 40  # a drawing of up to so many boxes is shown unfolded

Found = tuple[str, str, Graph]
"""Part, variant and graph."""


def write_page(folder: Path, target: Path, *, force: bool = False) -> int:
    """Write the page of a bundle; the same bundle results in the same bytes.

    Args:
        folder: the bundle's folder.
        target: path of the .html file.
        force: replace `target` if it exists.

    Returns:
        Size of the page in bytes.

    Raises:
        BundleError: there is no bundle at `folder`, or its manifest is damaged.
        IntegrityError: a file is missing or differs from what the manifest records.
        OutputError: `target` exists and `force` is not set, or cannot be written.
    """
    files.refuse_existing(target, force=force)
    contents = manifest.read(folder)
    graphs = [
        (part, precision, summarize(folder, variant))
        for part, variants in contents.parts.items()
        for precision, variant in variants.items()
    ]
    # JSON can contain lone surrogates, which UTF-8 cannot encode.
    page = _page(contents, graphs, pictures_of(folder, contents)).encode(errors="replace")
    files.write_atomic(target, page)
    return len(page)


def _page(contents: Manifest, graphs: Sequence[Found], pictures: Sequence[Picture]) -> str:
    training, thresholds = contents.training, summary.thresholds(contents)
    quality, activations = summary.quality(contents), summary.activations(contents)
    sections = {
        "Pictures": _row(_figure(picture) for picture in pictures),
        "Bundle": _facts(summary.facts(contents)),
        "Training": _facts(summary.training_facts(training)) if training else "",
        "Graphs": _table(summary.graph_files(contents)),
        "Parity with torch": _table(summary.parity(contents)),
        "Activations": _table(activations) if activations.rows else "",
        "Quality": _table(quality) if quality.rows else "",
        "Thresholds": _table(thresholds) if thresholds.rows else "",
        "Tensors": _table(summary.tensors(contents)),
        "Drawings": _keys(graphs) + _row(_drawing(*found) for found in graphs),
    }
    template = resources.files("aeonnx.tools.inspection").joinpath("page.html").read_text("utf-8")
    return Template(template).substitute(
        title=escape(f"{contents.model} ({contents.arch})"),
        body="\n".join(
            f"<section>\n<h2>{name}</h2>\n{html}\n</section>"
            for name, html in sections.items()
            if html
        ),
    )


def _facts(facts: dict[str, str]) -> str:
    items = (f"<dt>{escape(name)}</dt><dd>{escape(fact)}</dd>" for name, fact in facts.items())
    return "<dl>\n" + "\n".join(items) + "\n</dl>"


def _table(table: Table) -> str:
    kinds = [' class="number"' if name in summary.NUMERIC else "" for name in table.head]
    rows = "\n".join(_table_row("td", kinds, row) for row in table.rows)
    head = _table_row("th", kinds, table.head)
    return f'<div class="scroll"><table>\n{head}\n{rows}\n</table></div>'


def _table_row(tag: str, kinds: Sequence[str], cells: Sequence[str]) -> str:
    texts = (
        f"<{tag}{kind}>{escape(cell)}</{tag}>" for kind, cell in zip(kinds, cells, strict=True)
    )
    return f"<tr>{''.join(texts)}</tr>"


def _row(items: Iterable[str]) -> str:
    inner = "\n".join(items)
    return f'<div class="row">\n{inner}\n</div>' if inner else ""


def _figure(picture: Picture) -> str:
    caption = escape(picture.caption)
    return (
        f'<figure><img src="{picture.uri}" width="{picture.width}" height="{picture.height}" '
        f'alt="{caption}"><figcaption>{caption}</figcaption></figure>'
    )


def _keys(graphs: Sequence[Found]) -> str:
    """The legend: the colours of the families that occur in the drawings."""
    used = {box.family for *_, graph in graphs for box in node_boxes(graph)}
    names = [name for name in (*FAMILIES, OTHER) if name in used]
    return f'<p class="keys">{" ".join(_key(name) for name in names)}</p>\n'


def _key(family: str) -> str:
    return f'<span class="key op-{family}">{family}</span>'


def _drawing(part: str, precision: str, graph: Graph) -> str:
    title = f"{part}, {precision}"
    boxes, runs = boxes_of(graph)
    ops = ", ".join(f"{op} {count}" for op, count in graph.ops.items())
    folded = (
        _details(run, _scrolled(draw(inside, f"{title}, {run}"))) for run, inside in runs.items()
    )
    inner = (
        f'<p class="quiet">{graph.parameters:,} parameters in {graph.bytes:,} bytes; '
        f"{len(graph.nodes)} nodes: {escape(ops)}</p>\n{_scrolled(draw(boxes, title))}"
    )
    is_open = len(boxes) <= _OPEN
    return _details(title, "\n".join((inner, *folded)), is_open=is_open)


def _scrolled(svg: str) -> str:
    return f'<div class="drawing">{svg}</div>'


def _details(title: str, inner: str, *, is_open: bool = False) -> str:
    opened = " open" if is_open else ""
    return f"<details{opened}><summary>{escape(title)}</summary>\n{inner}\n</details>"
