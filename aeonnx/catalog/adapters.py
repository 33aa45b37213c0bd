"""Adapters of sources: what `--from NAME:LOCATION` loads a model with. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from aeonnx.errors import UnknownNameError, UsageError

__all__ = ["GROUP", "LATENTS", "Adapter", "SourceOptions", "adapter_of"]

GROUP = "aeonnx.sources"
"""Group of the entry points by which other distributions add sources."""

LATENTS = ("plain", "scaled")

_BUILT_IN = ("diffusers", "module", "pythae", "transformers")


@dataclass(frozen=True)
class SourceOptions:
    """What an adapter's `load(location, options)` is told beside the location.

    Args:
        weights: file with the weights of the module; None for those that the location has.
        latents: one of `LATENTS`: "plain" latents are the autoencoder's own, "scaled" ones those
            that a diffusion model works on.
    """

    weights: Path | None = None
    latents: str = "plain"

    def refuse_weights(self, where: str) -> None:
        """Raise `UsageError` if weights are given to an adapter that has no use for them."""
        if self.weights is not None:
            raise UsageError(
                f"--weights is for --from module:...; {where} comes with its weights: leave it out"
            )

    def refuse_scaled(self, where: str) -> None:
        """Raise `UsageError` if the latents of a model without a scaling are to be scaled."""
        if self.latents == "scaled":
            raise UsageError(
                f"--latents scaled: {where} states no scaling of its latents: leave it out"
            )


@dataclass(frozen=True)
class Adapter:
    """A source, as the value of `--from` names it.

    Args:
        entry: `entry.load()` imports the function `load(location, options)`, which returns an
            `nn.Module` with a method `parts()`.
        location: the rest of the value, in the form that the adapter expects.
    """

    entry: EntryPoint
    location: str

    @property
    def model(self) -> str:
        """Name for the model where the user gives none: the factory's or the folder's."""
        last = self.location.rpartition(":")[2]
        return Path(last).name.strip(".") or Path(last).resolve().name


def adapter_of(text: str) -> Adapter:
    """Parse the value of `--from`.

    Raises:
        UsageError: it has not the form NAME:LOCATION.
        UnknownNameError: there is no source of this name.
    """
    name, _, location = text.partition(":")
    known = _known()
    if not (name and location):
        raise UsageError(
            f"--from: expected SOURCE:LOCATION, such as module:mine:build, got {text!r}. Sources: "
            f"{', '.join(sorted(known))}"
        )
    if name not in known:
        raise UnknownNameError(
            "source of --from", name, known, "A function in your own code is module:FILE:FUNCTION, "
            "and a checkpoint of `aeonnx train` is --checkpoint"
        )  # fmt: skip
    return Adapter(known[name], location)


def _known() -> dict[str, EntryPoint]:
    """All adapters by name; others cannot take the names of the built-in ones."""
    home = "aeonnx.exporting.sources.adapters"
    others = {entry.name: entry for entry in entry_points(group=GROUP)}
    ours = {name: EntryPoint(name, f"{home}.{name}:load", GROUP) for name in _BUILT_IN}
    return {**others, **ours}
