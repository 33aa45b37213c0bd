"""The options of a benchmark, and the cells (combinations) that they mean for a bundle."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product
from math import inf
from pathlib import Path

from aeonnx import runtime
from aeonnx._util import files
from aeonnx._util.machine import usable_cores
from aeonnx._util.optional import require_modules
from aeonnx.catalog.source import Source
from aeonnx.errors import UnknownNameError, UsageError
from aeonnx.io import images
from aeonnx.runtime import Bundle
from aeonnx.runtime.interface import batch_of

__all__ = ["BenchOptions", "Case", "cases_of", "check"]

_BATCHES = (1, 32, 1024)


@dataclass(frozen=True)
class BenchOptions:
    """What to measure.

    Args:
        bundle: the bundle's folder.
        parts: names of parts; empty for all.
        variants: names of variants, such as "int8" or "fp32-uint8"; empty for all.
        batches: rows per call; empty for 1, 32 and 1024, or for a graph's fixed batch.
        providers: names of execution providers, as for `aeonnx.load`, or "auto".
        threads: threads per session on the CPU; empty for the cores this process may use.
        seconds: time to measure each contender for, in each cell.
        checkpoint: the checkpoint that the bundle was exported from, to measure torch too.
        from_source, weights: the source that it was exported from, see `Source`.
        chart: path of a PNG to draw.
        force: replace the chart if it exists.
    """

    bundle: Path
    parts: tuple[str, ...] = ()
    variants: tuple[str, ...] = ()
    batches: tuple[int, ...] = ()
    providers: tuple[str, ...] = ("auto",)
    threads: tuple[int, ...] = ()
    seconds: float = 1.0
    checkpoint: Path | None = None
    from_source: str | None = None
    weights: Path | None = None
    chart: Path | None = None
    force: bool = False

    @property
    def source(self) -> Source:
        """The model to measure torch with; may be empty."""
        return Source(self.checkpoint, self.from_source, self.weights)


@dataclass(frozen=True)
class Case:
    """What one cell measures.

    Args:
        part, variant: names of the graph's part and variant.
        batch: rows per call.
        provider: full name of the execution provider.
        threads: threads per session.
    """

    part: str
    variant: str
    batch: int
    provider: str
    threads: int


def check(options: BenchOptions) -> None:
    """Check the options that can be checked without a bundle, before anything is measured.

    Raises:
        UsageError: a number is out of range, or the chart's name does not end in .png.
        OutputError: the chart exists and `force` is not set.
        MissingExtraError: a chart needs matplotlib.
    """
    for option, numbers in (("--batch", options.batches), ("--threads", options.threads)):
        for number in numbers:
            if number < 1:
                raise UsageError(f"{option}: expected 1 or more, got {number}")
    if not 0 < options.seconds < inf:
        raise UsageError(f"--seconds: expected a number above 0, got {options.seconds:g}")
    if options.chart:
        images.require_suffix(options.chart, (".png",), ".png (a chart)")
        files.refuse_existing(options.chart, force=options.force)
        require_modules("matplotlib", extra="train", purpose="a chart")


def cases_of(options: BenchOptions, bundle: Bundle) -> list[Case]:
    """All cells: parts x variants x batches x providers x threads.

    Raises:
        UsageError: the bundle has no such part or variant, or a graph has another fixed batch.
        ProviderError: a provider that is named cannot run here.
    """
    graphs = _graphs(options, bundle)
    for part, variant in graphs:
        fixed = batch_of(bundle.variant(part, variant))
        if fixed and set(options.batches) - {fixed}:
            raise UsageError(
                f"--batch: the graphs of {options.bundle} are fixed to {fixed} rows, got "
                f"{_listed(options.batches)}: leave --batch out"
            )
    providers = [_resolved(options.bundle, *graphs[0], name) for name in options.providers]
    cases = (
        Case(part, variant, batch, provider, threads)
        for provider, threads, (part, variant) in product(
            providers, options.threads or (usable_cores(),), graphs
        )
        for batch in _batches(options, batch_of(bundle.variant(part, variant)))
    )
    return list(dict.fromkeys(cases))


def _graphs(options: BenchOptions, bundle: Bundle) -> list[tuple[str, str]]:
    """(part, variant) of the graphs to measure; raises if a name is unknown."""
    contents = bundle.manifest.parts
    for part in options.parts:
        if part not in contents:
            raise UnknownNameError("part", part, contents)
        for variant in options.variants or ("fp32",):
            bundle.variant(part, variant)
    known = [name for variants in contents.values() for name in variants]
    for name in options.variants:
        if name not in known:
            raise UnknownNameError("variant", name, set(known))
    return [
        (part, variant)
        for part in options.parts or contents
        for variant in options.variants or contents[part]
        if variant in contents[part]
    ]


def _batches(options: BenchOptions, fixed: int | None) -> tuple[int, ...]:
    return (fixed,) if fixed else options.batches or _BATCHES


def _resolved(folder: Path, part: str, variant: str, provider: str) -> str:
    """Full name of the provider that a graph really runs on."""
    bundle = runtime.load(folder, None if provider == "auto" else [provider])
    bundle.session(part, variant)
    return str(bundle.provider)


def _listed(numbers: Iterable[int]) -> str:
    return ", ".join(map(str, numbers))
