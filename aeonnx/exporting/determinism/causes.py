"""Explain why outputs of a module differ: the situation, the cause, the line, and the remedy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import zip_longest

from torch import Tensor

from aeonnx.exporting.determinism.calls import (
    SAME,
    SITUATIONS,
    Calls,
    Situation,
    called,
    differing,
    tried,
)
from aeonnx.exporting.determinism.state import GENERATOR
from aeonnx.exporting.determinism.watch import Step
from aeonnx.models import Part
from aeonnx.runtime.session import Array

__all__ = ["batch_dependence_error", "nondeterminism_error"]

_SHOWN = 4  # most causes, and most names of changed attributes, in a message

_RULE = "a graph must be a function of its inputs, and this module is not"
_TIME = "Pass the time as an input of the part"
_NOISE = "Pass the random numbers as an input of the part, or draw them only if self.training"
_EVAL = (
    "Call eval() on it: forward must not call train(), and an overridden train() or eval() must "
    "call that of nn.Module"
)
_RUNNING = (
    "Normalize by running statistics: track_running_stats=True, or "
    "F.batch_norm(..., training=self.training)"
)
_ALONE = "Reduce over the axes within a row only, such as x.amax((1, 2, 3), keepdim=True)"
_STATE = (
    "In eval mode, forward must not change the module's state: compute it before the export, and "
    "update it only if self.training"
)


def nondeterminism_error(
    name: str, part: Part, rows: Sequence[Mapping[str, Array]], met: set[str]
) -> str:
    """The error text: the first situation that reproduces the difference, and its causes.

    Args:
        name: name of the part.
        part: the part whose outputs differ.
        rows: two batches of inputs by name.
        met: see `Calls.met`.
    """
    for mine, other in (rows, rows[::-1]):
        base = called(part, [mine], SAME, keep=True)
        for situation in SITUATIONS:
            if situation.needs and situation.needs not in met:
                continue
            try:
                calls = tried(part, situation, mine, other, keep=True)
            except Exception:  # noqa: S112  # as in `_ever`
                continue
            if differing(base.outputs[0], calls.outputs[-1]) is not None:
                what = _difference(part, base.outputs[0], calls.outputs[-1])
                lines = _causes(situation, base, calls)
                return f"{name}: {_RULE}: {situation.words} it gives another {what}" + lines
    return f"{name}: {_RULE}: a repeated call gives another answer, and the cause was not found"


def batch_dependence_error(name: str, part: Part, output: int, calls: Calls) -> str:
    """The error text for a row whose output depends on other rows; names batch norms as a cause."""
    what = _output(part, output, len(calls.outputs[0]))
    lines = [f"mean and variance are those of the batch {where}" for where in calls.watch.batch]
    remedy = _EVAL if any("in training mode" in line for line in lines) else _RUNNING
    return (
        f"{name}: a row's {what} must not depend on the other rows of its batch, and it does"
        + "".join(f"\n  {line}" for line in (*lines[:_SHOWN], remedy if lines else _ALONE))
    )


def _difference(part: Part, a: list[object], b: list[object]) -> str:
    index = differing(a, b)
    assert index is not None  # noqa: S101  # only what differs is explained
    output = _output(part, index, len(a))
    x, y = (values[index] if index < len(values) else None for values in (a, b))
    if not (isinstance(x, Tensor) and isinstance(y, Tensor)):
        return output
    if x.shape != y.shape:
        return f"{output} (shapes {list(x.shape)} and {list(y.shape)})"
    largest = float((x.double() - y.double()).abs().max())
    return f"{output} (largest difference {largest:.3g})"


def _output(part: Part, index: int, count: int) -> str:
    named = len(part.outputs) == count
    return part.outputs[index].name if named else f"value {index + 1} of {count}"


def _causes(situation: Situation, base: Calls, calls: Calls) -> str:
    """The causes of a difference, and the remedy, one per line."""
    line = _first_difference(base.watch.steps, calls.watch.steps)
    if situation.about == "clock":
        found, remedy = list(calls.read.clocks), _TIME
    elif situation.about == "memory":
        found, remedy = list(calls.watch.empty), "Write torch.zeros"
    else:
        found, remedy = _drawn_or_kept(situation, calls)
    found = found[:_SHOWN]
    if line and not any(line in cause for cause in found):
        found.append(f"the first result that differs is {line}")
    if any("in training mode" in text or "training of " in text for text in found):
        remedy = _EVAL
    return "".join(f"\n  {text}" for text in (*found, remedy))


def _drawn_or_kept(situation: Situation, calls: Calls) -> tuple[list[str], str]:
    found = [*calls.watch.random]
    remedy = _about_draws(calls.watch.random) if found else ""
    owners = (("numpy", calls.read.numpy), ("Python", calls.read.python))
    found += [f"forward draws from {owner}'s global generator" for owner, drew in owners if drew]
    remedy = remedy or (_NOISE if found else "")
    if situation.about == "state":
        if calls.changed:
            more = len(calls.changed) - _SHOWN
            shown = ", ".join(calls.changed[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
            found.append(f"forward changes {shown}")
            remedy = remedy or (_NOISE if GENERATOR in shown else _STATE)
        found += calls.read.clocks
        remedy = remedy or (_TIME if calls.read.clocks else "")
    return found, remedy or "Pass what is read there as an input of the part"


def _about_draws(random: Mapping[str, str]) -> str:
    function = next(iter(random.values()))
    if "dropout" in function or function == "rrelu":
        return f"Write F.{function}(..., training=self.training)"
    return _NOISE


def _first_difference(a: list[Step], b: list[Step]) -> str:
    """The place of the first operator whose result differs, or that only one call runs."""
    pairs = zip_longest(a, b)
    return next(((y or x)[1] for x, y in pairs if x != y), "")
