"""Options for a part's inputs beside the first, and for sizes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from aeonnx.errors import UsageError

__all__ = ["numbers_of", "others_option", "size_of"]

F = TypeVar("F", bound=Callable[..., Any])


def others_option(command: F) -> F:
    """Numbers for the further inputs of a part, for `numbers_of`."""
    return click.option(
        "--input",
        "others",
        multiple=True,
        metavar="NAME=NUMBER",
        help="A number for a further input of the part, such as sigma=0.1. May be repeated. The "
        "decoder takes what the encoder makes, so reconstruct needs none for that.  "
        "[default: none]",
    )(command)


def numbers_of(given: tuple[str, ...]) -> dict[str, float]:
    """{"sigma": 0.1} of "sigma=0.1"; whole numbers stay whole."""
    found: dict[str, float] = {}
    for text in given:
        name, _, number = text.partition("=")
        try:
            found[name] = int(number) if number.lstrip("+-").isdigit() else float(number)
        except ValueError:
            raise UsageError(f"--input: expected NAME=NUMBER, got {text!r}") from None
    return found


def size_of(text: str) -> tuple[int, ...]:
    """(64, 48) of "64x48"."""
    sizes = text.lower().split("x")
    if len(sizes) < 2 or not all(size.isdigit() for size in sizes):
        raise UsageError(f"--size: expected HEIGHTxWIDTH, such as 64x64, got {text!r}")
    return tuple(int(size) for size in sizes)
