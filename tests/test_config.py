"""`--config FILE`: takes what the command line takes, which wins; mistakes are told in words."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import Result
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aeonnx.cli import cli
from aeonnx.cli.config import keys_of
from aeonnx.cli.groups import commands_of
from aeonnx.cli.options import Widths
from aeonnx.errors import UsageError

Cli = Callable[..., Result]

_TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=9)
_INTEGERS = st.one_of(st.integers(-2, 9), st.integers())
_FLOATS = st.one_of(st.floats(), st.floats(0, 1), st.integers(0, 9))


COMMANDS = commands_of(cli)


def context(name: str) -> click.Context:
    return click.Context(COMMANDS[name], info_name=name)


OPTIONS = [(name, key) for name in COMMANDS for key in keys_of(context(name))]
"""Every option of every command, by its key in a file."""


def values_of(option: click.Option) -> st.SearchStrategy[Any]:
    if option.is_flag:
        return st.just(True)
    if isinstance(option.type, Widths):
        return st.lists(_INTEGERS, min_size=1, max_size=3)
    kinds = {click.types.FloatParamType: _FLOATS, click.types.IntParamType: _INTEGERS}
    one = next((drawn for kind, drawn in kinds.items() if isinstance(option.type, kind)), _TEXTS)
    if option.nargs > 1:
        return st.lists(one, min_size=option.nargs, max_size=option.nargs)
    return st.lists(one, min_size=1, max_size=3) if option.multiple else one


def words_of(option: click.Option, value: Any) -> list[str]:
    """A value on the command line."""
    flag = option.opts[-1]
    if option.is_flag:
        return [flag]
    if option.multiple:
        return [f"{flag}={item}" for item in value]
    if option.nargs > 1:
        return [flag, *value]
    text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
    return [f"{flag}={text}" if flag.startswith("--") else flag + text]


def toml(value: Any) -> str:
    """A value in a TOML file."""
    if isinstance(value, list):
        return f"[{', '.join(map(toml, value))}]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, float):
        return "nan" if math.isnan(value) else repr(value)
    return json.dumps(value)


def parsed(name: str, words: list[str]) -> str:
    """What a command is called with; "refused" if it does not come to that."""
    command = COMMANDS[name]
    arguments = [item for item in command.params if isinstance(item, click.Argument)]
    required = [] if "-o" in " ".join(words) or "--config" in words else ["-o", "x"]
    if not any(item.required and item.name == "output" for item in command.params):
        required = []
    try:
        made = command.make_context(name, [*words, *required, *(["b"] * len(arguments))])
    except (click.UsageError, UsageError):
        return "refused"
    return repr(sorted(made.params.items()))


@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_file_takes_what_the_command_line_takes(tmp_path: Path, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(list(COMMANDS)))
    known = keys_of(context(name))
    keys = data.draw(st.lists(st.sampled_from(list(known)), unique=True, max_size=4))
    values = {key: data.draw(values_of(known[key]), label=key) for key in keys}
    if any(item.required and item.name == "output" for item in COMMANDS[name].params):
        values.setdefault("output", "x")
    table = f"[{name.replace(' ', '.')}]\n" if data.draw(st.booleans()) else ""
    spell = (lambda key: key.replace("-", "_")) if data.draw(st.booleans()) else str
    path = tmp_path / "options.toml"
    path.write_text(table + "".join(f"{spell(k)} = {toml(v)}\n" for k, v in values.items()))
    words = [word for key, value in values.items() for word in words_of(known[key], value)]
    assert parsed(name, ["--config", str(path)]) == parsed(name, words)


@pytest.mark.parametrize(("name", "key"), OPTIONS)
def test_a_value_of_another_type_is_refused(aeonnx: Cli, name: str, key: str) -> None:
    """Every option: the message names the file, the key, and what it takes."""
    option = keys_of(context(name))[key]
    wrong = "[{}]" if not option.is_flag else '"true"'
    Path("c.toml").write_text(f"{key} = {wrong}\n")
    result = aeonnx(*name.split(), "--config", "c.toml")
    assert result.exit_code == 2
    assert f"Error: c.toml: {key}: expected " in result.stderr
    assert ", got " in result.stderr
    Path("c.toml").write_text(f"{key} = {'1' if option.is_flag else 'true'}\n")
    assert f"Error: c.toml: {key}: expected " in aeonnx(*name.split(), "--config", "c.toml").stderr


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epoch = 3", "unknown key in c.toml 'epoch'. Did you mean 'epochs'? Known: arch, "),
        ("config = 'x'", "unknown key in c.toml 'config'"),
        ("help = true", "unknown key in c.toml 'help'"),
        ("latent_size = 3", "unknown key in c.toml 'latent_size'. Did you mean 'latent'?"),
        ("epochs = 3.0", "c.toml: epochs: expected a whole number, got 3.0"),
        ("lr = '1e-3'", "c.toml: lr: expected a number, got '1e-3'"),
        ("data = 5", "c.toml: data: expected a text in quotes, got 5"),
        ("pairs = ['a']", "c.toml: pairs: expected a list of 2 texts in quotes, got ['a']"),
        ("pairs = 'a'", "c.toml: pairs: expected a list of 2 texts in quotes, got 'a'"),
        (
            "hidden = 'a,b'",
            "c.toml: hidden: expected whole numbers such as 400,200, got 'a,b'",
        ),
        ("hidden = [1.5]", "hidden: expected a list of whole numbers such as [400, 200], got"),
        ("epochs = 0", "epochs: expected 1 or more, got 0\nOptions from c.toml: epochs\n"),
        ("batch_size = 1\nbatch-size = 2", "c.toml: batch-size is there twice, with - and with _"),
        ("[trian]", "unknown table in c.toml 'trian'. Did you mean 'train'?"),
        ("[export]", "c.toml: expected a table [train], got [export]"),
        ("epochs = 3\n[train]", "c.toml: epochs is outside of the tables: expected all options in"),
        ("[train.more]\na = 1", "unknown key in c.toml 'more'"),
        ("epochs", "--config: c.toml is not a TOML file: Expected '='"),
        ("a = " + "[" * 5000, "--config: c.toml is not a TOML file: "),
        ("a = " + "1" * 5000, "--config: c.toml is not a TOML file: "),
    ],
)
def test_mistakes_in_a_file_are_told_in_words(aeonnx: Cli, text: str, message: str) -> None:
    Path("c.toml").write_text(text)
    result = aeonnx("train", "-m", "vae", "--config", "c.toml")
    assert message in result.stderr
    assert result.exit_code == 2
    assert "Traceback" not in result.output
    assert [path.name for path in Path().iterdir()] == ["c.toml"]


@pytest.mark.parametrize(
    ("path", "message"),
    [("none.toml", "No such file"), (".", "Is a directory"), ("latin.toml", "not a TOML file")],
)
def test_a_file_that_cannot_be_read(aeonnx: Cli, path: str, message: str) -> None:
    Path("latin.toml").write_bytes(b"model = '\xff'")
    result = aeonnx("export", "--config", path)
    assert result.exit_code == 2
    assert f"Error: --config: {'cannot read ' if 'TOML' not in message else ''}{path}" in (
        result.stderr
    )
    assert message in result.stderr


def test_the_command_line_wins_over_the_file(
    aeonnx: Cli, run_of: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One file for two commands; a list of the command line replaces the file's."""
    monkeypatch.delenv("AEONNX_DATA", raising=False)
    Path("c.toml").write_text(
        f'[train]\nmodel = "vae"\nepochs = 9\nlr = 0.5\n'
        f'[export]\nmodel = "vae"\npart = ["encoder"]\ncheckpoint = "{run_of()}"\njson = true\n'
    )
    taken = cli.commands["train"].make_context("train", ["--epochs", "2", "--config", "c.toml"])
    assert (taken.params["model"], taken.params["epochs"], taken.params["lr"]) == ("vae", 2, 0.5)
    result = aeonnx("export", "--config", "c.toml", "--part", "decoder", "-o", "b")
    assert result.exit_code == 0, result.stderr
    assert list(json.loads(result.stdout)["parts"]) == ["decoder"]
