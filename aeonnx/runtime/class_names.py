"""The numbers that names of classes stand for, in what the inputs of the kind label are given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from aeonnx.bundle import TensorSpec
from aeonnx.errors import UnknownNameError, UsageError

__all__ = ["label_number", "numbered", "said"]


def label_number(spec: TensorSpec, classes: Sequence[str], text: str, option: str = "") -> int:
    """The number of a class.

    Args:
        spec: the input that takes it.
        classes: the names that the manifest gives them; () for none.
        text: a name, or the number itself.
        option: where it was given, for messages; "" for the input's name.

    Raises:
        UnknownNameError: there is no such class; suggests the nearest name.
        UsageError: classes have no names, and it is no number of one.
    """
    if text in classes:
        return classes.index(text)
    number = int(text) if text.isdecimal() else -1
    low, high = spec.range or ((0, len(classes) - 1) if classes else (0, np.inf))
    if low <= number <= high:
        return number
    if classes:
        more = "" if classes[0].isdecimal() else f"Their numbers are {low:.0f} to {high:.0f}."
        raise UnknownNameError("label", text, classes, more)
    raise UsageError(f"{option or spec.name}: expected {said(spec, classes)}, got {text!r}")


def said(spec: TensorSpec, classes: Sequence[str]) -> str:
    """What a label may be, for messages."""
    if classes:
        return f"one of {', '.join(classes)}"
    return f"a number from {spec.range[0]:.0f} to {spec.range[1]:.0f}" if spec.range else "a number"


def numbered(spec: TensorSpec, classes: Sequence[str], value: Any) -> Any:
    """What is given for an input of the kind label, with numbers for names of classes.

    Args:
        spec: the input.
        classes: see `label_number`.
        value: a name, several in a list, a tuple or an array; anything else is returned as it is.

    Raises:
        UnknownNameError, UsageError: see `label_number`.
    """
    if isinstance(value, str):
        return label_number(spec, classes, value)
    if isinstance(value, np.ndarray):
        value = value.tolist() if value.dtype.kind == "U" and value.ndim == 1 else value
    if isinstance(value, list | tuple) and value and all(isinstance(each, str) for each in value):
        return np.array([label_number(spec, classes, each) for each in value], np.int64)
    return value
