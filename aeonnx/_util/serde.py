"""Frozen dataclasses <-> JSON documents with a format name and a version. Standard library only.

The type hints are the schema: every field must have the hinted type and be present, unless its
metadata is `OPTIONAL`; unknown fields are ignored. Numbers must be finite, and strings and keys
must not contain control characters or surrogates. A dataclass checks further rules in
`__post_init__` with `require`.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
import sys
import types
import typing
from functools import cache
from typing import Any, NoReturn, TypeVar

from aeonnx._util.text import printable

__all__ = ["OPTIONAL", "dump", "load", "load_lines", "require"]

T = TypeVar("T")

OPTIONAL = types.MappingProxyType({"optional": True})
"""Metadata of a field that a document may lack: its default stands for it."""

_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_SHOWN = 60  # characters of a value that an error shows


def require(condition: object, message: str) -> None:
    """Raise `ValueError` with `message` unless `condition` holds."""
    if not condition:
        raise ValueError(message)


def dump(record: Any, format_name: str, version: int) -> bytes:
    """Serialize a dataclass as JSON; equal records result in equal bytes.

    Characters that `load` refuses, which file names may contain, are written as escapes.
    """
    document = {"format": format_name, "version": version, **_printable(dataclasses.asdict(record))}
    return (json.dumps(document, indent=2, allow_nan=False) + "\n").encode()


def _printable(value: Any) -> Any:
    if isinstance(value, str):
        return _UNPRINTABLE.sub(lambda found: printable(found[0]), value)
    if isinstance(value, dict):
        return {_printable(key): _printable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_printable(item) for item in value]
    return value


def load(cls: type[T], text: bytes, format_name: str, version: int) -> T:
    """Parse the JSON text of a dataclass `cls`.

    Raises:
        ValueError: names the field, what was expected, what was found and what to do.
    """
    document, infinite = _parse(text)
    if not isinstance(document, dict) or document.pop("format", None) != format_name:
        raise ValueError(f'expected "format": "{format_name}": this is another kind of file')
    found = document.pop("version", None)
    if not _is(found, int) or found < 1:
        raise ValueError(f"version: expected a whole number, got {found!r}")
    if found > version:
        raise ValueError(
            f"it has format version {found}, this aeonnx reads up to {version}: "
            "upgrade with: pip install -U aeonnx"
        )
    if found < version:
        raise ValueError(
            f"it has format version {found}, this aeonnx reads version {version}: make it again"
        )
    return _made(cls, document, infinite)


def load_lines(cls: type[T], text: bytes) -> tuple[T, ...]:
    """Parse JSON lines, one dataclass `cls` per line, without a format name.

    Raises:
        ValueError: names the line and the field, what was expected, what was found and what to do.
    """
    made = []
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            made.append(_made(cls, *_parse(line)))
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from error
    return tuple(made)


def _parse(text: bytes) -> tuple[Any, list[str]]:
    """The value of a JSON text, and the numbers in it that are too large for a float."""
    infinite: list[str] = []

    def real(digits: str) -> float:
        number = float(digits)
        if math.isinf(number):
            infinite.append(digits)
        return number

    def whole(digits: str) -> int:
        if len(digits) > sys.float_info.max_10_exp:
            infinite.append(digits)
        return int(digits)

    try:
        document = json.loads(
            text.decode(), parse_constant=_refuse_constant, parse_float=real, parse_int=whole
        )
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not JSON ({error}): the file is damaged, make it again") from error
    return document, infinite


def _made(cls: type[T], document: Any, infinite: list[str]) -> T:
    try:
        made = typing.cast(T, _decode(cls, document, ""))
        # Unknown fields included: other readers could not parse the document.
        require(not infinite, f"expected finite numbers, got {''.join(infinite[:1])[:_SHOWN]}")
        return made
    except ValueError as error:
        raise ValueError(f"{error}. The file was edited or damaged: make it again") from error


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a valid JSON number")


def _decode(hint: Any, value: Any, path: str) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is types.UnionType:
        return _decode_union(arguments, value, path)
    if dataclasses.is_dataclass(hint):
        return _decode_dataclass(typing.cast(type, hint), value, path)
    if origin is dict:
        _require_type(value, dict, path)
        for key in value:
            _require_printable(key, f"{path}: a name")
        return {key: _decode(arguments[1], item, f"{path}.{key}") for key, item in value.items()}
    if origin is tuple:
        _require_type(value, list, path)
        kinds = arguments[:1] * len(value) if arguments[-1] is ... else arguments
        if len(kinds) != len(value):
            raise ValueError(f"{path[1:]}: expected {len(kinds)} items, got {len(value)}")
        pairs = zip(kinds, value, strict=True)
        return tuple(_decode(kind, item, f"{path}.{i}") for i, (kind, item) in enumerate(pairs))
    _require_type(value, hint, path)
    if hint is str:
        _require_printable(value, path)
    return _finite(value, path) if hint is float else value


def _finite(value: float, path: str) -> float:
    try:
        number = float(value)
    except OverflowError:  # integers in JSON may have any length
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"{path[1:]}: expected a finite number, got {_shown(value)}")
    return number


def _require_printable(text: str, path: str) -> None:
    if _UNPRINTABLE.search(text):
        raise ValueError(f"{path[1:]}: expected no control characters, got {_shown(text)}")


def _shown(value: Any) -> str:
    return json.dumps(value)[:_SHOWN]


def _decode_union(options: tuple[Any, ...], value: Any, path: str) -> Any:
    if value is None and types.NoneType in options:
        return None
    kinds = [kind for kind in options if kind is not types.NoneType]
    for kind in kinds[:-1]:
        if _is(value, kind):
            return _decode(kind, value, path)
    return _decode(kinds[-1], value, path)


def _decode_dataclass(cls: type, value: Any, path: str) -> Any:
    _require_type(value, dict, path)
    hints = _hints(cls)
    absent = hints.keys() - value.keys()
    missing = absent - _optional(cls)
    if missing:
        raise ValueError(f"{path[1:] or 'top level'}: missing {', '.join(sorted(missing))}")
    fields = {
        name: _decode(hint, value[name], f"{path}.{name}")
        for name, hint in hints.items()
        if name not in absent
    }
    try:
        return cls(**fields)
    except ValueError as error:
        raise ValueError(f"{path[1:]}.{error}" if path else str(error)) from None


@cache  # evaluating the hints for every object would take longer than reading the manifest
def _hints(cls: type) -> dict[str, Any]:
    return typing.get_type_hints(cls)


@cache
def _optional(cls: type) -> frozenset[str]:
    return frozenset(item.name for item in dataclasses.fields(cls) if item.metadata == OPTIONAL)


def _is(value: Any, kind: Any) -> bool:
    if kind in (int, float):
        numbers = (int, float) if kind is float else int
        return isinstance(value, numbers) and not isinstance(value, bool)
    return isinstance(value, kind)


def _require_type(value: Any, kind: Any, path: str) -> None:
    if not _is(value, kind):
        names = {dict: "an object", list: "a list", str: "a text", int: "a whole number"}
        name = {**names, bool: "true or false"}.get(kind)
        raise ValueError(f"{path[1:]}: expected {name or 'a number'}, got {_shown(value)}")
