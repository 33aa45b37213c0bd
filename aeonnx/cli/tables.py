"""How the commands print tables and JSON."""

from __future__ import annotations

import json
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from aeonnx._util.text import printable
from aeonnx.bundle import summary

__all__ = ["new_console", "print_json", "say", "show", "table_of"]

_FILE_WIDTH = 160
_GAP = 2  # spaces between columns
_SENTENCE = 24  # columns of the terminal that a sentence needs at least
_TITLE = ("", "part", "variant", "output", "tensor", "axis", "inputs", "sizes")
"""Columns that say what a row is about."""

_WRAPPED = ("conversion", "description", "finding", "metrics", "options")  # columns of sentences


class _Console(Console):
    """A console that makes control characters visible instead of sending them to the terminal."""

    def render_str(self, text: str, **how: Any) -> Text:
        return super().render_str(printable(text, keep="\n"), **how)


def new_console(*, stderr: bool = False) -> Console:
    """A console on standard output, for results, or on standard error, for progress."""
    console = _Console(highlight=False, markup=False, emoji=False, stderr=stderr)
    if not (stderr or console.is_terminal):  # a file or a pipe has no width
        console.width = _FILE_WIDTH
    return console


def say(line: str) -> None:
    """Print a plain line to standard output."""
    print(printable(line))


def print_json(value: Any) -> None:
    """Print a JSON document to standard output, in ASCII, which every encoding has."""
    print(json.dumps(value, indent=2))


def table_of(*columns: str) -> Table:
    """An empty table with these column heads."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        numeric = column in summary.NUMERIC
        made.add_column(
            column, justify="right" if numeric else "left", no_wrap=column not in _WRAPPED
        )
    return made


def show(console: Console, content: summary.Table, without: tuple[str, ...] = ()) -> None:
    """Print a table of a summary. Where it is too wide, each row is a block with a line per cell.

    No cell is cut: a number without its end would be another.
    """
    kept = [index for index, name in enumerate(content.head) if name not in without]
    head = [content.head[index] for index in kept]
    rows = [[printable(row[index]) for index in kept] for row in content.rows]
    columns = zip(head, *rows, strict=True)
    widths = [
        min(max(map(cell_len, column)), _SENTENCE if column[0] in _WRAPPED else _FILE_WIDTH)
        for column in columns
    ]
    if sum(widths) + _GAP * (len(widths) - 1) <= console.width:
        made = table_of(*head)
        for row in rows:
            made.add_row(*row)
        console.print(made)
        return
    for row in rows:
        cells = [(name, cell) for name, cell in zip(head, row, strict=True) if cell]
        console.print(" ".join(cell for name, cell in cells if name in _TITLE), style="bold")
        _print_cells(console, [(name, cell) for name, cell in cells if name not in _TITLE])


def _print_cells(console: Console, cells: list[tuple[str, str]]) -> None:
    """Print cells with their names, on one line if they fit, else one below the other."""
    line = "".join(f"{' ' * _GAP}{name} {cell}" for name, cell in cells)
    if cell_len(line) <= console.width:
        console.print(line)
        return
    block = Table.grid(padding=(0, _GAP))
    block.add_column(no_wrap=True)
    block.add_column(overflow="fold")
    for name, cell in cells:
        block.add_row(f"{' ' * _GAP}{name}", cell)
    console.print(block)
