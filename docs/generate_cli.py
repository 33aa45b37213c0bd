"""Write docs/cli.md from the commands' own help; with --check, fail if it is not up to date."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from aeonnx.cli import cli

PAGE = Path(__file__).parent / "cli.md"
HEAD = """# Command line

Made by `make docs` from the commands' own help. Results go to stdout, progress to stderr. Exit
codes: 0 done, 1 failed, 2 usage, 3 parity or golden mismatch, 4 environment (a missing extra, GPU
or execution provider), 130 Ctrl-C, 143 SIGTERM, 129 SIGHUP, 141 where
the reader of a pipe has left. Where stdout cannot be written, the exit code is 1; what stderr
cannot take is lost. Characters that an encoding lacks are written as `+`, `x` or backslash escapes.
"""


def render() -> str:
    """The text of the page."""
    sections = [HEAD, _section("aeonnx", cli)]
    sections += [_section(f"aeonnx {name}", command) for name, command in _commands()]
    return "\n".join(sections)


def _commands() -> Iterator[tuple[str, click.Command]]:
    """The commands, those of a group after the group itself."""
    for name, command in cli.commands.items():
        yield name, command
        if isinstance(command, click.Group):
            yield from ((f"{name} {inner}", item) for inner, item in command.commands.items())


def _section(title: str, command: click.Command) -> str:
    settings = {"help_option_names": ["-h", "--help"], "terminal_width": 100}
    context = click.Context(command, info_name=title, **settings)
    return f"## {title}\n\n```text\n{command.get_help(context)}\n```\n"


if __name__ == "__main__":
    if "--check" in sys.argv:
        sys.exit(0 if PAGE.read_text() == render() else f"{PAGE.name} is stale: run make docs")
    PAGE.write_text(render())
