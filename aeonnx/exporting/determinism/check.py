"""Require a deterministic module: eager torch must give equal outputs for equal inputs.

A graph is a function of its inputs. A module need not be: it may draw random numbers, read a clock,
or keep state between calls. Capturing such a module freezes one draw, time or state, and the
comparison that follows may not notice. So fresh copies of the module are called first: on rows A, B
and A; then, with other seeds, another clock and other contents of uninitialized memory, on B and A.
The same rows must give the same bits, whatever other rows are in the batch. docs/parity.md lists
what this finds.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from torch import Tensor

from aeonnx.errors import GraphError
from aeonnx.exporting.determinism.calls import (
    OTHER,
    SAME,
    SITUATIONS,
    Calls,
    called,
    differing,
    tried,
)
from aeonnx.exporting.determinism.causes import batch_dependence_error, nondeterminism_error
from aeonnx.models import Part
from aeonnx.runtime.interface import batch_of, has_rows, select_rows, tile_rows
from aeonnx.runtime.session import Array

__all__ = ["require_deterministic"]

_FIRST, _SECOND = 3, 2  # rows of A and B: several, as batch norm in training needs, and different


def require_deterministic(name: str, part: Part, rows: Mapping[str, Array]) -> None:
    """Require that eager torch gives the same bits for the same rows, whatever was called before.

    Makes six calls on 2 or 3 rows; a few more if numbers are drawn or calls counted, and some 20 to
    find the cause of a difference. Global generators and clocks are restored, also after an error.

    Args:
        name: name of the part.
        part: its module is copied, not changed.
        rows: some rows of each input, by name.

    Raises:
        GraphError: outputs differ, or a row's output depends on other rows of its batch; the text
            names output, situation, cause, line and remedy.
        Exception: whatever the module itself raises.
    """
    first = tile_rows(part, rows, batch_of(part) or _FIRST)
    second = tile_rows(
        part, select_rows(part, rows, slice(None, None, -1)), batch_of(part) or _SECOND
    )
    one = called(part, [first, second, first], SAME)
    two = called(part, [second, first], OTHER)
    met = one.met() | two.met()
    pairs = ((0, one.outputs[2]), (0, two.outputs[1]), (1, two.outputs[0]))
    same = all(differing(one.outputs[i], other) is None for i, other in pairs)
    if not same or _ever(part, first, one, met):
        raise GraphError(nondeterminism_error(name, part, [first, second], met))
    if batch_of(part) is None:
        _require_rows_apart(name, part, first, second, one.outputs[0])


def _ever(part: Part, rows: Mapping[str, Array], base: Calls, met: set[str]) -> bool:
    """Whether extreme draws or counters change the outputs."""
    for situation in SITUATIONS:
        if situation.needs in met:
            try:
                calls = tried(part, situation, rows, rows, keep=False)
            except Exception:  # noqa: S112  # the module may not support the extreme
                continue
            if differing(base.outputs[0], calls.outputs[-1]) is not None:
                return True
    return False


def _require_rows_apart(
    name: str,
    part: Part,
    rows: Mapping[str, Array],
    others: Mapping[str, Array],
    outputs: list[object],
) -> None:
    """Require the same bits for the middle row after its neighbours in the batch are replaced."""
    mixed = {
        spec.name: np.stack([others[spec.name][0], rows[spec.name][1], others[spec.name][1]])
        if has_rows(part, spec)
        else rows[spec.name]
        for spec in part.inputs
    }
    calls = called(part, [mixed], SAME)
    index = differing(_middle(outputs), _middle(calls.outputs[0]))
    if index is not None:
        raise GraphError(batch_dependence_error(name, part, index, calls))


def _middle(outputs: list[object]) -> list[object]:
    return [
        value[1] if isinstance(value, Tensor) and value.ndim and len(value) == _FIRST else None
        for value in outputs
    ]
