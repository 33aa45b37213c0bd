"""What `aeonnx inspect` prints: the manifest as tables, or the nodes of a graph."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from aeonnx._util.text import printable
from aeonnx.bundle import Manifest, manifest, summary
from aeonnx.cli.tables import new_console, print_json, say, show, table_of

if TYPE_CHECKING:
    from aeonnx.tools.inspection import Graph, Node, Value

__all__ = ["print_graph", "print_manifest", "print_page"]


def print_manifest(folder: Path, contents: Manifest, *, as_json: bool) -> None:
    """Print the manifest as tables, or as JSON."""
    if as_json:
        print_json(json.loads(manifest.serialize(contents)))
        return
    console = new_console()
    training = summary.training_facts(contents.training) if contents.training else {}
    facts = {"bundle": str(folder), **summary.facts(contents), **training}
    for name, fact in facts.items():
        console.print(printable(f"{name:<11}{fact}"), soft_wrap=True)
    for content in summary.tables(contents).values():
        console.print()
        show(console, content)


def print_graph(part: str, variant: str, graph: Graph, *, as_json: bool) -> None:
    """Print the nodes, the initializers and the totals of a graph."""
    if as_json:
        print_json({"part": part, "variant": variant, **graph.to_json()})
        return
    say(f"{part} ({variant}): {_listed(graph.inputs)} -> {_listed(graph.outputs)}")
    print()
    for node in graph.nodes:
        for line in _node_lines(node):
            say(line)
    print()
    initializers = table_of("initializer", "dtype and shape", "parameters", "bytes")
    for item in graph.initializers:
        shape = f"{item.dtype} {list(item.shape)}"
        initializers.add_row(item.name, shape, f"{item.parameters:,}", f"{item.bytes:,}")
    initializers.add_row("total", "", f"{graph.parameters:,}", f"{graph.bytes:,}")
    new_console().print(initializers)
    ops = ", ".join(f"{op} {count}" for op, count in graph.ops.items())
    print()
    say(f"{len(graph.nodes)} nodes: {ops}")


def print_page(target: Path, size: int, *, as_json: bool) -> None:
    """Print the path and the size of the page."""
    if as_json:
        print_json({"output": str(target), "bytes": size})
    else:
        say(f"{target}: {size:,} bytes")


def _node_lines(node: Node) -> tuple[str, str]:
    attributes = "".join(f"  {name}={value}" for name, value in node.attributes.items())
    head = f"{node.index:>3}  {node.op}  {node.name}{attributes}".rstrip()
    return head, f"       {_listed(node.inputs)} -> {_listed(node.outputs)}"


def _listed(values: Iterable[Value]) -> str:
    return ", ".join(map(str, values))
