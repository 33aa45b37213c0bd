"""Kill commands at every system call that changes their output, and at random moments.

    python benchmarks/kills.py --random 150 -o benchmarks/results/kills.md

A reader must then find either all of the old files or all of the new ones, and running the command
again must succeed and leave no other files. Needs strace. Each command runs in a child forked from
a process that has imported everything, so that a kill costs no more time than the command itself.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from kill_scenarios import SCENARIOS, Scenario, prepare
from machine import describe

CALLS = (
    *("openat", "mkdir", "mkdirat", "rename", "renameat", "renameat2", "unlink", "unlinkat"),
    *("rmdir", "write", "pwrite64", "ftruncate", "fsync", "fchmod", "fchown", "link", "linkat"),
)
AGAIN = 5  # one in so many random kills is followed by a full run of the command
_LINE = re.compile(r"^(\d+) +(\w+)\((.*)\) += (\S+)")


@dataclass
class Tally:
    """The results of one scenario: how often each state was found, and the errors."""

    stops: int = 0
    moments: int = 0
    states: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


def main() -> int:
    """Kill, check, and write the table; returns 1 if a reader found a mixture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--random", type=int, default=100, help="kills at random moments, of each command"
    )
    parser.add_argument("--only", choices=sorted(SCENARIOS), action="append")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--output", type=Path)
    arguments = parser.parse_args()
    chosen = {name: SCENARIOS[name] for name in arguments.only or SCENARIOS}
    rng = random.Random(arguments.seed)  # noqa: S311
    tallies = {}
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder) / "base"
        prepare(base)
        for name, scenario in chosen.items():
            tally = tallies[name] = Tally()
            room = Room(scenario, base, Path(folder) / name)
            for call, nth in room.calls():
                tally.stops += 1
                judge(room, tally, f"{call} {nth}", partial(room.stopped, call, nth))
            seconds = room.seconds()
            for number in range(arguments.random):
                tally.moments += 1
                after = rng.uniform(0, seconds)
                kill = partial(room.killed, after)
                judge(room, tally, f"after {after:.4f} s", kill, again=number % AGAIN == 0)
            print(f"{name}: {dict(tally.states)}, {len(tally.wrong)} wrong", flush=True)
    rows = {**(_rows(arguments.output) if arguments.output else {}), **_counted(tallies)}
    text = "\n".join((describe(), "", *HEAD, *rows.values(), ""))
    print(text)
    for name, tally in tallies.items():
        for line in tally.wrong[:20]:
            print(f"{name}: {line}", file=sys.stderr)
    if arguments.output:
        arguments.output.write_text(text)
    return 1 if any(tally.wrong for tally in tallies.values()) else 0


HEAD = (
    "| command | stops, one at each call | random kills | old | new | mixed, lost or left behind |",
    "| --- | --- | --- | --- | --- | --- |",
)


def _counted(tallies: Mapping[str, Tally]) -> dict[str, str]:
    """Rows of the table by command."""
    found = {}
    for name, tally in tallies.items():
        old, new = tally.states["old"], tally.states["new"]
        row = (name, tally.stops, tally.moments, old, new, len(tally.wrong))
        found[name] = f"| {' | '.join(map(str, row))} |"
    return found


def _rows(path: Path) -> dict[str, str]:
    """Rows of an earlier run, possibly of other commands."""
    lines = path.read_text().splitlines() if path.exists() else []
    return {line.split(" | ")[0][2:]: line for line in lines[4:] if line}


def judge(
    room: Room, tally: Tally, what: str, kill: Callable[[], None], *, again: bool = True
) -> None:
    """Kill, check the files, and if `again` run to the end and check once more."""
    room.clear()
    kill()
    found = room.scenario.look(room.folder)
    tally.states[found] += 1
    if found not in ("old", "new"):
        tally.wrong.append(f"{what}: {found}")
    if not again:
        return
    code = room.whole()
    if code:
        tally.wrong.append(f"{what}: the command given again ended with {code}")
    elif (found := room.scenario.look(room.folder)) != "new":
        tally.wrong.append(f"{what}: after the command was given again: {found}")
    elif left := sorted(path.name for path in room.folder.rglob(".*")):
        tally.wrong.append(f"{what}: left behind: {left}")


@dataclass(frozen=True)
class Room:
    """A scenario in its own folder."""

    scenario: Scenario
    base: Path
    folder: Path

    def clear(self) -> None:
        """Restore the state before the command."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        self.scenario.before(self.base, self.folder)

    def whole(self) -> int:
        """Run the command to its end; returns the exit code."""
        _, status = os.waitpid(self._start(), 0)
        return os.waitstatus_to_exitcode(status)

    def seconds(self) -> float:
        """Seconds that the command takes."""
        self.clear()
        began = time.monotonic()
        self.whole()
        return time.monotonic() - began

    def killed(self, after: float) -> None:
        """Kill the command after that many seconds."""
        child = self._start()
        time.sleep(after)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)

    def calls(self) -> list[tuple[str, int]]:
        """System calls that change the folder, by name and by index among those of the thread."""
        self.clear()
        log = self.folder.parent / f"{self.folder.name}.log"
        with self._traced("-y", "-s", "0", "-e", f"trace={','.join(CALLS)}", "-o", str(log)):
            pass
        counts: Counter[tuple[str, str]] = Counter()
        found = []
        for thread, call, arguments in map(_parsed, log.read_text(errors="replace").splitlines()):
            counts[thread, call] += 1
            if str(self.folder) in arguments and _changes(call, arguments):
                found.append((call, counts[thread, call]))
        return sorted(set(found))

    def stopped(self, call: str, nth: int) -> None:
        """Kill the command on entry to a system call."""
        with self._traced("-e", f"inject={call}:signal=KILL:when={nth}", "-o", os.devnull):
            pass

    @contextlib.contextmanager
    def _traced(self, *options: str) -> Iterator[None]:
        child = self._start(wait=True)
        os.waitpid(child, os.WUNTRACED)
        with subprocess.Popen(
            ["/usr/bin/strace", "-f", "-qq", *options, "-p", str(child)], stderr=subprocess.DEVNULL
        ) as strace:
            while "TracerPid:\t0\n" in Path(f"/proc/{child}/status").read_text():
                time.sleep(0.002)
            os.kill(child, signal.SIGCONT)
            yield
            os.waitpid(child, 0)
            strace.wait()

    def _start(self, *, wait: bool = False) -> int:
        child = os.fork()
        if child:
            return child
        code = 70
        try:
            if wait:
                os.kill(os.getpid(), signal.SIGSTOP)
            code = quietly(lambda: self.scenario.command(self.base, self.folder))
        finally:
            os._exit(code)


def quietly(run: Callable[[], int]) -> int:
    """Run without output."""
    with open(os.devnull, "w") as nothing:
        os.dup2(nothing.fileno(), 1)
        os.dup2(nothing.fileno(), 2)
        return run()


def _parsed(line: str) -> tuple[str, str, str]:
    match = _LINE.match(line)
    return (match[1], match[2], match[3]) if match else ("", "", "")


def _changes(call: str, arguments: str) -> bool:
    return call != "openat" or "O_CREAT" in arguments or "O_TRUNC" in arguments


if __name__ == "__main__":
    sys.exit(main())
