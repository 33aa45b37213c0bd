"""A bundle as one self-contained HTML page that loads nothing from a network and runs no script."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from importlib import resources
from pathlib import Path
from string import Template

from aeonnx._util import files
from aeonnx.bundle import Manifest, manifest, summary
from aeonnx.bundle.summary import Table
from aeonnx.tools.inspection.graph import Graph, Node, summarize
from aeonnx.tools.inspection.pictures import Picture, pictures_of

__all__ = ["write_page"]

_LONG = ("inputs", "outputs", "attributes")  # columns with a line for each item

# Netron is a viewer for graphs of any size; drawing them here would take a layout engine.
_NETRON = """<p class="quiet">To see a graph drawn, open its .onnx file with
<a href="https://netron.app" rel="noreferrer">Netron</a>: drop the file on that page, which opens it
in your browser without uploading it, or run <code>pip install netron</code> and then
<code>netron -b FILE</code> in the bundle's folder, with the name of a file below.</p>"""

NamedGraph = tuple[str, str, str, Graph]
"""Part, variant, file and graph."""


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
        (part, name, variant.file, summarize(folder, variant))
        for part, variants in contents.parts.items()
        for name, variant in variants.items()
    ]
    # JSON can contain lone surrogates, which UTF-8 cannot encode.
    page = _page(contents, graphs, pictures_of(folder, contents)).encode(errors="replace")
    files.write_atomic(target, page)
    return len(page)


def _page(contents: Manifest, graphs: Sequence[NamedGraph], pictures: Sequence[Picture]) -> str:
    training = contents.training
    sections = {
        "Pictures": _row(_figure(picture) for picture in pictures),
        "Bundle": _facts(summary.facts(contents)),
        "Training": _facts(summary.training_facts(training)) if training else "",
        **{title: _table(table) for title, table in summary.tables(contents).items()},
        "Nodes": "\n".join([_NETRON, *(_graph(*named) for named in graphs)]),
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
    kinds = [_column_class(name) for name in table.head]
    rows = "\n".join(_table_row("td", kinds, row) for row in table.rows)
    head = _table_row("th", kinds, table.head)
    return f'<div class="scroll"><table>\n{head}\n{rows}\n</table></div>'


def _column_class(name: str) -> str:
    if name in summary.NUMERIC:
        return ' class="number"'
    return ' class="long"' if name in _LONG else ""


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


def _graph(part: str, variant: str, file: str, graph: Graph) -> str:
    ops = ", ".join(f"{op} {count}" for op, count in graph.ops.items())
    counts = f"{graph.parameters:,} parameters in {graph.bytes:,} bytes; {len(graph.nodes)} nodes"
    return (
        f"<details><summary>{escape(f'{part}, {variant}: {file}')}</summary>\n"
        f'<p class="quiet">{counts}: {escape(ops)}</p>\n'
        f"{_facts({'inputs': _lines(graph.inputs), 'outputs': _lines(graph.outputs)})}\n"
        f"{_table(_nodes(graph.nodes))}\n</details>"
    )


def _nodes(nodes: Iterable[Node]) -> Table:
    rows = (
        (
            str(node.index),
            node.op,
            node.name,
            _lines(node.inputs),
            _lines(node.outputs),
            _lines(f"{name}={value}" for name, value in node.attributes.items()),
        )
        for node in nodes
    )
    return Table(("", "operator", "node", "inputs", "outputs", "attributes"), tuple(rows))


def _lines(items: Iterable[object]) -> str:
    return "\n".join(map(str, items))
