"""How the commands print tables and JSON."""

from __future__ import annotations

import json
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from aeonnx import summary

__all__ = ["new_console", "print_json", "table", "table_of"]

_FILE_WIDTH = 160
_WRAPPED = ("meaning", "finding")  # columns of sentences


def new_console() -> Console:
    """Standard output, for tables and plain lines."""
    console = Console(highlight=False, markup=False)
    if not console.is_terminal:  # a file or a pipe has no width to fit into
        console.width = _FILE_WIDTH
    return console


def print_json(value: Any) -> None:
    """A JSON document to standard output."""
    click.echo(json.dumps(value, indent=2))


def table_of(*columns: str) -> Table:
    """An empty table."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        numeric = column in summary.NUMERIC
        made.add_column(
            column, justify="right" if numeric else "left", no_wrap=column not in _WRAPPED
        )
    return made


def table(content: summary.Table, without: tuple[str, ...] = ()) -> Table:
    """Rows of a summary, less some columns."""
    kept = [index for index, name in enumerate(content.head) if name not in without]
    made = table_of(*(content.head[index] for index in kept))
    for row in content.rows:
        made.add_row(*(row[index] for index in kept))
    return made
