"""Call fresh copies of a module in all situations that must not change its outputs."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils import _pytree

from aeonnx.exporting.determinism.state import (
    Counters,
    changes,
    fingerprint,
    restored_globals,
    state_of,
)
from aeonnx.exporting.determinism.surroundings import HIGH, LOW, Read, Surroundings, in_surroundings
from aeonnx.exporting.determinism.watch import Watch
from aeonnx.models import Part
from aeonnx.runtime.session import Array

__all__ = ["OTHER", "SAME", "SITUATIONS", "Calls", "Situation", "called", "differing", "tried"]

_LATER = 100 * 86400 + 5 * 3600 + 43 * 60 + 21  # another month, weekday, hour, minute and second
_COUNTED = 3  # calls before counters are advanced

SAME = Surroundings()
OTHER = Surroundings(seed=2, later=_LATER, memory=True)


@dataclass(frozen=True)
class Calls:
    """Outputs of a fresh copy, call by call, and what the calls read and changed."""

    outputs: list[list[object]]
    watch: Watch
    read: Read
    counters: Counters
    changed: list[str]

    def met(self) -> set[str]:
        """Further situations to try: "draws" if numbers were drawn, "counter" if any count."""
        draws = {"draws"} if self.read.numpy or self.read.python else set()
        return draws | ({"counter"} if self.counters.steps() else set())


@dataclass(frozen=True)
class Situation:
    """A way to call a module on rows A that must give the outputs of a fresh copy.

    Args:
        words: its words in the error text.
        before: batches of the calls before, such as "AB".
        around: surroundings of all calls.
        about: what differs from the first call: "state", "draws", "clock" or "memory".
        needs: an element of `Calls.met`, without which it is not tried.
    """

    words: str
    before: str = ""
    around: Surroundings = SAME
    about: str = "state"
    needs: str = ""


SITUATIONS = (
    Situation("on two fresh copies"),
    Situation("with other seeds", around=Surroundings(seed=2), about="draws"),
    Situation("with another clock", around=Surroundings(later=_LATER), about="clock"),
    Situation(
        "with other contents of uninitialized memory", around=Surroundings(memory=True),
        about="memory",
    ),
    Situation("at a second call", before="A"),
    Situation("after other rows", before="B"),
    Situation("at a second call, after other rows", before="AB"),
    Situation(
        "with the smallest random numbers", around=Surroundings(word=LOW), about="draws",
        needs="draws",
    ),
    Situation(
        "with the largest random numbers", around=Surroundings(word=HIGH), about="draws",
        needs="draws",
    ),
    Situation("after a million calls", before="A" * _COUNTED, needs="counter"),
    Situation("after a million calls", before="A" * (_COUNTED + 1), needs="counter"),
)  # fmt: skip


def called(
    part: Part,
    batches: Sequence[Mapping[str, Array]],
    around: Surroundings,
    *,
    keep: bool = False,
    wind: bool = False,
) -> Calls:
    module = copy.deepcopy(part.module).cpu().eval()
    watch, read = Watch(module, memory=around.memory, keep=keep), Read()
    counters = Counters(module)
    before = state_of(module) if keep else {}
    outputs = []
    with torch.no_grad(), restored_globals(module), in_surroundings(around, read, watch.place):
        for index, batch in enumerate(batches):
            if wind and index == _COUNTED:
                counters.wind()
            watch.steps.clear()
            outputs.append(_leaves(watch.call(_tensors(part, batch))))
            counters.note()
        changed = changes(before, state_of(module)) if keep else []
    return Calls(outputs, watch, read, counters, changed)


def tried(
    part: Part,
    situation: Situation,
    rows: Mapping[str, Array],
    other: Mapping[str, Array],
    *,
    keep: bool,
) -> Calls:
    batches = [rows if letter == "A" else other for letter in situation.before + "A"]
    return called(part, batches, situation.around, keep=keep, wind=situation.needs == "counter")


def differing(a: list[object], b: list[object]) -> int | None:
    """The index of the first output that differs in any bit; None if all are equal."""
    if len(a) != len(b):
        return min(len(a), len(b))
    pairs = enumerate(zip(a, b, strict=True))
    return next((i for i, (x, y) in pairs if fingerprint(x) != fingerprint(y)), None)


def _tensors(part: Part, rows: Mapping[str, Array]) -> list[Tensor]:
    """The inputs as tensors; copies, since a module may write into its inputs."""
    return [torch.from_numpy(np.array(rows[spec.name], spec.dtype)) for spec in part.inputs]


def _leaves(result: object) -> list[object]:
    """All values in a module's result; copies, since it may return its own state."""
    return [
        leaf.detach().clone() if isinstance(leaf, Tensor) else leaf
        for leaf in _pytree.tree_leaves(result)
    ]
