"""Large work runs in threads, so that other requests go on meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from starlette.concurrency import run_in_threadpool

__all__ = ["LARGE", "aside"]

T = TypeVar("T")

LARGE = 2**20
"""Bytes from which work takes longer than the way to a thread and back."""


async def aside(size: int, work: Callable[[], T]) -> T:
    """What `work()` returns; in a thread if it handles many bytes."""
    return work() if size < LARGE else await run_in_threadpool(work)
