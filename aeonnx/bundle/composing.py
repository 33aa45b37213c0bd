"""How a verb composes an encoder and a decoder: what the one feeds, and what the caller gives."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TypeVar

from aeonnx.bundle.axes import Shape
from aeonnx.bundle.manifest import Manifest
from aeonnx.bundle.tensors import TensorSpec
from aeonnx.bundle.variant import Variant
from aeonnx.errors import InputError

__all__ = ["agree", "conditions", "fed", "kept"]

T = TypeVar("T")


def fed(encoder: Variant, decoder: Variant) -> dict[str, str]:
    """The inputs of a decoder that an encoder feeds, each with the output that feeds it.

    An output feeds the input of the same name, if both have one dtype and shapes that agree. Where
    none has the name of the decoder's first input, the encoder's first output feeds that. All other
    inputs of the decoder are conditions, which the caller gives.
    """
    outputs = {spec.name: spec for spec in encoder.outputs}
    first = decoder.inputs[0].name
    found = {
        spec.name: spec.name
        for spec in decoder.inputs
        if spec.name in outputs and agree(outputs[spec.name], spec)
    }
    return {first: encoder.outputs[0].name} | found


def agree(made: TensorSpec, taken: TensorSpec) -> bool:
    """Whether an output can be an input: axes with names may have any size."""
    return made.dtype == taken.dtype and _alike(made.shape, taken.shape)


def _alike(one: Shape, other: Shape) -> bool:
    return len(one) == len(other) and all(
        isinstance(a, str) or isinstance(b, str) or a == b for a, b in zip(one, other, strict=True)
    )


def kept(contents: Manifest) -> tuple[str, ...]:
    """Outputs of the encoder beside its first that the decoder of the same bundle takes."""
    if not {"encoder", "decoder"} <= contents.parts.keys():
        return ()
    encoder, decoder = (contents.parts[part]["fp32"] for part in ("encoder", "decoder"))
    return tuple(name for name in fed(encoder, decoder).values() if name != encoder.outputs[0].name)


def conditions(
    verb: str,
    encoder: Variant,
    decoder: Variant,
    feeds: Collection[str],
    given: Mapping[str, T],
) -> tuple[dict[str, T], dict[str, T]]:
    """What is given by name to the encoder, and to the decoder that follows it.

    Args:
        verb: for messages.
        encoder, decoder: the parts.
        feeds: the inputs of the decoder that the encoder feeds, see `fed`.
        given: what the caller gives, by name.

    Raises:
        InputError: no part has an input of such a name, or the encoder feeds it.
    """
    own = [spec.name for spec in encoder.inputs[1:]]
    free = [spec.name for spec in decoder.inputs if spec.name not in feeds]
    for name in given:
        if name in own or name in free:
            continue
        if name in feeds:
            raise InputError(
                f"{verb}: {name}: expected none, the decoder takes that of the encoder: leave it "
                "out; to give another one, encode and decode separately"
            )
        known = ", ".join(dict.fromkeys((*own, *free))) or "none"
        raise InputError(
            f"{verb}: {name}: expected no input of that name: leave it out. Known: {known}"
        )
    return (
        {name: value for name, value in given.items() if name in own},
        {name: value for name, value in given.items() if name in free},
    )
