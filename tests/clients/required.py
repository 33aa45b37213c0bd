"""Which clients a run of the tests tries, and what to do where one cannot be tried."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any, NoReturn

import pytest

from clients.proof import languages

__all__ = ["REQUIRED", "absent", "languages_of"]

REQUIRED = "AEONNX_REQUIRE_CLIENTS"


def absent(reason: str) -> NoReturn:
    """Skip the test, or fail it where all clients are required."""
    if os.environ.get(REQUIRED):
        pytest.fail(f"{reason}, and {REQUIRED} is set")
    pytest.skip(reason)


def languages_of(names: Iterable[str]) -> list[Any]:
    """Parameters for tests: the names, those that take minutes to compile marked `slow`."""
    slow = pytest.mark.slow
    return [
        pytest.param(name, marks=[slow] if languages.LANGUAGES[name].slow else []) for name in names
    ]
