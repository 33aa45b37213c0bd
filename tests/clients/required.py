"""What to do where a client cannot be tried."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest

__all__ = ["absent"]

REQUIRED = "AEONNX_REQUIRE_CLIENTS"


def absent(reason: str) -> NoReturn:
    """Skip, or fail where all clients are required."""
    if os.environ.get(REQUIRED):
        pytest.fail(f"{reason}, and {REQUIRED} is set")
    pytest.skip(reason)
