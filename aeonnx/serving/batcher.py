"""Dynamic batching: requests that wait for a model run together, and are told apart again.

One thread runs a model. While it runs, requests queue; then it takes the oldest, and with it all
others of the same shape that fit. So a lone request never waits for company, and a busy server runs
large batches. The queue is bounded in rows and bytes: what does not fit is refused at once.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from aeonnx.errors import InputError, RequestError, UsageError

__all__ = ["Batcher", "Batches", "Job", "Limits"]

_LOG = logging.getLogger(__name__)

Array = npt.NDArray[Any]
Arrays = Mapping[str, Array]


@dataclass(frozen=True)
class Limits:
    """Bounds of the queue of a model.

    Args:
        batch: most rows of a batch.
        rows: most rows that wait or run.
        bytes: most bytes of inputs that wait or run.
    """

    batch: int
    rows: int
    bytes: int


@dataclass(eq=False, slots=True)
class Job:
    """A request for a model.

    Args:
        run: computes it alone.
        rows: number of rows.
        bytes: of its inputs.
        deadline: time of `time.monotonic` after which nobody waits for it.
        key: jobs of equal keys may run in one batch; None if it must run alone.
        inputs: what a batch joins; used only with a key.
    """

    run: Callable[[], Any]
    rows: int
    bytes: int
    deadline: float
    key: Hashable = None
    inputs: Arrays = field(default_factory=dict)
    future: asyncio.Future[Any] = field(init=False)
    since: float = field(init=False, default=0.0)


class Batches(Protocol):
    """What is told about the work, in the thread that does it."""

    def ran(self, jobs: Sequence[Job], began: float, ended: float) -> None: ...


class Batcher:
    """Runs the jobs of one model in one thread.

    Args:
        name: of the model, for messages.
        run_batch: runs joined inputs, returns all outputs by name; raises `AeonnxError`.
        limits: bounds of the queue and of a batch.
        batched: names of the inputs and outputs whose first axis is that of rows.
        watch: is told about each batch.
    """

    def __init__(
        self,
        name: str,
        run_batch: Callable[[Arrays], dict[str, Array]],
        limits: Limits,
        batched: frozenset[str],
        watch: Batches,
    ) -> None:
        self._name, self._run_batch, self._limits = name, run_batch, limits
        self._batched, self._watch = batched, watch
        self._waiting: deque[Job] = deque()
        self._changed = threading.Condition()
        self._rows = self._bytes = 0
        self._closed = False
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._work, name=f"run {name}", daemon=True)
        self._thread.start()

    @property
    def pending(self) -> int:
        """Rows that wait or run."""
        return self._rows

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def require_room(self, rows: int, size: int) -> None:
        """Raise unless so many more rows and bytes fit in the queue.

        Raises:
            RequestError: they do not.
        """
        if self._rows + rows > self._limits.rows or self._bytes + size > self._limits.bytes:
            raise RequestError(
                503, f"{self._name}: too many requests are waiting: try again", "rejected", 1
            )

    def submit(self, job: Job) -> asyncio.Future[Any]:
        """Queue a job; cancel the future when nobody waits for it any more.

        Raises:
            RequestError: the queue is full, the job is larger than the queue, or the server stops.
        """
        limits = self._limits
        if job.rows > limits.rows or job.bytes > limits.bytes:
            raise RequestError(
                413,
                f"{self._name}: expected at most {limits.rows} rows and {limits.bytes} bytes, got "
                f"{job.rows} and {job.bytes}: send fewer rows at once",
            )
        job.future, job.since = self._loop.create_future(), time.monotonic()
        with self._changed:
            if self._closed:
                raise RequestError(503, "the server is stopping", "rejected", 1)
            self.require_room(job.rows, job.bytes)
            self._rows += job.rows
            self._bytes += job.bytes
            self._waiting.append(job)
            self._changed.notify()
        return job.future

    def close(self) -> None:
        """Refuse new jobs, and end the thread once those in the queue are done."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def _work(self) -> None:
        while jobs := self._take():
            began = time.monotonic()
            found = self._results(jobs)
            self._watch.ran(jobs, began, time.monotonic())
            self._done(jobs, found)

    def _take(self) -> list[Job]:
        """The oldest job, and those that can run with it; [] when closed and empty."""
        while True:
            with self._changed:
                while not self._waiting and not self._closed:
                    self._changed.wait()
                if not self._waiting:
                    return []
                jobs = self._together()
            live: list[Job] = []
            dead: list[Job] = []
            now = time.monotonic()
            for job in jobs:
                (dead if job.future.done() or job.deadline < now else live).append(job)
            if dead:
                expired = RequestError(503, "the request waited longer than its limit", "expired")
                self._done(dead, [expired] * len(dead))
            if live:
                return live

    def _together(self) -> list[Job]:
        first = self._waiting.popleft()
        if first.key is None:
            return [first]
        jobs, rows, left = [first], first.rows, deque[Job]()
        while self._waiting and rows < self._limits.batch:
            job = self._waiting.popleft()
            if job.key == first.key and rows + job.rows <= self._limits.batch:
                jobs.append(job)
                rows += job.rows
            else:
                left.append(job)
        left.extend(self._waiting)
        self._waiting = left
        return jobs

    def _results(self, jobs: Sequence[Job]) -> list[Any]:
        """The result of each job, or the exception that it ended with."""
        if len(jobs) > 1:
            try:
                return self._joined(jobs)
            except Exception as error:  # one job may have spoiled it for all: run each alone
                _LOG.warning("%s: a batch of %d failed: %s", self._name, len(jobs), error)
        return [_outcome(job.run) for job in jobs]

    def _joined(self, jobs: Sequence[Job]) -> list[Any]:
        names, first = jobs[0].inputs, jobs[0]
        found = self._run_batch(
            {
                name: np.concatenate([job.inputs[name] for job in jobs])
                if name in self._batched
                else first.inputs[name]
                for name in names
            }
        )
        results, start = [], 0
        for job in jobs:
            rows = slice(start, start + job.rows)
            results.append(
                {
                    name: value[rows] if name in self._batched else value
                    for name, value in found.items()
                }
            )
            start = rows.stop
        return results

    def _done(self, jobs: Sequence[Job], results: Sequence[Any]) -> None:
        with self._changed:
            self._rows -= sum(job.rows for job in jobs)
            self._bytes -= sum(job.bytes for job in jobs)
        try:
            self._loop.call_soon_threadsafe(_deliver, jobs, results)
        except RuntimeError:  # the loop was closed: nobody waits
            _LOG.debug("%s: %d results came after the end", self._name, len(jobs))


def _outcome(run: Callable[[], Any]) -> Any:
    try:
        return run()
    except (InputError, UsageError) as error:
        return RequestError(400, str(error))
    except Exception as error:  # whatever it is, the thread must go on
        return error


def _deliver(jobs: Sequence[Job], results: Sequence[Any]) -> None:
    for job, result in zip(jobs, results, strict=True):
        if job.future.done():  # its client is gone
            continue
        if isinstance(result, Exception):
            job.future.set_exception(result)
        else:
            job.future.set_result(result)
