"""How the commands print tables and JSON."""

from __future__ import annotations

import json
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from aeonnx._util.text import printable
from aeonnx.bundle import summary

__all__ = ["new_console", "print_json", "say", "table", "table_of"]

_FILE_WIDTH = 160
_WRAPPED = ("description", "finding")  # columns of sentences


class _Console(Console):
    """One that shows the control characters of names instead of sending them to the terminal."""

    def render_str(self, text: str, **how: Any) -> Text:
        return super().render_str(printable(text, keep="\n"), **how)


def new_console(*, stderr: bool = False) -> Console:
    """Standard output, for tables and plain lines; or standard error, for progress."""
    console = _Console(highlight=False, markup=False, emoji=False, stderr=stderr)
    if not (stderr or console.is_terminal):  # a file or a pipe has no width to fit into
        console.width = _FILE_WIDTH
    return console


def say(line: str) -> None:
    """A plain line to standard output."""
    print(printable(line))


def print_json(value: Any) -> None:
    """A JSON document to standard output, in ASCII: any encoding has it."""
    print(json.dumps(value, indent=2))


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
