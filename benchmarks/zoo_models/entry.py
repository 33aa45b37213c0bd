"""What describes a model of the zoo."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Entry", "in_code"]


@dataclass(frozen=True)
class Entry:
    """A model of the zoo.

    Args:
        family: the library, or the kind of model.
        source: name of the source for `--from`.
        save: writes the model into a folder; None for a function in code.
        function: "package.module:function" of such a model.
    """

    family: str
    source: str
    save: Callable[[Path], object] | None = None
    function: str = ""

    def location(self, folder: Path) -> str:
        """The value of `--from`; the model is written into the folder."""
        if self.save is None:
            return f"{self.source}:{self.function}"
        self.save(folder)
        return f"{self.source}:{folder}"


def in_code(family: str, function: str) -> Entry:
    """A model that a function of this package makes."""
    return Entry(family, "module", function=f"benchmarks.zoo_models.{function}")
