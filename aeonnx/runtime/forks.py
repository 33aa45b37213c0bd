"""Keeps forked children from using or destroying the sessions of their parent.

The threads of a session exist in the parent only, and onnxruntime's destructors would wait for them
or crash. So a child keeps a reference forever to all that its parent had open. A process does not
fork while one of its threads opens a graph, since the child would inherit locked locks.
"""

from __future__ import annotations

import ctypes
import os
import threading
import weakref
from typing import Any, Protocol

__all__ = ["after_fork", "forks", "keep_in_children", "opening"]

opening = threading.RLock()
"""Held while a graph is opened."""

_count = 0
_native: weakref.WeakSet[Any] = weakref.WeakSet()
_listeners: weakref.WeakSet[Forked] = weakref.WeakSet()


class Forked(Protocol):
    """An object that must react to a fork."""

    def forked(self) -> None:
        """Called in each new child process."""


def forks() -> int:
    """Number of forks between the first process and this one."""
    return _count


def keep_in_children(*natives: Any) -> None:
    """Register objects of onnxruntime that a forked child must not destroy."""
    _native.update(natives)


def after_fork(item: Forked) -> None:
    """Call `item.forked()` in each forked child, as long as `item` exists."""
    _listeners.add(item)


def _in_child() -> None:
    global _count
    _count += 1
    for native in list(_native):
        # A reference held by a module would be released at the end of the process.
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(native))
    for item in list(_listeners):
        item.forked()
    opening.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=opening.acquire, after_in_parent=opening.release, after_in_child=_in_child
    )
