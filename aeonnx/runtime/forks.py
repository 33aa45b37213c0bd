"""What a forked child does with the graphs of its parent: nothing, not even let go of them.

Their threads are the parent's, and onnxruntime's destructors wait for them or crash. So a child
keeps one reference for good to all that its parent had open; and no process forks while another of
its threads opens a graph, since a child would inherit locks of onnxruntime that nobody gives back.
"""

from __future__ import annotations

import ctypes
import os
import threading
import weakref
from typing import Any, Protocol

__all__ = ["after_fork", "forks", "kept_by_children", "opening"]

opening = threading.RLock()
"""Held while a graph is opened."""

_count = 0
_native: weakref.WeakSet[Any] = weakref.WeakSet()
_told: weakref.WeakSet[Forked] = weakref.WeakSet()


class Forked(Protocol):
    """What has something to do in a child."""

    def forked(self) -> None:
        """This process is a new child."""


def forks() -> int:
    """How many forks this process is away from the first."""
    return _count


def kept_by_children(*natives: Any) -> None:
    """Objects of onnxruntime that a forked child must not destroy."""
    _native.update(natives)


def after_fork(item: Forked) -> None:
    """Tell an object in each forked child, for as long as it lives."""
    _told.add(item)


def _in_child() -> None:
    global _count
    _count += 1
    for native in list(_native):
        # A reference in a module would go at the end of the process.
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(native))
    for item in list(_told):
        item.forked()
    opening.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=opening.acquire, after_in_parent=opening.release, after_in_child=_in_child
    )
