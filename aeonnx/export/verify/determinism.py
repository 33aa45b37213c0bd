"""Eager torch must give the same answer twice, or no graph can be equal to it.

A graph is a function of its inputs. A module need not be: it may draw random numbers, read a clock,
or keep something from call to call. Capturing such a module freezes what it met, and the comparison
that follows meets the same. So fresh copies of the module are called first: on rows A, B and A
again; then, with other seeds, another clock and other contents of unused memory, on B and A. The
same rows must give the same bits. docs/parity.md says what this finds.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils import _pytree

from aeonnx.errors import GraphError
from aeonnx.export.verify.state import changes, fingerprint, state_of
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
    changed: list[str]


@dataclass(frozen=True)
class _Situation:
    """A way to call a module on rows A that must give what a fresh copy gives.

    Args:
        words: of the error.
        before: rows that the copy is called on first.
        surroundings: of all calls.
        about: what differs from the first call.
    """

    words: str
    before: str = ""
    surroundings: Surroundings = _SAME
    about: str = "state"


_SITUATIONS = (
    _Situation("called twice in the same way, each time on a fresh copy"),
    _Situation("with other seeds", surroundings=Surroundings(seed=2), about="draws"),
    _Situation("with another clock", surroundings=Surroundings(later=_LATER), about="clock"),
    _Situation(
        "with other contents of unused memory",
        surroundings=Surroundings(memory=True),
        about="memory",
    ),
    _Situation("called a second time", before="A"),
    _Situation("called after other rows", before="B"),
    _Situation("called again after other rows", before="AB"),
    _Situation("where small numbers are drawn", surroundings=Surroundings(word=LOW), about="draws"),
    _Situation(
        "where large numbers are drawn", surroundings=Surroundings(word=HIGH), about="draws"
    ),
)

_NOISE = "Pass the random numbers as an input of the part, or draw them only if self.training"
_EVAL = (
    "Call eval() on it: forward must not call train(), and a train() or eval() of yours must call "
    "that of nn.Module"
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
    pairs = [(one, 0, one, 2), (one, 0, two, 1), (one, 1, two, 0)]
    if one.read.numpy or one.read.python or two.read.numpy or two.read.python:
        for word in (LOW, HIGH):
            pairs.append((one, 0, _called(part, [first], Surroundings(word=word)), 0))
    for a, i, b, j in pairs:
        if _differing(a.outputs[i], b.outputs[j]) is not None:
            raise GraphError(_explained(name, part, first, second, a.outputs[i], b.outputs[j]))
    if one.watch.batch and batch_of(part) is None:
        raise GraphError(_of_the_batch(name, one.watch))


def _called(part: Part, batches: list[Rows], around: Surroundings, keep: bool = False) -> _Calls:
    module = copy.deepcopy(part.module).cpu().eval()
    watch, read = Watch(module, memory=around.memory, keep=keep), Read()
    before = state_of(module) if keep else {}
    outputs = []
    with torch.no_grad(), surrounded(around, read, watch.place):
        for batch in batches:
            watch.steps.clear()
            outputs.append(_leaves(watch.call(_tensors(part, batch))))
    changed = changes(before, state_of(module)) if keep else []
    return _Calls(outputs, watch, read, changed)


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


def _explained(
    name: str, part: Part, first: Rows, second: Rows, a: list[object], b: list[object]
) -> str:
    """The first situation in which the difference is seen again, and what it comes from."""
    words, causes, remedy = "called again", ["the cause was not found"], _STATE
    for situation, base, calls in _tried(part, first, second):
        if _differing(base.outputs[0], calls.outputs[-1]) is not None:
            a, b = base.outputs[0], calls.outputs[-1]
            words = situation.words
            causes, remedy = _causes(situation, base, calls)
            break
    return (
        f"{name}: a graph must be a function of its inputs, and this module is not: {words}, it "
        f"gives another {_difference(part, a, b)} for the same rows. {'; '.join(causes)}. {remedy}"
    )


def _tried(part: Part, first: Rows, second: Rows) -> Iterator[tuple[_Situation, _Calls, _Calls]]:
    for rows in ({"A": first, "B": second}, {"A": second, "B": first}):
        base = _called(part, [rows["A"]], _SAME, keep=True)
        for situation in _SITUATIONS:
            batches = [rows[letter] for letter in situation.before + "A"]
            yield situation, base, _called(part, batches, situation.surroundings, keep=True)


def _difference(part: Part, a: list[object], b: list[object]) -> str:
    index = _differing(a, b)
    assert index is not None  # noqa: S101  # only what differs is explained
    names = [spec.name for spec in part.outputs]
    output = names[index] if len(names) == len(a) == len(b) else f"output {index}"
    x, y = (values[index] if index < len(values) else None for values in (a, b))
    if not (isinstance(x, Tensor) and isinstance(y, Tensor)):
        return output
    if x.shape != y.shape:
        return f"{output} (shapes {list(x.shape)} and {list(y.shape)})"
    largest = float((x.double() - y.double()).abs().max())
    return f"{output} (largest difference {largest:.3g})"


def _causes(situation: _Situation, base: _Calls, calls: _Calls) -> tuple[list[str], str]:
    """What the difference comes from, and what to do about it."""
    line = _first_difference(base.watch.steps, calls.watch.steps)
    found: list[str] = []
    remedy = "Pass what is read there as an input of the part"
    if situation.about == "clock":
        found, remedy = list(calls.read.clocks), "Pass the time as an input of the part"
    elif situation.about == "memory":
        found, remedy = list(calls.watch.empty), "Write torch.zeros"
    else:
        found = list(calls.watch.random)
        remedy = _about_draws(calls.watch.random) if found else remedy
        owners = (("numpy", calls.read.numpy), ("Python", calls.read.python))
        found += [
            f"forward draws from {owner}'s global generator" for owner, drew in owners if drew
        ]
        remedy = _NOISE if found and not calls.watch.random else remedy
        if situation.about == "state" and calls.changed:
            shown = ", ".join(calls.changed[:_SHOWN])
            more = len(calls.changed) - _SHOWN
            found.append(f"forward changes {shown}" + (f" and {more} more" if more > 0 else ""))
            remedy = _STATE if len(found) == 1 else remedy
    found = found[:_SHOWN]
    if line and not any(line in cause for cause in found):
        found.append(f"the first result that differs is at {line}")
    return found or ["the cause was not found"], remedy


def _about_draws(random: Mapping[str, str]) -> str:
    text, function = next(iter(random.items()))
    if "in training mode" in text:
        return _EVAL
    if "dropout" in function or function == "rrelu":
        return f"Write F.{function}(..., training=self.training)"
    return _NOISE


def _first_difference(a: list[Step], b: list[Step]) -> str:
    """The place of the first operator that gives something else."""
    return next((y[1] for x, y in zip(a, b, strict=False) if x != y), "")


def _of_the_batch(name: str, watch: Watch) -> str:
    where = next(iter(watch.batch))
    remedy = _EVAL if "in training mode" in where else "Write training=self.training"
    return (
        f"{name}: a row's output must not depend on the other rows of its batch, and here it does: "
        f"{where} normalizes by the mean and variance of the batch. {remedy}"
    )
