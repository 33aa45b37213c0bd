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


def table(content: summary.Table, without: tuple[str, ...] = ()) -> Table:
    """The table of a summary, without some of its columns."""
    kept = [index for index, name in enumerate(content.head) if name not in without]
    made = table_of(*(content.head[index] for index in kept))
    for row in content.rows:
        made.add_row(*(row[index] for index in kept))
    return made
