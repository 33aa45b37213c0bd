"""Shows warnings of the library on stderr that a command would not report otherwise."""

from __future__ import annotations

import logging

import click

from aeonnx._util.text import printable

__all__ = ["show_warnings"]

_SHOWN = ("aeonnx.checkpoint", "aeonnx.runtime", "aeonnx.serving")
"""Training and export report their warnings to the command, which prints them itself."""


class _Handler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        click.echo(printable(self.format(record), keep="\n"), err=True)  # with a traceback, if any


_HANDLER = _Handler(logging.WARNING)


def show_warnings() -> None:
    """Print warnings from now on, such as about converted weights or a GPU that does not run."""
    for name in _SHOWN:
        logging.getLogger(name).addHandler(_HANDLER)
