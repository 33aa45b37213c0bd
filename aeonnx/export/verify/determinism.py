"""Eager torch must give the same answer twice, or no graph can be equal to it.

A graph is a function of its inputs. A module need not be: it may draw random numbers, read a clock,
or keep something from call to call. Capturing such a module freezes what it met, and the comparison
that follows meets the same. So fresh copies of the module are called first: on rows A, B and A
again; then, with other seeds, another clock and other contents of unused memory, on B and A. The
same rows must give the same bits. docs/parity.md says what this finds.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np
import torch
from torch import Tensor
from torch.utils import _pytree

from aeonnx.errors import GraphError
from aeonnx.export.verify.state import (
    GENERATOR,
    Counters,
    changes,
    fingerprint,
    shared_kept,
    state_of,
)
from aeonnx.export.verify.surroundings import HIGH, LOW, Read, Surroundings, surrounded
from aeonnx.export.verify.watch import Step, Watch
from aeonnx.models import Part
from aeonnx.runtime.interface import batch_of, repeated, taken
from aeonnx.runtime.session import Array

__all__ = ["require_deterministic"]

Rows = dict[str, Array]

_FIRST, _SECOND = 2, 3  # rows of A and B: more than one, as training needs, and not the same
_LATER = 100 * 86400 + 5 * 3600 + 43 * 60 + 21  # another month, weekday, hour, minute and second
_SAME = Surroundings()
_OTHER = Surroundings(seed=2, later=_LATER, memory=True)
_SHOWN = 4  # causes of a kind, and names of what changed


@dataclass(frozen=True)
class _Calls:
    """What a fresh copy gave, call by call, and what it met."""

    outputs: list[list[object]]
    watch: Watch
    read: Read
    counters: Counters
    changed: list[str]

    def met(self) -> set[str]:
        """What else could make a difference, one day."""
        draws = {"draws"} if self.read.numpy or self.read.python else set()
        return draws | ({"counter"} if self.counters.steps() else set())


@dataclass(frozen=True)
class _Situation:
    """A way to call a module on rows A that must give what a fresh copy gives.

    Args:
        words: of the error.
        before: rows that the copy is called on first.
        around: surroundings of all calls.
        about: what differs from the first call.
        needs: of `_Calls.met`: it is tried only where this was met.
    """

    words: str
    before: str = ""
    around: Surroundings = _SAME
    about: str = "state"
    needs: str = ""


_COUNTED = 3  # calls, after which counters are wound forward
_SITUATIONS = (
    _Situation("on two fresh copies"),
    _Situation("with other seeds", around=Surroundings(seed=2), about="draws"),
    _Situation("with another clock", around=Surroundings(later=_LATER), about="clock"),
    _Situation("with other unused memory", around=Surroundings(memory=True), about="memory"),
    _Situation("at a second call", before="A"),
    _Situation("after other rows", before="B"),
    _Situation("at a second call, after other rows", before="AB"),
    _Situation(
        "with the smallest random numbers", around=Surroundings(word=LOW), about="draws",
        needs="draws",
    ),
    _Situation(
        "with the largest random numbers", around=Surroundings(word=HIGH), about="draws",
        needs="draws",
    ),
    _Situation("after a million calls", before="A" * _COUNTED, needs="counter"),
    _Situation("after a million calls", before="A" * (_COUNTED + 1), needs="counter"),
)  # fmt: skip

_RULE = "a graph must be a function of its inputs, and this module is not"
_TIME = "Pass the time as an input of the part"
_NOISE = "Pass the random numbers as an input of the part, or draw them only if self.training"
_EVAL = (
    "Call eval() on it: forward must not call train(), and a train() or eval() of yours must call "
    "that of nn.Module"
)
_RUNNING = (
    "Normalize by running statistics: track_running_stats=True, or "
    "F.batch_norm(..., training=self.training)"
)
_STATE = (
    "In eval() forward must only read what it keeps: compute it before the export, and update it "
    "only if self.training"
)


def require_deterministic(name: str, part: Part, rows: Mapping[str, Array]) -> None:
    """Require that eager torch gives the same bits for the same rows, whatever came before.

    At most seven calls on 2 or 3 rows; up to 20 more to name the cause of a difference. Global
    generators and clocks are put back, also after an error.

    Args:
        name: of the part.
        part: its module is copied, not changed.
        rows: some rows of each input, by name.

    Raises:
        GraphError: outputs differ, or a row's output depends on the other rows because a batch
            norm is in training mode; the text names output, situation, cause, line and remedy.
            What the module itself raises is passed on as it is.
    """
    first = repeated(part, rows, batch_of(part) or _FIRST)
    second = repeated(part, taken(part, rows, slice(None, None, -1)), batch_of(part) or _SECOND)
    one = _called(part, [first, second, first], _SAME)
    two = _called(part, [second, first], _OTHER)
    met = one.met() | two.met()
    pairs = ((0, one.outputs[2]), (0, two.outputs[1]), (1, two.outputs[0]))
    same = all(_differing(one.outputs[i], other) is None for i, other in pairs)
    if not same or _ever(part, first, one, met):
        raise GraphError(_explained(name, part, [first, second], met))
    if one.watch.batch and batch_of(part) is None:
        raise GraphError(_of_the_batch(name, one.watch))


def _ever(part: Part, rows: Rows, base: _Calls, met: set[str]) -> bool:
    """Whether what was met makes a difference where it is at an extreme."""
    for situation in _SITUATIONS:
        if situation.needs in met:
            try:
                calls = _tried(part, situation, rows, rows, keep=False)
            except Exception:  # noqa: S112  # an extreme that the module is not made for
                continue
            if _differing(base.outputs[0], calls.outputs[-1]) is not None:
                return True
    return False


def _tried(part: Part, situation: _Situation, rows: Rows, other: Rows, *, keep: bool) -> _Calls:
    batches = [rows if letter == "A" else other for letter in situation.before + "A"]
    return _called(part, batches, situation.around, keep=keep, wind=situation.needs == "counter")


def _called(
    part: Part,
    batches: list[Rows],
    around: Surroundings,
    *,
    keep: bool = False,
    wind: bool = False,
) -> _Calls:
    module = copy.deepcopy(part.module).cpu().eval()
    watch, read = Watch(module, memory=around.memory, keep=keep), Read()
    counters = Counters(module)
    before = state_of(module) if keep else {}
    outputs = []
    with torch.no_grad(), shared_kept(module), surrounded(around, read, watch.place):
        for index, batch in enumerate(batches):
            if wind and index == _COUNTED:
                counters.wind()
            watch.steps.clear()
            outputs.append(_leaves(watch.call(_tensors(part, batch))))
            counters.note()
        changed = changes(before, state_of(module)) if keep else []
    return _Calls(outputs, watch, read, counters, changed)


def _tensors(part: Part, rows: Rows) -> list[Tensor]:
    """Copies: a module may write into its inputs."""
    return [torch.from_numpy(np.array(rows[spec.name], spec.dtype)) for spec in part.inputs]


def _leaves(result: object) -> list[object]:
    """All values in what a module returns; copies, for it may return what it keeps."""
    return [
        leaf.detach().clone() if isinstance(leaf, Tensor) else leaf
        for leaf in _pytree.tree_leaves(result)
    ]


def _differing(a: list[object], b: list[object]) -> int | None:
    """The index of the first output that is not the same in both."""
    if len(a) != len(b):
        return min(len(a), len(b))
    pairs = enumerate(zip(a, b, strict=True))
    return next((i for i, (x, y) in pairs if fingerprint(x) != fingerprint(y)), None)


def _explained(name: str, part: Part, rows: list[Rows], met: set[str]) -> str:
    """The first situation in which the difference is seen again, and what it comes from."""
    for mine, other in (rows, rows[::-1]):
        base = _called(part, [mine], _SAME, keep=True)
        for situation in _SITUATIONS:
            if situation.needs and situation.needs not in met:
                continue
            try:
                calls = _tried(part, situation, mine, other, keep=True)
            except Exception:  # noqa: S112  # as in `_ever`
                continue
            if _differing(base.outputs[0], calls.outputs[-1]) is not None:
                what = _difference(part, base.outputs[0], calls.outputs[-1])
                lines = _causes(situation, base, calls)
                return f"{name}: {_RULE}: {situation.words} it gives another {what}" + lines
    return f"{name}: {_RULE}: called again it gives another answer, from a cause that was not found"


def _difference(part: Part, a: list[object], b: list[object]) -> str:
    index = _differing(a, b)
    assert index is not None  # noqa: S101  # only what differs is explained
    names = [spec.name for spec in part.outputs]
    output = names[index] if len(names) == len(a) == len(b) else f"value {index + 1} of {len(a)}"
    x, y = (values[index] if index < len(values) else None for values in (a, b))
    if not (isinstance(x, Tensor) and isinstance(y, Tensor)):
        return output
    if x.shape != y.shape:
        return f"{output} (shapes {list(x.shape)} and {list(y.shape)})"
    largest = float((x.double() - y.double()).abs().max())
    return f"{output} (largest difference {largest:.3g})"


def _causes(situation: _Situation, base: _Calls, calls: _Calls) -> str:
    """What the difference comes from, and what to do about it: a line each."""
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


def _drawn_or_kept(situation: _Situation, calls: _Calls) -> tuple[list[str], str]:
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
    """The place of the first operator that gives something else, or that one call lacks."""
    pairs = zip_longest(a, b)
    return next(((y or x)[1] for x, y in pairs if x != y), "")


def _of_the_batch(name: str, watch: Watch) -> str:
    where = next(iter(watch.batch))
    remedy = _EVAL if "in training mode" in where else _RUNNING
    return (
        f"{name}: a row's output must not depend on the other rows of its batch, and here it does"
        f"\n  mean and variance are those of the batch {where}\n  {remedy}"
    )
