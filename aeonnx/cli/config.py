"""`--config FILE`: options of a command from a TOML file.

The file holds options by their names on the command line, or a table of them per command. Values
become click's `default_map`, so that they pass the same checks, and the command line wins.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click

from aeonnx.cli.options import PATH, Widths
from aeonnx.errors import UnknownNameError, UsageError

__all__ = ["NOTE", "config_option", "keys_of"]

NOTE = "aeonnx.config"
"""Key of `Context.meta` for a line that says which options come from which file."""

_NOT_IN_A_FILE = ("config", "help")
_SHOWN = 60  # characters of a value that an error shows


def config_option(name: str) -> click.Option:
    """The option --config of a command.

    Args:
        name: the words of the command, such as "train" or "deploy triton".
    """
    words = name.split()
    return click.Option(
        ["--config"],
        type=PATH,
        is_eager=True,  # before the options whose defaults it sets
        expose_value=False,
        callback=partial(_apply, words),
        metavar="FILE.toml",
        help="Read options from this TOML file, by their names without the leading dashes, alone "
        f"or in a table [{'.'.join(words)}]; options on the command line win.",
    )


def keys_of(ctx: click.Context) -> dict[str, click.Option]:
    """The options that a file may set, by key."""
    options = (item for item in ctx.command.get_params(ctx) if isinstance(item, click.Option))
    keys = {option.opts[-1].lstrip("-"): option for option in options}
    return {key: option for key, option in keys.items() if key not in _NOT_IN_A_FILE}


def _apply(words: Sequence[str], ctx: click.Context, _: click.Parameter, path: Path | None) -> None:
    """Make the file's values the defaults of the context of the command of these words.

    Raises:
        UsageError: the file cannot be read, has an unknown key, or a value of the wrong type.
    """
    if path is None or ctx.resilient_parsing:
        return
    options = _options_in(path, _read(path), ctx.find_root().command, words)
    known = keys_of(ctx)
    values: dict[str, Any] = {}
    for key, value in options.items():
        name = key.replace("_", "-")
        if name not in known:
            raise UnknownNameError(f"key in {path}", key, known)
        option = known[name]
        if option.name in values:
            raise UsageError(f"{path}: {name} is there twice, with - and with _")
        values[option.name or ""] = _checked(f"{path}: {key}", value, option, ctx)
    ctx.default_map = values
    ctx.meta[NOTE] = f"Options from {path}: {', '.join(options) or 'none'}"


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_bytes().decode())
    except OSError as error:
        raise UsageError(f"--config: cannot read {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"--config: {path} is not a TOML file: {error}") from error


def _options_in(
    path: Path,
    document: Mapping[str, Any],
    group: click.Command | None,
    words: Sequence[str],
    above: Sequence[str] = (),
) -> Mapping[str, Any]:
    """The options of a command: its table, or the document if that has no tables.

    Args:
        path: of the file.
        document: the file, or the table of `above`.
        group: that the document has tables for.
        words: of the command within the group, such as ["train"], or ["deploy", "triton"], whose
            table is [deploy.triton].
        above: the words before them.
    """
    tables = {key: value for key, value in document.items() if isinstance(value, dict)}
    if not tables or not words:
        return document
    known = group.commands if isinstance(group, click.Group) else tables
    for name in tables:
        if name not in known:
            raise UnknownNameError(f"table in {path}", name, known)
    own, prefix = words[0], "".join(f"{word}." for word in above)
    if alone := document.keys() - tables.keys():
        raise UsageError(
            f"{path}: {min(alone)} is outside of the tables: expected all options in tables such "
            f"as [{prefix}{own}], or no tables"
        )
    if own not in tables:
        names = ", ".join(f"[{prefix}{name}]" for name in tables)
        raise UsageError(f"{path}: expected a table [{prefix}{own}], got {names}")
    inner = group.commands[own] if isinstance(group, click.Group) else None
    return _options_in(path, tables[own], inner, words[1:], (*above, own))


def _checked(where: str, value: Any, option: click.Option, ctx: click.Context) -> Any:
    """The value, if the option takes it."""
    listed = value if _several(option) and isinstance(value, list) else [value]
    if option.nargs > 1 and len(listed) != option.nargs:
        raise UsageError(f"{where}: expected {_expected(option)}, got {_shown(value)}")
    for item in listed:
        if not _fits(item, option):
            raise UsageError(f"{where}: expected {_expected(option)}, got {_shown(value)}")
    taken = listed if _several(option) else value
    try:
        option.type_cast_value(ctx, taken)
    except click.BadParameter as error:
        raise UsageError(f"{where}: {error.message}") from error
    return taken


def _several(option: click.Option) -> bool:
    return option.multiple or option.nargs > 1


def _fits(value: Any, option: click.Option) -> bool:
    """Whether the TOML type is that of the option's values."""
    if option.is_flag or isinstance(value, bool):
        return option.is_flag and isinstance(value, bool)
    if isinstance(option.type, Widths) and isinstance(value, list):
        return all(isinstance(item, int) and not isinstance(item, bool) for item in value)
    if isinstance(option.type, click.types.FloatParamType):
        return isinstance(value, int | float)
    return isinstance(value, int if isinstance(option.type, click.types.IntParamType) else str)


def _expected(option: click.Option) -> str:
    """The TOML type of the option's values, in words."""
    if option.is_flag:
        return "true or false"
    if isinstance(option.type, Widths):
        return "a list of whole numbers such as [400, 200]"
    one = "a text in quotes"
    if isinstance(option.type, click.types.FloatParamType):
        one = "a number"
    elif isinstance(option.type, click.types.IntParamType):
        one = "a whole number"
    if option.nargs > 1:
        return f"a list of {option.nargs} texts in quotes"
    return f"{one}, or a list of them" if option.multiple else one


def _shown(value: Any) -> str:
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
