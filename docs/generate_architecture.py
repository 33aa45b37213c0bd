"""Draw the import graph into docs/architecture.md; with --check, fail if it is not up to date."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import grimp

sys.path.insert(0, str(Path(__file__).parents[1]))  # this tree, whatever is installed

PAGE = Path(__file__).parent / "architecture.md"
BEGIN, END = "<!-- begin: made by make docs -->", "<!-- end -->"
PACKAGE = Path(__file__).parents[1] / "aeonnx"
DRAWN = ("aeonnx", "aeonnx.exporting", "aeonnx.training")
HIDDEN = ("aeonnx.errors", "aeonnx._util")  # which nearly all others import


def render(page: str) -> str:
    """The page with its drawings and tables made anew."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    graph = grimp.build_graph("aeonnx", exclude_type_checking_imports=True, cache_dir=None)
    parts = [BEGIN, "", _table(), ""]
    for package in DRAWN:
        parts += [f"### `{package}`", "", _drawing(graph, package), ""]
    return "\n".join([before + parts[0], *parts[1:], END]) + after


def _table() -> str:
    """Rooms and what they are for. No counts: they would be stale after every change."""
    lines = ["| room | what it is for |", "|---|---|"]
    for room in sorted(path for path in PACKAGE.iterdir() if (path / "__init__.py").exists()):
        about = ast.get_docstring(ast.parse((room / "__init__.py").read_text())) or ""
        first = about.split("\n\n")[0].replace("\n", " ")
        lines.append(f"| `{room.name}` | {first} |")
    return "\n".join(lines)


def _drawing(graph: grimp.ImportGraph, package: str) -> str:
    """The children of a package and which imports which, for Mermaid."""
    edges: set[tuple[str, str]] = set()
    for module in graph.modules:
        for imported in graph.find_modules_directly_imported_by(module):
            one, other = _child(module, package), _child(imported, package)
            if one and other and one != other and not {one, other} & {*HIDDEN}:
                edges.add((one, other))
    lines = [f"    {_name(one)} --> {_name(other)}" for one, other in sorted(edges)]
    return "\n".join(["```mermaid", "flowchart TD", *lines, "```"])


def _child(module: str, package: str) -> str | None:
    """The child of `package` that a module is or lies in; None outside, and for the package."""
    if not module.startswith(f"{package}."):
        return None
    return f"{package}.{module.removeprefix(f'{package}.').partition('.')[0]}"


def _name(module: str) -> str:
    return module.rpartition(".")[2].strip("_")


if __name__ == "__main__":
    made = render(PAGE.read_text())
    if "--check" in sys.argv:
        sys.exit(0 if PAGE.read_text() == made else f"{PAGE.name} is stale: run make docs")
    PAGE.write_text(made)
