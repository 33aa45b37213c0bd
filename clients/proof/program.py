"""A client's program, and what it prints."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import numpy.typing as npt
from PIL import Image

from clients.proof import languages

__all__ = ["Line", "Program", "lines_of", "pixels_of", "times_of"]

_LINE = re.compile(
    r"(?P<verdict>ok|WRONG) (?P<part>\w+) (?P<variant>[\w-]+) (?P<output>\w+): "
    r"max error (?P<error>\S+), tolerance (?P<tolerance>\S+)"
)
_TIME = re.compile(r"time (\w+) ([\w-]+): (\S+) us for one row")


@dataclass(frozen=True)
class Program:
    """A client in a language.

    Args:
        name: of the client.
        language: how it is started.
        options: of its command line, after the first word.
    """

    name: str
    language: languages.Language
    options: Sequence[str] = ()

    def __call__(self, *arguments: object) -> CompletedProcess[str]:
        """Run it with these arguments."""
        return self.under({}, *arguments)

    def under(self, environment: dict[str, str], *arguments: object) -> CompletedProcess[str]:
        """Run it with other variables."""
        first, *words = self.language.program
        command = [first, *self.options, *words, *map(str, arguments)]
        return languages.run(command, {**self.language.environment, **environment})

    @property
    def passes(self) -> tuple[int, ...]:
        """Exit codes of `check` on a good bundle: an engine with slack may be over a tolerance."""
        return (0,) if self.language.slack == 1 else (0, 3)

    def lacks(self, variant: str) -> bool:
        """Whether its engine does not run this variant."""
        return variant.startswith(tuple(self.language.lacks))

    def fuzz(self, folder: Path) -> CompletedProcess[str]:
        """Read the damaged manifests in `folder`."""
        return languages.run([*self.language.fuzz, str(folder)], self.language.environment, 300)

    def fuzz_bundles(self, folder: Path, here: Path, seconds: float) -> CompletedProcess[str]:
        """Do all that the verbs do with the bundles in `folder`, from the folder `here`."""
        command = [*self.language.fuzz, "--bundles", str(folder)]
        return languages.run(command, self.language.environment, seconds, here)


@dataclass(frozen=True)
class Line:
    """What `check` says of one output."""

    verdict: str
    part: str
    variant: str
    output: str
    error: float
    tolerance: float


def lines_of(text: str) -> list[Line]:
    """What `check` says of each output."""
    found = [match.groupdict() for match in map(_LINE.fullmatch, text.splitlines()) if match]
    return [
        Line(**{**line, "error": float(line["error"]), "tolerance": float(line["tolerance"])})
        for line in found
    ]


def times_of(text: str) -> dict[tuple[str, str], float]:
    """What `check --time` says of each variant: microseconds by part and variant."""
    found = filter(None, map(_TIME.fullmatch, text.splitlines()))
    return {(part, variant): float(time) for part, variant, time in (m.groups() for m in found)}


def pixels_of(path: Path) -> npt.NDArray[np.uint8]:
    """The pixels of a picture as they are stored."""
    with Image.open(path) as picture:
        return np.asarray(picture)
