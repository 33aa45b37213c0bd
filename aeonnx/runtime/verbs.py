"""Checks from the manifest that a part has the inputs and outputs that a verb needs."""

from __future__ import annotations

from dataclasses import dataclass

from aeonnx.bundle import Manifest, TensorSpec, Variant
from aeonnx.errors import BundleError

__all__ = ["OUTPUTS", "PARTS", "check_verb", "made_by", "steps_of", "taken_by"]

_DATA = ("image", "signal", "volume", "vector", "other")
_LATENT = ("latent", "codes", "vector", "other")


@dataclass(frozen=True)
class _Rule:
    """The part that a verb runs, and its inputs and output.

    Args:
        part: name of the part.
        takes: kinds of its first input.
        gives: kinds of its output.
        output: name of the output; "" for the first.
        alike: whether the output has the kind and the shape of the input.
    """

    part: str
    takes: tuple[str, ...]
    gives: tuple[str, ...]
    output: str = ""
    alike: bool = False


_RULES = {
    "encode": _Rule("encoder", _DATA, _LATENT),
    "decode": _Rule("decoder", _LATENT, _DATA),
    "reconstruct": _Rule("reconstructor", _DATA, _DATA, alike=True),
    "denoise": _Rule("denoiser", _DATA, _DATA, alike=True),
    "score": _Rule("scorer", _DATA, ("score",), "error"),
    "classify": _Rule("classifier", _DATA, ("vector",), "probabilities"),
    "generate": _Rule("sampler", ("seed",), ("image",), "image"),
}
PARTS = {verb: rule.part for verb, rule in _RULES.items()}
"""The part that a verb runs."""
OUTPUTS = {verb: rule.output for verb, rule in _RULES.items()}
"""The output that a verb returns; "" for the first."""


def steps_of(contents: Manifest, verb: str) -> tuple[str, ...]:
    """The steps of a verb, each a verb that one part runs.

    "reconstruct" without a reconstructor becomes "encode" and "decode". "generate" with a decoder
    becomes "decode" of latents drawn outside the graph; the sampler draws and decodes in one graph.
    """
    has = contents.parts.keys()
    if verb == "reconstruct" and "reconstructor" not in has and {"encoder", "decoder"} <= has:
        return ("encode", "decode")
    if verb == "generate" and ("decoder" in has or "sampler" not in has):
        return ("decode",)
    return (verb,)


def taken_by(contents: Manifest, verb: str) -> str:
    """The part that takes the input of a verb."""
    return PARTS[steps_of(contents, verb)[0]]


def made_by(contents: Manifest, verb: str) -> tuple[str, TensorSpec]:
    """The part whose output a verb returns, and that output."""
    last = steps_of(contents, verb)[-1]
    part, name = PARTS[last], OUTPUTS[last]
    outputs = contents.parts[part]["fp32"].outputs
    return part, next(spec for spec in outputs if spec.name == name or not name)


def check_verb(contents: Manifest, verb: str) -> None:
    """Check that every variant of a verb's part has the inputs and outputs that the verb needs.

    Raises:
        BundleError: one has not; the message says what was expected and what the manifest says.
    """
    rule = _RULES[verb]
    for variant in contents.parts[rule.part].values():
        problem = _problem(rule, variant)
        if problem:
            raise BundleError(f"this bundle's {rule.part} cannot {verb}: expected {problem}")


def _problem(rule: _Rule, variant: Variant) -> str | None:
    """What was expected and what the variant has; None if it fits."""
    first = variant.inputs[0]
    output = next((s for s in variant.outputs if s.name == rule.output or not rule.output), None)
    if output is None:
        return f"an output {rule.output}, got {', '.join(spec.name for spec in variant.outputs)}"
    for what, spec, kinds in (("input", first, rule.takes), ("output", output, rule.gives)):
        if spec.kind not in kinds:
            return f"an {what} of the kind {_listed(kinds)}, got {spec.name} of {spec.kind}"
    if rule.alike and _shape(first) != _shape(output):
        return f"{output.name} of the shape of {first.name}, {_shape(first)}, got {_shape(output)}"
    if rule.part == "sampler":
        return _unlike_sampler(variant, output)
    return None


def _unlike_sampler(variant: Variant, image: TensorSpec) -> str | None:
    """Which tensor of a sampler is not what its kind must be."""
    kinds = [spec.kind for spec in variant.inputs]
    if kinds[:2] != ["seed", "index"]:
        return f"inputs of the kinds seed and index, got {', '.join(kinds)}"
    seed, index, *others = variant.inputs
    rows, _, *size = image.shape
    for spec, dtype, shape in (
        (seed, "int64", (1,)),
        (index, "int64", (rows,)),
        *((spec, "uint8", (rows, *size)) for spec in others if spec.kind == "canvas"),
        (image, "uint8", image.shape),
    ):
        if (spec.dtype, spec.shape) != (dtype, shape):
            wanted = ", ".join(map(str, shape))
            got = ", ".join(map(str, spec.shape))
            return f"{spec.name} {dtype} [{wanted}], got {spec.dtype} [{got}]"
    return None


def _listed(kinds: tuple[str, ...]) -> str:
    *others, last = kinds
    return f"{', '.join(others)} or {last}" if others else last


def _shape(spec: TensorSpec) -> str:
    return f"{spec.kind} {spec.dtype} [{', '.join(str(size) for size in spec.shape)}]"
