"""Help that is understood: phrases, defaults, verbs, and 80 columns."""

from __future__ import annotations

import re

import click
import pytest

from aeonnx.cli import cli
from aeonnx.cli.groups import commands_of

_VERBS = (
    "Train Compare Export Show Encode Decode Reconstruct Denoise Score Classify Generate Measure "
    "Check Serve Write"
)
COMMANDS = {**cli.commands, **commands_of(cli)}
"""Groups, and the commands in them."""

_TURNS_ON = ("from", "graph")
"""Options, beside paths, that turn something on: without them nothing takes their place."""


def context(name: str) -> click.Context:
    settings = {"help_option_names": ["-h", "--help"], "terminal_width": 80}
    return click.Context(COMMANDS[name], info_name=f"aeonnx {name}", **settings)


OPTIONS = [
    (name, option)
    for name, command in COMMANDS.items()
    for option in command.get_params(context(name))
    if isinstance(option, click.Option)
]


@pytest.mark.parametrize(
    ("name", "option"), OPTIONS, ids=[f"{name} {option.opts[-1]}" for name, option in OPTIONS]
)
def test_an_option_says_what_it_sets_and_its_default(name: str, option: click.Option) -> None:
    record = option.get_help_record(context(name))
    assert record is not None
    said, _, default = record[1].partition("  [")
    assert re.match(r"[A-Z]", said)
    assert said.endswith(".")
    assert len(said.split()) >= 3, "a phrase"
    assert not re.match(r"(Of|For|In|On|With) (?!dae|sdae|vae|sae)", said), "no fragment"
    optional = isinstance(option.type, click.Path) or option.opts[-1].lstrip("-") in _TURNS_ON
    if not (option.is_flag or option.required or optional or option.name == "model"):
        assert "default: " in default


@pytest.mark.parametrize("name", list(COMMANDS))
def test_a_summary_begins_with_a_verb_and_help_fits_80_columns(name: str) -> None:
    summary = COMMANDS[name].get_short_help_str(200)
    assert summary.split()[0] in _VERBS.split()
    assert summary.endswith(".")
    for line in COMMANDS[name].get_help(context(name)).splitlines():
        assert len(line) <= 80, line
