"""Remember what follows from the shapes of inputs: to solve for sizes takes many microseconds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Generic, TypeVar

from aeonnx.runtime.interface import Array

__all__ = ["ByShapes"]

_Found = TypeVar("_Found")
_MOST = 64  # shapes that are remembered; streams and tiles have few


class ByShapes(Generic[_Found]):
    """A function of the shapes of inputs that is called once for each of them.

    Args:
        names: of the inputs.
        find: the function. What it raises is not remembered.
    """

    def __init__(self, names: Iterable[str], find: Callable[[Mapping[str, Array]], _Found]) -> None:
        self._names, self._find = tuple(names), find
        self._only = self._names[0] if len(self._names) == 1 else None
        self._known: dict[tuple[object, ...], _Found] = {}

    def __call__(self, inputs: Mapping[str, Array]) -> _Found:
        """What follows from the shapes of these inputs."""
        shapes: tuple[object, ...]
        if self._only is not None:  # microseconds count
            shapes = inputs[self._only].shape
        else:
            shapes = tuple([inputs[name].shape for name in self._names])
        found = self._known.get(shapes)
        if found is None:
            found = self._find(inputs)
            if len(self._known) >= _MOST:
                self._known.clear()
            self._known[shapes] = found
        return found
