"""Encoder and decoder in one request: what the one feeds the other, by the rule of the runtime."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aeonnx.bundle import TensorSpec, Variant
from aeonnx.bundle.composing import agree, fed
from aeonnx.bundle.versions import model_name
from aeonnx.deploy.models import Model

__all__ = ["Ensemble", "Step", "ensembles_of"]

_NAME = "reconstruct"
_IOS = ("fp32", "fp32-uint8")
"""A variant of each kind of images, for the names of models."""


@dataclass(frozen=True)
class Step:
    """One model of an ensemble.

    Args:
        model: that runs.
        inputs: the names within the ensemble of the tensors that it takes, by its own names.
        outputs: the same of those that it gives; others are dropped.
    """

    model: Model
    inputs: dict[str, str]
    outputs: dict[str, str]


@dataclass(frozen=True)
class Ensemble:
    """A model that runs an encoder, and a decoder on what it gives.

    Args:
        name: such as "vae.reconstruct".
        version: of both models, and of this one.
        inputs: of the encoder, and those of the decoder that the encoder does not feed.
        outputs: of the decoder.
        steps: in order.
    """

    name: str
    version: int
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    steps: tuple[Step, Step]


def ensembles_of(bundle: str, models: Sequence[Model]) -> tuple[list[Ensemble], list[str]]:
    """The ensembles of a bundle's models, and why others are left out.

    There is one where there are an encoder and a decoder, and no reconstructor, which does the same
    in one graph; and one with pixels where there are these with pixels.
    """
    named = {model.name: model for model in models}
    made, left_out = [], []
    for variant in _IOS:
        encoder, decoder, reconstructor = (
            named.get(model_name(bundle, part, variant))
            for part in ("encoder", "decoder", "reconstructor")
        )
        if not encoder or not decoder or reconstructor:
            continue
        name = model_name(bundle, _NAME, variant)
        reason = "a part has this name" if name in named else _obstacle(encoder, decoder)
        if reason:
            left_out.append(f"{name} left out: {reason}")
        else:
            made.append(_ensemble(name, encoder, decoder))
    return made, left_out


def _obstacle(encoder: Model, decoder: Model) -> str | None:
    """Why Triton cannot run the decoder on what the encoder gives; None if it can."""
    if not _common(encoder, decoder):
        return "encoder and decoder have no precision in common"
    if encoder.batches != decoder.batches:
        return "one of encoder and decoder has a fixed batch, the other has not"
    first, second = encoder.interface, decoder.interface
    made, taken = ({spec.name: spec for spec in specs} for specs in (first.outputs, second.inputs))
    feeds = fed(first, second)
    for name, output in feeds.items():
        if not agree(made[output], taken[name]):
            return (
                f"the decoder takes {name} as {_described(taken[name])}, the encoder gives "
                f"{output} as {_described(made[output])}"
            )
    given = {spec.name: spec for spec in first.inputs}
    for spec in _conditions(first, second):
        same = given.get(spec.name)
        if same and (spec.name == first.inputs[0].name or _described(same) != _described(spec)):
            return f"{spec.name} of the encoder and {spec.name} of the decoder are different inputs"
        given[spec.name] = spec
    clash = sorted(given.keys() & {spec.name for spec in second.outputs})
    return f"{clash[0]} is both an input and an output" if clash else None


def _ensemble(name: str, encoder: Model, decoder: Model) -> Ensemble:
    first, second = encoder.interface, decoder.interface
    feeds = fed(first, second)
    inputs = {spec.name: spec for spec in (*first.inputs, *_conditions(first, second))}
    # A dot is in no name of a tensor, so these are different from those of inputs and outputs.
    between = {output: f"encoder.{output}" for output in feeds.values()}
    encode = Step(encoder, {spec.name: spec.name for spec in first.inputs}, between)
    decode = Step(
        decoder,
        {spec.name: between.get(feeds.get(spec.name, ""), spec.name) for spec in second.inputs},
        {spec.name: spec.name for spec in second.outputs},
    )
    version = max(_common(encoder, decoder))
    return Ensemble(name, version, tuple(inputs.values()), second.outputs, (encode, decode))


def _conditions(encoder: Variant, decoder: Variant) -> list[TensorSpec]:
    feeds = fed(encoder, decoder)
    return [spec for spec in decoder.inputs if spec.name not in feeds]


def _common(encoder: Model, decoder: Model) -> set[int]:
    one, other = ({graph.version for graph in model.graphs} for model in (encoder, decoder))
    return one & other


def _described(spec: TensorSpec) -> str:
    return f"{spec.dtype} [{', '.join(map(str, spec.shape))}]"
