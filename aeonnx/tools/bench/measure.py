"""Measures contenders in turn, so that other load on the machine affects all of them alike."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from statistics import median

import numpy as np

from aeonnx.tools.bench.contenders import Contender, PartRunner
from aeonnx.tools.bench.results import OURS, Ratio, Timing

__all__ = ["ROUNDS", "Measured", "measure"]

ROUNDS = 9
_PAUSE_S = 0.05  # seconds after which idle threads of another contender stop spinning

Measured = tuple[dict[str, Timing], dict[str, Ratio], dict[str, str]]
"""By contender: timings, ratios, and why it was not measured."""


def measure(contenders: Sequence[Contender], batch: int, threads: int, seconds: float) -> Measured:
    """Open all contenders several times, then time them in rounds, each in a random order.

    Args:
        contenders: the contenders; aeonnx must be among them.
        batch: rows per call.
        threads: threads of each contender.
        seconds: time to measure each contender for, over all rounds.
    """
    rng = np.random.default_rng(0)

    def turns(items: Sequence[str]) -> list[str]:
        """The items in a random order."""
        return [items[index] for index in rng.permutation(len(items))]

    def pause() -> None:
        """Wait until idle threads of other contenders have stopped spinning."""
        if threads > 1:
            time.sleep(_PAUSE_S)

    calls, opening, reasons = _opened(contenders, turns, pause)
    rounds: dict[str, list[list[float]]] = {name: [] for name in calls}
    for _ in range(ROUNDS):
        for name in turns([*calls]):
            pause()
            calls[name]()
            rounds[name].append(_called(calls[name], seconds / ROUNDS))
    timings = {name: _timing(batch, *found, rounds[name]) for name, found in opening.items()}
    others = [name for name in timings if name != OURS]
    return timings, {name: _ratio(rounds[name], rounds[OURS]) for name in others}, reasons


def _opened(
    contenders: Sequence[Contender],
    turns: Callable[[Sequence[str]], list[str]],
    pause: Callable[[], None],
) -> tuple[dict[str, PartRunner], dict[str, tuple[float, float]], dict[str, str]]:
    """By contender: its call, milliseconds of opening and of the first call, or why it failed."""
    by_name = {item.name: item for item in contenders}
    calls: dict[str, PartRunner] = {}
    reasons: dict[str, str] = {}
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in by_name}
    for number in range(max(item.opened for item in contenders)):
        for name in turns([name for name in by_name if name not in reasons]):
            if number >= by_name[name].opened:
                continue
            pause()
            try:
                with warnings.catch_warnings():  # compilers warn about possible speed-ups
                    warnings.simplefilter("ignore")
                    calls[name], *spent = _open(by_name[name])
            except Exception as error:  # torch and its compilers have no common base of errors
                if not by_name[name].optional:
                    raise
                reasons[name] = _reason(error)
                continue
            times[name].append((spent[0], spent[1]))
    opening = {}
    for name in [name for name in by_name if name in calls]:  # in the given order
        kept = times[name][1:] or times[name]
        opening[name] = (median(load for load, _ in kept), median(first for _, first in kept))
    return calls, opening, reasons


def _open(contender: Contender) -> tuple[PartRunner, float, float]:
    start = time.perf_counter()
    call = contender.open()
    ready = time.perf_counter()
    call()
    return call, 1e3 * (ready - start), 1e3 * (time.perf_counter() - ready)


def _reason(error: Exception) -> str:
    """The first line of an error's message that is not empty."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def _called(call: PartRunner, seconds: float) -> list[float]:
    """Call for `seconds`, at least once; returns the seconds of each call."""
    clock = time.perf_counter
    found: list[float] = []
    end = clock() + seconds
    while not found or clock() < end:
        start = clock()
        call()
        found.append(clock() - start)
    return found


def _timing(batch: int, load: float, first: float, rounds: list[list[float]]) -> Timing:
    calls = np.concatenate(rounds)
    p50, p99 = 1e3 * np.percentile(calls, (50, 99))
    speed = batch * len(calls) / float(calls.sum())
    return Timing(load, first, float(p50), float(p99), speed, len(calls))


def _ratio(theirs: list[list[float]], own: list[list[float]]) -> Ratio:
    ratios = [median(a) / median(b) for a, b in zip(theirs, own, strict=True)]
    low, middle, high = np.percentile(ratios, (25, 50, 75))
    return Ratio(float(middle), float(low), float(high))
