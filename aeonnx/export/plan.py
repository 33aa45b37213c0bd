"""What an export is asked for, and what that comes to for one checkpoint."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from aeonnx import checkpoint
from aeonnx.errors import UnknownNameError, UsageError
from aeonnx.export.graph import DEFAULT_OPSET, check_opset
from aeonnx.export.precision import PRECISIONS
from aeonnx.export.sampler import LOWEST_OPSET
from aeonnx.export.targets import target_of
from aeonnx.manifest import BATCH
from aeonnx.models import Model, Part

__all__ = [
    "IO",
    "PRIORS",
    "SAMPLER",
    "ExportOptions",
    "Plan",
    "Want",
    "check_known",
    "fixed_to",
    "make_plan",
    "prior_of",
]

SAMPLER = "sampler"
IO = ("float", "uint8")
PRIORS = ("standard", "fitted", "fitted-diagonal")
STATES = ("best", "last")


@dataclass(frozen=True)
class ExportOptions:
    """What to export, from where, and to where.

    Args:
        model: registered name; with `from_module` any.
        output: the bundle's folder; None for `dist/<model>`.
        checkpoint: folder or file, see `checkpoint.load`; None for where `aeonnx train` writes.
        parts: names of parts; empty for all that the model has.
        opset: 13 to 22; None for the target's, or 18.
        force: replace a bundle of another checkpoint.
        precisions: of "fp32", "fp16" and "int8"; fp32 is always written.
        io: of "float" and "uint8"; graphs with float images are always written.
        calibration: images to find int8's ranges, the fitted prior and the scorer's percentiles
            with; None for the training images in the checkpoint.
        prior: "standard", "fitted" or "fitted-diagonal"; None for what the model was trained for.
        temperature: what the prior's deviation is multiplied by.
        static_batch: rows that the graphs are fixed to; None for any number.
        target: name of the engine to choose opset, batch and operators for.
        from_module: "package.module:factory" of a model from elsewhere, see `outside`.
        state: "best" or "last" weights of the run's newest saved state; None for its checkpoint.
    """

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
    from_module: str | None = None
    state: str | None = None

    @property
    def source(self) -> Path:
        """Where the checkpoint is."""
        return self.checkpoint or checkpoint.default_folder(self.model)

    @property
    def folder(self) -> Path:
        """Where the bundle goes."""
        return self.output or Path("dist") / self.model


@dataclass(frozen=True)
class Want:
    """One variant of the parts."""

    precision: str = "fp32"
    io: str = "float"

    @property
    def name(self) -> str:
        """Its key in the manifest: "int8", "fp32-uint8"."""
        return self.precision if self.io == "float" else f"{self.precision}-{self.io}"


@dataclass(frozen=True)
class Plan:
    """What to write.

    Args:
        parts: names, those of the model first; the sampler last if there is one.
        variants: of each part but the sampler, beside fp32 with float images.
        opset: of all graphs.
        batch: rows that graphs are fixed to; None for any number.
        prior: one of `PRIORS`; None without a sampler.
        left_out: a line for each part that was not asked for by name and cannot be written.
    """

    parts: tuple[str, ...]
    variants: tuple[Want, ...]
    opset: int
    batch: int | None
    prior: str | None
    left_out: tuple[str, ...]


def check_known(options: ExportOptions) -> None:
    """Check what needs no checkpoint, before one is read.

    Raises:
        UsageError: an option is unknown or out of range.
    """
    _opset_and_batch(options)
    for kind, given, known in (
        ("precision", options.precisions, PRECISIONS),
        ("--io", options.io, IO),
        ("prior", (options.prior,) if options.prior else (), PRIORS),
        ("--state", (options.state,) if options.state else (), STATES),
    ):
        for name in given:
            if name not in known:
                raise UnknownNameError(kind, name, known)
    if options.state and options.from_module:
        raise UsageError("--state is of a run by `aeonnx train`: leave it out with --from-module")
    if not 0 < options.temperature < float("inf"):
        raise UsageError(f"--temperature: expected a number above 0, got {options.temperature}")


def make_plan(options: ExportOptions, model: Model) -> Plan:
    """Check the options against the model.

    Raises:
        UsageError: an option is unknown, out of range, or contradicts another.
    """
    opset, batch = _opset_and_batch(options)
    trained_for = prior_of(model)
    prior = options.prior or ("standard" if trained_for else None)
    if prior == "standard" and not trained_for:
        raise UsageError(
            f"--prior standard: {options.model} was not trained to decode it. Use --prior fitted"
        )
    parts, left_out = _parts(options, [*model.parts()], prior, opset)
    if SAMPLER not in parts and (options.prior or options.temperature != 1.0):
        raise UsageError(
            "--prior and --temperature are the sampler's, which is not among the parts to export: "
            "add --part sampler"
        )
    precisions = dict.fromkeys(("fp32", *options.precisions))
    io = dict.fromkeys(("float", *options.io))
    variants = tuple(Want(precision, kind) for kind in io for precision in precisions)[1:]
    if variants and parts == (SAMPLER,):
        raise UsageError(
            "the sampler has one form, with pixels in uint8 and numbers that must be exact: leave "
            "--precision and --io out, or export the decoder too"
        )
    return Plan(parts, variants, opset, batch, prior if SAMPLER in parts else None, tuple(left_out))


def prior_of(model: Model) -> str | None:
    """The distribution that a model was trained to decode; a model from elsewhere may say none."""
    name: str | None = getattr(model, "prior", None)
    return name


def _parts(
    options: ExportOptions, known: list[str], prior: str | None, opset: int
) -> tuple[tuple[str, ...], list[str]]:
    problem = None
    if prior is None:
        problem = (
            f"{options.model} learns no distribution of its latents: fit one with --prior fitted"
        )
    elif opset < LOWEST_OPSET:
        problem = (
            f"it needs the bitwise operators of opset {LOWEST_OPSET}, and this is opset {opset}"
        )
    for name in options.parts:
        if name == SAMPLER and problem:
            raise UsageError(f"no sampler: {problem}")
        if name not in (*known, SAMPLER):
            raise UnknownNameError(f"part of {options.model}", name, [*known, SAMPLER])
    possible = known if problem else [*known, SAMPLER]
    parts = tuple(name for name in possible if name in (options.parts or possible))
    # A model without a prior has no sampler to miss.
    told = [f"sampler left out: {problem}"] if problem and prior and not options.parts else []
    return parts, told


def _opset_and_batch(options: ExportOptions) -> tuple[int, int | None]:
    opset, batch = options.opset, options.static_batch
    if batch is not None and batch < 1:
        raise UsageError(f"--static-batch: expected 1 row or more, got {batch}")
    if opset is not None:
        check_opset(opset)
    if options.target is None:
        return opset or DEFAULT_OPSET, batch
    target = target_of(options.target)
    if opset is not None and opset > target.opset:
        raise UsageError(
            f"--target {options.target} reads opsets up to {target.opset}, got --opset {opset}"
        )
    return opset or target.opset, batch or target.batch


def fixed_to(part: Part, batch: int | None) -> Part:
    """The part with its batch axis fixed; itself for None."""
    if batch is None:
        return part
    inputs, outputs = (
        tuple(
            replace(spec, shape=tuple(batch if size == BATCH else size for size in spec.shape))
            for spec in specs
        )
        for specs in (part.inputs, part.outputs)
    )
    return replace(part, inputs=inputs, outputs=outputs)
