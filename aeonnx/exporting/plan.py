"""Resolve export options against a model: which graphs to write, and how."""

from __future__ import annotations

from dataclasses import dataclass, replace

from aeonnx.bundle import BATCH
from aeonnx.errors import UsageError
from aeonnx.exporting.opsets import SAMPLER_OPSET
from aeonnx.exporting.options import SAMPLER, ExportOptions, require_parts
from aeonnx.exporting.passes.pixels import require_pixels
from aeonnx.models import Model, Part
from aeonnx.runtime.export_advice import why_no_sampler

__all__ = ["Plan", "WantedVariant", "make_plan", "prior_of", "with_fixed_batch"]


@dataclass(frozen=True)
class WantedVariant:
    """A variant to write of every part: precision, and dtype of its images."""

    precision: str = "fp32"
    io: str = "float"

    @property
    def name(self) -> str:
        """Its key in the manifest: "int8", "fp32-uint8"."""
        return self.precision if self.io == "float" else f"{self.precision}-{self.io}"


@dataclass(frozen=True)
class Plan:
    """The graphs to write.

    Args:
        parts: names of parts in the model's order, then the sampler if there is one.
        variants: additional to fp32 with float images, for each part except the sampler.
        opset: of all graphs.
        batch: fixed batch size of the graphs; None for a dynamic batch.
        prior: one of `options.PRIORS`; None without a sampler.
        left_out: a line for each part that was not requested by name and cannot be exported.
    """

    parts: tuple[str, ...]
    variants: tuple[WantedVariant, ...]
    opset: int
    batch: int | None
    prior: str | None
    left_out: tuple[str, ...]


def make_plan(options: ExportOptions, model: Model) -> Plan:
    """Check the options against the model.

    Raises:
        UsageError: an option is unknown, out of range, or contradicts another, or `--io uint8` is
            set and a part has no tensor that can be pixels.
    """
    opset, batch = options.opset_and_batch()
    trained_for = prior_of(model)
    prior = options.prior or ("standard" if trained_for else None)
    if prior == "standard" and not trained_for:
        raise UsageError(
            f"--prior standard: {options.model} was not trained to decode it. Use --prior fitted"
        )
    parts, left_out = _parts(options, model.parts(), prior, opset)
    if SAMPLER not in parts and (options.prior or options.temperature != 1.0):
        why = "; ".join(text for text in left_out if text.startswith(SAMPLER))
        raise UsageError(
            "--prior and --temperature apply only to the sampler, which is not exported: "
            f"{why or 'add --part sampler'}"
        )
    precisions = dict.fromkeys(("fp32", *options.precisions))
    io = dict.fromkeys(("float", *options.io))
    variants = tuple(WantedVariant(precision, kind) for kind in io for precision in precisions)[1:]
    declared = model.parts()
    for name in parts if any(want.io == "uint8" for want in variants) else ():
        if name != SAMPLER:
            require_pixels(name, declared[name])
    if variants and parts == (SAMPLER,):
        raise UsageError(
            "the sampler has one form, fp32 with uint8 images: leave --precision and --io out, or "
            "export the decoder too"
        )
    return Plan(parts, variants, opset, batch, prior if SAMPLER in parts else None, tuple(left_out))


def prior_of(model: Model) -> str | None:
    """Name of the prior that a model was trained with; None if it has none or names none."""
    name: str | None = getattr(model, "prior", None)
    return name


def _parts(
    options: ExportOptions, declared: dict[str, Part], prior: str | None, opset: int
) -> tuple[tuple[str, ...], list[str]]:
    known = [*declared]
    problem = None
    if prior is None:
        problem = (
            f"{options.model} learns no distribution of its latents: fit one with --prior fitted"
        )
    elif opset < SAMPLER_OPSET:
        problem = (
            f"it needs the bitwise operators of opset {SAMPLER_OPSET}, and this is opset {opset}"
        )
    else:
        problem = why_no_sampler(declared.get("decoder"))
    require_parts(options, known)
    if SAMPLER in options.parts and problem:
        raise UsageError(f"no sampler: {problem}")
    possible = known if problem else [*known, SAMPLER]
    parts = tuple(name for name in possible if name in (options.parts or possible))
    # Do not report the sampler as left out if the model has no prior: nobody expects one.
    told = [f"sampler left out: {problem}"] if problem and prior and not options.parts else []
    return parts, told


def with_fixed_batch(part: Part, batch: int | None) -> Part:
    """The part with its batch axis fixed to `batch` rows; unchanged if `batch` is None."""
    if batch is None:
        return part
    axes = {name: axis for name, axis in part.axes.items() if name != BATCH}
    inputs, outputs = (
        tuple(
            replace(spec, shape=tuple(batch if size == BATCH else size for size in spec.shape))
            for spec in specs
        )
        for specs in (part.inputs, part.outputs)
    )
    return replace(part, inputs=inputs, outputs=outputs, axes=axes)
