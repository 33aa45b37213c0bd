"""Settings of a run, and its tables in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from serving.target import Target

__all__ = ["Bar", "Settings", "bars", "table"]


@dataclass(frozen=True)
class Settings:
    """What is measured, and for how long.

    Args:
        target: what the servers run.
        work: folder for scripts and logs.
        repetitions: of which medians are taken.
        load: seconds that each load lasts.
        seconds: of the overload.
        soak: seconds of the long run.
        rows: of each request of the overload.
    """

    target: Target
    work: Path
    repetitions: int
    load: float
    seconds: float
    soak: float
    rows: int


@dataclass(frozen=True)
class Bar:
    """What was asked, and what was found.

    Args:
        asked: in words.
        found: the figure.
        met: whether it is as asked.
    """

    asked: str
    found: str
    met: bool


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def bars(found: Iterable[Bar]) -> str:
    """The bars beside the figures."""
    rows = [(each.asked, each.found, "yes" if each.met else "no") for each in found]
    return table(("asked", "found", "met"), rows)
