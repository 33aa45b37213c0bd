"""Resolve export options against a model: which graphs to write, and how."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from aeonnx.bundle import BATCH
from aeonnx.errors import UsageError
from aeonnx.exporting.opsets import SAMPLER_OPSET
from aeonnx.exporting.options import SAMPLER, ExportOptions, require_parts
from aeonnx.exporting.passes.pixels import require_pixels
from aeonnx.models import Model, Part
from aeonnx.runtime.export_advice import why_no_prior, why_no_sampler, why_not_fitted

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
        prior: one of `options.PRIORS`, which the sampler draws from, or programs for the decoder;
            None to write none.
        left_out: a line for each part that was not requested by name and cannot be exported.
        notes: lines about choices that may be unexpected.
    """

    parts: tuple[str, ...]
    variants: tuple[WantedVariant, ...]
    opset: int
    batch: int | None
    prior: str | None
    left_out: tuple[str, ...]
    notes: tuple[str, ...] = ()


def make_plan(options: ExportOptions, model: Model) -> Plan:
    """Check the options against the model.

    Raises:
        UsageError: an option is unknown, out of range, or contradicts another, or `--io uint8` is
            set and a part has no tensor that can be pixels.
    """
    opset, batch = options.opset_and_batch()
    trained_for = prior_of(model)
    prior = options.prior or ("standard" if trained_for else None)
    declared = model.parts()
    problem = _no_sampler(options.model, declared, prior, opset)
    parts, left_out = _parts(options, declared, problem, told=prior is not None)
    _require_used(options, parts, declared)
    asked = options.prior is not None or options.temperature != 1.0
    if asked:
        _require_prior(options, prior, parts, declared, problem)
    precisions = dict.fromkeys(("fp32", *options.precisions))
    io = dict.fromkeys(("float", *options.io))
    variants = tuple(WantedVariant(precision, kind) for kind in io for precision in precisions)[1:]
    for name in parts if any(want.io == "uint8" for want in variants) else ():
        if name != SAMPLER:
            require_pixels(name, declared[name])
    if variants and parts == (SAMPLER,):
        raise UsageError(
            "the sampler has one form, fp32 with uint8 images: leave --precision and --io out, or "
            "export the decoder too"
        )
    notes = []
    if prior == "standard" and not trained_for:
        notes.append(
            f"prior: {options.model} does not say that it was trained to decode N(0, I): what it "
            "makes of it may be unlike its training data"
        )
    drawn = prior if asked or SAMPLER in parts else None
    return Plan(parts, variants, opset, batch, drawn, tuple(left_out), tuple(notes))


def prior_of(model: Model) -> str | None:
    """Name of the prior that a model was trained with; None if it has none or names none."""
    name: str | None = getattr(model, "prior", None)
    return name


def _no_sampler(
    model: str, declared: Mapping[str, Part], prior: str | None, opset: int
) -> str | None:
    """Why no sampler can be made; None if one can."""
    problem = why_no_sampler(declared.get("decoder"))
    if problem:
        return problem
    if prior is None:
        return _no_distribution(model, declared)
    if opset < SAMPLER_OPSET:
        return f"it needs the bitwise operators of opset {SAMPLER_OPSET}, and this is opset {opset}"
    return None


def _no_distribution(model: str, declared: Mapping[str, Part]) -> str:
    """A sentence about a model without a prior, where none is asked for."""
    draw = "draw from N(0, I) with --prior standard"
    how = draw if why_not_fitted(declared) else "fit one with --prior fitted"
    return f"{model} learns no distribution of its latents: {how}"


def _require_prior(
    options: ExportOptions,
    prior: str | None,
    parts: Collection[str],
    declared: Mapping[str, Part],
    problem: str | None,
) -> None:
    """Check that something is exported that draws from the prior, which was asked for.

    That is the sampler, or the decoder, for whose latents programs draw from it.

    Raises:
        UsageError: it is not.
    """
    what = "--temperature" if prior is None else f"--prior {prior}"
    why = why_no_prior(declared.get("decoder"))
    if not why and prior is None:
        why = _no_distribution(options.model, declared)
    if not why and prior not in (None, "standard"):
        why = why_not_fitted(declared)
        why = why and f"{why}: give --prior standard"
    if why:
        raise UsageError(f"{what}: {why}")
    if not {"decoder", SAMPLER} & {*parts}:
        drawing = "decoder" if problem else SAMPLER
        raise UsageError(
            "--prior and --temperature are for the decoder and the sampler, and neither is "
            f"exported: add --part {drawing}"
        )


def _require_used(
    options: ExportOptions, parts: Collection[str], declared: Collection[str]
) -> None:
    """Check that each part that an option changes is exported.

    Raises:
        UsageError: one is not.
    """
    for what, asked, part in (
        (f"--score {options.score}", options.score is not None, "scorer"),
        (f"--ensemble {options.ensemble}", options.ensemble is not None, "denoiser"),
    ):
        if asked and part not in declared:
            raise UsageError(
                f"{what} is for the part {part}, and this model has {', '.join(declared)}: leave "
                "it out"
            )
        if asked and part not in parts:
            raise UsageError(
                f"{what} is for the part {part}, which is not exported: add --part {part}"
            )


def _parts(
    options: ExportOptions, declared: Mapping[str, Part], problem: str | None, *, told: bool
) -> tuple[tuple[str, ...], list[str]]:
    """Names of the parts to export, and what is left out, if that is to be told."""
    if SAMPLER in options.parts and problem:
        raise UsageError(f"no sampler: {problem}")
    possible = [*declared] if problem else [*declared, SAMPLER]
    require_parts(options, possible)
    parts = tuple(name for name in possible if name in (options.parts or possible))
    # Do not report the sampler as left out if the model has no prior: nobody expects one.
    left_out = [f"sampler left out: {problem}"] if problem and told and not options.parts else []
    return parts, left_out


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
