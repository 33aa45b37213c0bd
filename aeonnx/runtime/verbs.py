"""Checks from the manifest that a part has the inputs and outputs that a verb needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from aeonnx.bundle import Manifest, TensorSpec, Variant
from aeonnx.errors import BundleError
from aeonnx.io.pixels import has_pixels

__all__ = ["OUTPUTS", "PARTS", "check_verb", "steps_of"]


@dataclass(frozen=True)
class Wanted:
    """The tensor that a verb needs.

    Args:
        dtype: numpy's name of the element type.
        row: shape without the first axis.
        ranged: whether it needs a range that pixels can be mapped to.
    """

    dtype: str
    row: tuple[int, ...]
    ranged: bool = False


Kind = Callable[[Manifest, str], Wanted]
"""(manifest, dtype of the part's tensor) -> the tensor that is needed."""


def _image(contents: Manifest, dtype: str) -> Wanted:
    if dtype == "uint8":
        return Wanted("uint8", contents.input_shape)
    return Wanted("float32", contents.input_shape, ranged=True)


def _latent(contents: Manifest, _: str) -> Wanted:
    return Wanted("float32", (contents.latent_size,))


def _probabilities(contents: Manifest, _: str) -> Wanted:
    return Wanted("float32", (len(contents.classes),))


def _pixels(contents: Manifest, _: str) -> Wanted:
    return Wanted("uint8", contents.input_shape)


def _error(_: Manifest, __: str) -> Wanted:
    return Wanted("float32", ())


def _number(_: Manifest, __: str) -> Wanted:
    return Wanted("int64", ())


@dataclass(frozen=True)
class _Rule:
    """The part that a verb runs, and its inputs and output.

    Args:
        part: name of the part.
        inputs: kinds by name; "" stands for the only input, whatever its name.
        output: name and kind of the output; "" stands for the first output.
    """

    part: str
    inputs: dict[str, Kind]
    output: tuple[str, Kind]


_RULES = {
    "encode": _Rule("encoder", {"": _image}, ("", _latent)),
    "decode": _Rule("decoder", {"": _latent}, ("", _image)),
    "reconstruct": _Rule("reconstructor", {"": _image}, ("", _image)),
    "denoise": _Rule("denoiser", {"": _image}, ("", _image)),
    "score": _Rule("scorer", {"": _image}, ("error", _error)),
    "classify": _Rule("classifier", {"": _image}, ("probabilities", _probabilities)),
    "generate": _Rule("sampler", {"seed": _number, "index": _number}, ("image", _pixels)),
}
PARTS = {verb: rule.part for verb, rule in _RULES.items()}
"""The part that a verb runs."""
OUTPUTS = {verb: rule.output[0] for verb, rule in _RULES.items()}
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


def check_verb(contents: Manifest, verb: str) -> None:
    """Check that every variant of a verb's part has the inputs and outputs that the verb needs.

    Raises:
        BundleError: one has not; the message says what was expected and what the manifest says.
    """
    rule = _RULES[verb]
    for variant in contents.parts[rule.part].values():
        problem = _problem(contents, rule, variant)
        if problem:
            raise BundleError(f"this bundle's {rule.part} cannot {verb}: expected {problem}")


def _problem(contents: Manifest, rule: _Rule, variant: Variant) -> str | None:
    """What was expected and what the variant has; None if it fits."""
    names = [spec.name for spec in variant.inputs]
    only = "" in rule.inputs
    if len(names) != len(rule.inputs) or not (only or set(names) == set(rule.inputs)):
        expected = "1 input" if only else f"inputs {', '.join(rule.inputs)}"
        return f"{expected}, got {', '.join(names)}"
    rows = variant.outputs[0].shape[0]
    asked, kind = rule.output
    output = next((spec for spec in variant.outputs if spec.name == asked or not asked), None)
    if output is None:
        return f"an output {asked}, got {', '.join(spec.name for spec in variant.outputs)}"
    first = variant.inputs[0]
    both_images = kind is _image and rule.inputs.get("") is _image
    taken = [(spec, rule.inputs["" if only else spec.name]) for spec in variant.inputs]
    for spec, wanted in (*taken, (output, kind)):
        dtype = first.dtype if both_images else spec.dtype
        size = 1 if spec.name == "seed" and not only else rows
        problem = _difference(spec, wanted(contents, dtype), size)
        if problem:
            return problem
    return None


def _difference(spec: TensorSpec, wanted: Wanted, size: int | str) -> str | None:
    same = (spec.dtype, spec.shape) == (wanted.dtype, (size, *wanted.row))
    if same and (has_pixels(spec.range) or not wanted.ranged):
        return None
    expected = _described(wanted.dtype, (size, *wanted.row))
    if same:
        return (
            f"{spec.name} {expected} in a range [low, high] whose width is a float32 above 0, got "
            f"one {_bounds(spec.range)}: export it with such a range, or take its floats with run"
        )
    return f"{spec.name} {expected}, got {_described(spec.dtype, spec.shape)}"


def _described(dtype: str, shape: tuple[int | str, ...]) -> str:
    return f"{dtype} [{', '.join(str(size) for size in shape)}]"


def _bounds(found: tuple[float, float] | None) -> str:
    return f"in [{found[0]:g}, {found[1]:g}]" if found else "of any range"
