"""Sends requests at a fixed rate, whether or not the server keeps up."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from serving.exchange import Connection, connect

__all__ = ["Plan", "Sender", "Tally"]

_AT_ONCE = 64
"""Requests sent before answers are read again, when the generator is behind."""
_LEAVE_S = 0.001


@dataclass(frozen=True)
class Plan:
    """What to send.

    Args:
        call: file with the bytes of a request.
        rate: requests per second.
        seconds: how long.
        bad: files with requests that the server must refuse.
        every: one in so many requests is a bad one, and one is of a client that leaves; 0 for none.
        idle: file with the request that idle connections send once; "" for none.
        idlers: number of idle connections.
        probe: file with a request that one client repeats before and after; "" for none.
    """

    call: str
    rate: float
    seconds: float
    bad: Sequence[str] = ()
    every: int = 0
    idle: str = ""
    idlers: int = 0
    probe: str = ""

    @property
    def count(self) -> int:
        """Number of requests."""
        return round(self.rate * self.seconds)


@dataclass
class Tally:
    """What happened.

    Args:
        answers: latencies in seconds by status, of good requests.
        within: answers of status 200 while requests were sent.
        bad: number of answers by status, to bad requests.
        lags: seconds by which requests were sent late.
        left: clients that left without their answer.
        broken: requests whose connection the server closed.
        waiting: requests without an answer so far.
        connections: that were opened.
    """

    answers: dict[int, list[float]] = field(default_factory=dict)
    within: int = 0
    bad: dict[int, int] = field(default_factory=dict)
    lags: list[float] = field(default_factory=list)
    left: int = 0
    broken: int = 0
    waiting: int = 0
    connections: int = 0


class Sender:
    """Sends what is due over connections that are free, and opens more when none is.

    Args:
        port: of the server.
        plan: what to send.
    """

    def __init__(self, port: int, plan: Plan) -> None:
        self._port, self._plan, self._next = port, plan, 0
        self._call = Path(plan.call).read_bytes()
        self._bad = [Path(path).read_bytes() for path in plan.bad]
        self._free: list[Connection] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self.tally, self.sent, self.answered = Tally(), asyncio.Event(), asyncio.Event()

    def start(self) -> None:
        """Begin to send; `sent` and `answered` are set when all is."""
        self._began = time.perf_counter()
        self._tick()

    def _tick(self) -> None:
        """Send what is due, and look again at once: the generator has a core for itself."""
        late = time.perf_counter() - self._began
        for _ in range(_AT_ONCE):
            if self._next == self._plan.count or self._next / self._plan.rate > late:
                break
            self._send(self._next)
            self._next += 1
        if self._next < self._plan.count:
            self._loop.call_soon(self._tick)
        else:
            self.sent.set()
            self._look()

    def _send(self, number: int) -> None:
        due, every = self._began + number / self._plan.rate, self._plan.every
        if every and number % every == 1:
            self._start(self._leave(half=bool(number // every % 2)))
            return
        bad = bool(every) and number % every == 0
        call = self._bad[number // every % len(self._bad)] if bad else self._call
        self.tally.waiting += 1
        while self._free:
            connection = self._free.pop()
            if not connection.lost:
                self._ask(connection, call, due, bad=bad)
                return
        self._start(self._ask_anew(call, due, bad=bad))

    def _ask(self, connection: Connection, call: bytes, due: float, *, bad: bool) -> None:
        self.tally.lags.append(time.perf_counter() - due)

        def answered(status: int | None) -> None:
            if status is not None:
                self._free.append(connection)
            self._count(status, due, bad=bad)

        connection.ask(call, answered)

    async def _ask_anew(self, call: bytes, due: float, *, bad: bool) -> None:
        self.tally.connections += 1
        try:
            connection = await connect(self._port)
        except OSError:
            self._count(None, due, bad=bad)
        else:
            self._ask(connection, call, due, bad=bad)

    def _count(self, status: int | None, due: float, *, bad: bool) -> None:
        now, tally = time.perf_counter(), self.tally
        tally.waiting -= 1
        if status is None:
            tally.broken += 1
        elif bad:
            tally.bad[status] = tally.bad.get(status, 0) + 1
        else:
            tally.answers.setdefault(status, []).append(now - due)
            tally.within += status == 200 and now - self._began <= self._plan.seconds
        self._look()

    async def _leave(self, *, half: bool) -> None:
        """Send a request, or half of one, and close the connection soon."""
        self.tally.left += 1
        connection = await connect(self._port)
        connection.transport.write(self._call[: len(self._call) // 2] if half else self._call)
        await asyncio.sleep(_LEAVE_S)
        connection.transport.abort()

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _look(self) -> None:
        if self._next == self._plan.count and self.tally.waiting == 0:
            self.answered.set()
