"""What the package promises: names, errors, help and docs that agree."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

import aeonnx
from aeonnx import errors
from aeonnx.cli import cli
from aeonnx.cli.groups import commands_of

ROOT = Path(__file__).parent.parent
COMMANDS = commands_of(cli)


def test_all_names_are_there() -> None:
    for name in aeonnx.__all__:
        assert getattr(aeonnx, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = aeonnx.nothing


def test_every_error_is_in_the_tree_with_its_exit_code() -> None:
    for name in errors.__all__:
        error = getattr(errors, name)
        assert issubclass(error, errors.AeonnxError)
        code = error.exit_code
        assert re.search(rf"\b{name} +{code}\b", errors.__doc__ or ""), (name, code)


def test_changelog_has_this_version() -> None:
    assert f"## {aeonnx.__version__}" in (ROOT / "CHANGELOG.md").read_text()


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_has_help_an_example_and_docs(name: str) -> None:
    command = COMMANDS[name]
    assert command.help
    assert command.epilog
    assert command.epilog.startswith(f"Example: aeonnx {name}")
    docs = (ROOT / "docs/cli.md").read_text()
    section = docs.split(f"## aeonnx {name}\n")[1].split("\n## ")[0]
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.opts[-1] in section, f"{parameter.opts} is not documented: make docs"
        else:
            assert parameter.make_metavar(click.Context(command)) in section


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_example_parses(name: str) -> None:
    command = COMMANDS[name]
    words = (command.epilog or "").removeprefix(f"Example: aeonnx {name}").split()
    command.make_context(name, words)


def test_readme_commands_exist() -> None:
    text = (ROOT / "README.md").read_text()
    named = set(re.findall(r"^(?:\.venv/bin/)?aeonnx (\w+)", text, flags=re.MULTILINE))
    assert named >= {"demo", "train", "export", "verify", "generate"}
    assert named <= set(cli.commands)
