"""Options of an export, checked before torch is imported. Standard library only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aeonnx import catalog
from aeonnx.bundle import PRECISIONS
from aeonnx.catalog.adapters import LATENTS
from aeonnx.catalog.ranges import require_number, require_whole
from aeonnx.catalog.source import Source, default_folder, is_folder
from aeonnx.errors import UnknownNameError, UsageError
from aeonnx.exporting.opsets import DEFAULT_OPSET, check_opset
from aeonnx.exporting.targets import target_of

__all__ = [
    "IO",
    "PRIORS",
    "SAMPLER",
    "STATES",
    "ExportOptions",
    "check",
    "require_parts",
]

SAMPLER = "sampler"
IO = ("float", "uint8")
PRIORS = ("standard", "fitted", "fitted-diagonal", "mixture")
STATES = ("best", "last")
MEASURES = ("error", "mahalanobis", "combined", "dssim", "nll")
"""Values of `--score`, and names of the scorer's outputs."""
ORIENTATIONS = (4, 8)
"""Values of `--ensemble`: an image and its flips, and those of the turned image too."""


@dataclass(frozen=True)
class ExportOptions:
    """The options of an export: the arguments of `aeonnx.export`, which describes each."""

    model: str
    output: Path | None = None
    checkpoint: Path | None = None
    parts: tuple[str, ...] = ()
    opset: int | None = None
    force: bool = False
    precisions: tuple[str, ...] = ()
    io: tuple[str, ...] = ()
    calibration: Path | None = None
    prior: str | None = None
    temperature: float = 1.0
    static_batch: int | None = None
    target: str | None = None
    from_source: str | None = None
    weights: Path | None = None
    latents: str | None = None
    state: str | None = None
    modules: Mapping[str, Any] | None = None
    example: Any = None
    range: tuple[float, float] | None = None
    score: str | None = None
    ensemble: int | None = None

    @property
    def trained(self) -> Path:
        """Folder or file of the checkpoint."""
        return self.checkpoint or default_folder(self.model)

    @property
    def source(self) -> Source:
        """Where the model comes from, if the user said it."""
        return Source(self.checkpoint, self.from_source, self.weights, self.latents or "plain")

    @property
    def folder(self) -> Path:
        """Folder of the bundle."""
        return self.output or Path("dist") / self.model

    def opset_and_batch(self) -> tuple[int, int | None]:
        """Opset and fixed batch size of all graphs; the batch size is None for a dynamic batch.

        Raises:
            UsageError: one of them is out of range, the target is unknown, or it does not support
                the opset.
        """
        opset, batch = self.opset, self.static_batch
        for what, value in (("--opset", opset), ("--static-batch", batch)):
            if value is not None:
                require_whole(what, value)
        if batch is not None and batch < 1:
            raise UsageError(f"--static-batch: expected 1 row or more, got {batch}")
        if opset is not None:
            check_opset(opset)
        if self.target is None:
            return opset or DEFAULT_OPSET, batch
        target = target_of(self.target)
        if opset is not None and opset > target.opset:
            raise UsageError(
                f"--target {self.target} reads opsets up to {target.opset}, got --opset {opset}"
            )
        return opset or target.opset, batch or target.batch


def check(options: ExportOptions) -> None:
    """Check everything that needs neither torch nor the checkpoint's content.

    Raises:
        UsageError: the model, a part or another name is unknown, a number is out of range, or
            options contradict each other.
        CheckpointError: there is no checkpoint.
    """
    options.opset_and_batch()
    for kind, given, known in (
        ("precision", options.precisions, PRECISIONS),
        ("--io", options.io, IO),
        ("prior", () if options.prior is None else (options.prior,), PRIORS),
        ("--latents", () if options.latents is None else (options.latents,), LATENTS),
        ("--score", () if options.score is None else (options.score,), MEASURES),
        ("--state", () if options.state is None else (options.state,), STATES),
    ):
        for name in given:
            if name not in known:
                raise UnknownNameError(kind, name, known)
    if options.ensemble is not None and options.ensemble not in ORIENTATIONS:
        raise UsageError(
            f"--ensemble: expected {' or '.join(map(str, ORIENTATIONS))} orientations of each "
            f"image, got {options.ensemble}"
        )
    require_number("--temperature", options.temperature)
    if not 0 < options.temperature < float("inf"):
        raise UsageError(f"--temperature: expected a number above 0, got {options.temperature}")
    if options.from_source or options.weights:
        options.source.check("--checkpoint", options.model)
    if options.latents and not options.from_source:
        raise UsageError("--latents is for --from: the latents of aeonnx's models have no scaling")
    if options.modules:
        _require_no_other_source(options)
        return
    if options.from_source:
        if options.state:
            raise UsageError(
                "--state selects weights of an `aeonnx train` run: leave it out with --from"
            )
        return
    parts = catalog.model(options.model).parts
    require_parts(options, (*parts, SAMPLER) if "decoder" in parts else parts)
    is_folder(options.trained, options.model)


def _require_no_other_source(options: ExportOptions) -> None:
    for name in ("from_source", "weights", "checkpoint", "state"):
        if getattr(options, name) is not None:
            raise UsageError(
                f"{name}: expected none beside modules, {', '.join(options.modules or ())}: load "
                "the weights into them first"
            )


def require_parts(options: ExportOptions, known: Iterable[str]) -> None:
    """Raise `UnknownNameError` unless each of `options.parts` is in `known`."""
    known = tuple(known)
    for name in options.parts:
        if name not in known:
            raise UnknownNameError(f"part of {options.model}", name, known)
