"""Writes messages in protobuf's text format, which Triton reads its configurations in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias, Union

__all__ = ["Message", "Word", "text_of"]


class Word(str):
    """The name of an enum's value, which has no quotes."""

    __slots__ = ()


Scalar: TypeAlias = int | str
Message: TypeAlias = Mapping[str, Union[Scalar, Sequence[int], "Message", Sequence["Message"]]]
"""Values by name of the field. A list of numbers or messages is a repeated field."""


def text_of(message: Message) -> str:
    """The text of a message, one field per line."""
    return "".join(f"{line}\n" for line in _lines(message))


def _lines(message: Message) -> Iterator[str]:
    for name, value in message.items():
        if isinstance(value, Mapping):
            yield from _block(name, value)
        elif isinstance(value, int | str):
            yield f"{name}: {_scalar(value)}"
        else:
            blocks = [item for item in value if isinstance(item, Mapping)]
            numbers = [str(item) for item in value if isinstance(item, int)]
            if blocks:
                for block in blocks:
                    yield from _block(name, block)
            else:
                yield f"{name}: [ {', '.join(numbers)} ]" if numbers else f"{name}: [ ]"


def _block(name: str, message: Message) -> Iterator[str]:
    yield f"{name} {{"
    yield from (f"  {line}" for line in _lines(message))
    yield "}"


def _scalar(value: Scalar) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Word | int):
        return str(value)
    return f'"{"".join(map(_escaped, value.encode()))}"'


def _escaped(byte: int) -> str:
    """A byte of a text in quotes: all but printable ASCII as three octal digits."""
    plain = 0x20 <= byte < 0x7F and byte not in b'"\\'
    return chr(byte) if plain else f"\\{byte:03o}"
