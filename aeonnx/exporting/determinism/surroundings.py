"""Control what a module can read besides its inputs during a call: generators and clocks."""

from __future__ import annotations

import datetime
import random
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import torch
import torch.utils.deterministic

__all__ = ["HIGH", "LOW", "Read", "Surroundings", "in_surroundings"]

LOW, HIGH = 0, 0x12DD9BB3
"""Words of a Mersenne Twister's state for which it gives 32 zeros, and 32 ones."""

_EXTREME = 64  # words, i.e. 32 doubles; later ones are as seeded, so that rejection loops end
_WORDS = 624  # of a Mersenne Twister's state

_LIBRARIES = ("torch", "numpy", "aeonnx", "onnxruntime")
_CLOCKS = ("time", "monotonic", "perf_counter", "process_time", "thread_time")


@dataclass(frozen=True)
class Surroundings:
    """Conditions of a call that must not change the outputs.

    Args:
        seed: seed of torch's, numpy's and Python's global generators.
        later: seconds by which clocks are ahead.
        memory: contents of memory from `torch.empty`: zeros if False, NaN and the largest integers
            if True.
        word: None, or `LOW` or `HIGH`: the first 32 numbers from numpy's and Python's global
            generators are then the smallest or the largest, so that a branch on a rare draw
            is taken.
    """

    seed: int = 1
    later: int = 0
    memory: bool = False
    word: int | None = None


class Read:
    """Which generators and clocks a call read."""

    def __init__(self) -> None:
        self.numpy = False
        self.python = False
        self.clocks: dict[str, None] = {}  # an ordered set


@contextmanager
def in_surroundings(
    surroundings: Surroundings, read: Read, place: Callable[[], str]
) -> Iterator[None]:
    """Run the body in these surroundings; then restore generators, clocks and torch's settings.

    torch's deterministic algorithms are on: on several threads, `index_put_` with `accumulate`
    otherwise adds up in any order, and the last place of its sums differs from call to call.

    Args:
        surroundings: the conditions of the body.
        read: filled with what the body reads.
        place: returns the running line of user code.
    """
    deterministic: Any = torch.utils.deterministic  # its attributes are properties
    before = (random.getstate(), np.random.get_state(), torch.random.get_rng_state())
    settings = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    fill = deterministic.fill_uninitialized_memory
    with warnings.catch_warnings(), _clocks(surroundings.later, read, place):
        warnings.simplefilter("ignore")
        try:
            torch.use_deterministic_algorithms(True, warn_only=True)
            deterministic.fill_uninitialized_memory = False  # `Watch` fills it
            _seed(surroundings.seed, surroundings.word)
            seeded = (random.getstate(), np.random.get_state())
            yield
            read.python |= random.getstate() != seeded[0]
            read.numpy |= _plain(np.random.get_state()) != _plain(seeded[1])
        finally:
            deterministic.fill_uninitialized_memory = fill
            torch.use_deterministic_algorithms(settings[0], warn_only=settings[1])
            torch.random.set_rng_state(before[2])
            np.random.set_state(before[1])
            random.setstate(before[0])


def _seed(seed: int, word: int | None) -> None:
    torch.default_generator.manual_seed(seed)
    words = np.random.default_rng(seed).integers(0, 2**32, _WORDS, np.uint32)
    if word is not None:
        words[:_EXTREME] = word
    np.random.set_state(("MT19937", words, 0, 0, 0.0))
    random.setstate((3, (*words.tolist(), 0), None))


def _plain(state: Any) -> tuple[Any, ...]:
    return tuple(item.tobytes() if isinstance(item, np.ndarray) else item for item in state)


@contextmanager
def _clocks(later: int, read: Read, place: Callable[[], str]) -> Iterator[None]:
    """Replace every clock, also where user modules import it by name, for this thread only."""
    thread = threading.get_ident()

    def seconds(name: str) -> int:
        if threading.get_ident() != thread:
            return 0
        read.clocks.setdefault(f"{name} is read at {place()}")
        return later

    replaced = {**_counting(seconds), **_dating(seconds)}
    found = [
        (module, key, value)
        for module in (time, datetime, *_users())
        if not replaced.keys().isdisjoint(map(id, vars(module).values()))  # fast: most have none
        for key, value in list(vars(module).items())
        if id(value) in replaced
    ]
    try:
        for module, key, value in found:
            setattr(module, key, replaced[id(value)])
        yield
    finally:
        for module, key, value in found:
            setattr(module, key, value)


def _counting(seconds: Callable[[str], int]) -> Mapping[int, Any]:
    replaced: dict[int, Any] = {}
    for name in _CLOCKS:
        for unit, suffix in ((1, ""), (10**9, "_ns")):
            clock = getattr(time, name + suffix)

            def read(
                clock: Callable[[], float] = clock, unit: int = unit, name: str = name + suffix
            ) -> float:
                return clock() + unit * seconds(f"time.{name}")

            replaced[id(clock)] = read
    return replaced


def _dating(seconds: Callable[[str], int]) -> Mapping[int, Any]:
    """A replacement for `datetime`; today() needs none, since it calls the replaced time.time."""
    real = datetime.datetime

    class Kind(type):
        def __instancecheck__(cls, value: object) -> bool:
            return isinstance(value, real)

    class Moment(real, metaclass=Kind):  # type: ignore[misc, valid-type]
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> datetime.datetime:
            return real.now(tz) + datetime.timedelta(seconds=seconds("datetime.now"))

        @classmethod
        def utcnow(cls) -> datetime.datetime:
            return cls.now(datetime.UTC).replace(tzinfo=None)

    return {id(real): Moment}


def _users() -> list[ModuleType]:
    """Modules that may be user code; clocks of others must not be replaced."""
    found = []
    for name, module in list(sys.modules.items()):
        root = name.partition(".")[0]
        ours = root in sys.stdlib_module_names or root in (
            "torch",
            "numpy",
            "aeonnx",
            "onnxruntime",
        )
        if isinstance(module, ModuleType) and (root == "__main__" or not ours):
            found.append(module)
    return found
