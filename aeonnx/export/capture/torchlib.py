"""onnxscript's table of translations, made once in a process instead of once in an export."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from torch.onnx._internal.exporter import _registration

__all__ = ["table_made_once"]


@contextmanager
def table_made_once() -> Iterator[None]:
    """torch.onnx finds the table of the first export; what is registered later is not in it.

    Without this, each export parses the sources of some 500 functions again: a quarter of the time
    of a small graph (torch 2.15, onnxscript 0.7). A release of torch that has no such table is left
    alone.
    """
    apis: Any = vars(_registration).get("onnxscript_apis")
    if not hasattr(apis, "get_torchlib_ops"):
        yield
        return
    with mock.patch.object(apis, "get_torchlib_ops", _table):
        yield


@functools.cache
def _table() -> list[Any]:
    apis: Any = vars(_registration)["onnxscript_apis"]
    found: list[Any] = type(apis).__getattr__(apis, "get_torchlib_ops")()
    return found
