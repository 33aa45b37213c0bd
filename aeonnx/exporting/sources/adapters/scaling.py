"""State how a diffusion model scales latents, and build it into the graphs on request."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from aeonnx.bundle import Scaling, TensorSpec
from aeonnx.models import Part

__all__ = ["scaled_parts", "scaling_of"]


def scaling_of(config: Any, *, in_graph: bool) -> Scaling | None:
    """The scaling that a configuration of diffusers states; None if it states none.

    With `latents_mean` and `latents_std`, pipelines of diffusers compute
    (z - mean) * scaling_factor / std; else (z - shift_factor) * scaling_factor.
    """
    factor = getattr(config, "scaling_factor", None)
    if factor is None:
        return None
    mean, std = (getattr(config, f"latents_{name}", None) for name in ("mean", "std"))
    if mean is not None and std is not None:
        factors = tuple(float(factor) / float(number) for number in std)
        return Scaling(factors, tuple(float(number) for number in mean), in_graph)
    shift = getattr(config, "shift_factor", None) or 0.0
    return Scaling((float(factor),), (float(shift),), in_graph)


def scaled_parts(model: nn.Module, parts: Mapping[str, Part], scaling: Scaling) -> dict[str, Part]:
    """Parts whose specs state the scaling, and whose graphs do it where `scaling.in_graph`.

    Args:
        model: gets the numbers as buffers, so that its identity is another than without them.
        parts: encoder and decoder.
        scaling: of the latents.
    """
    described = {name: _described(part, scaling) for name, part in parts.items()}
    if not scaling.in_graph:
        return described
    encoder, decoder = described["encoder"], described["decoder"]
    scale = Scale(scaling, len(decoder.inputs[0].shape))
    model.add_module("latent_scale", scale)
    return {
        "encoder": replace(encoder, module=ScaledEncoder(encoder.module, scale)),
        "decoder": replace(decoder, module=ScaledDecoder(decoder.module, scale)),
    }


def _described(part: Part, scaling: Scaling) -> Part:
    inputs, outputs = (
        tuple(_stated(spec, scaling) for spec in specs) for specs in (part.inputs, part.outputs)
    )
    return replace(part, inputs=inputs, outputs=outputs)


def _stated(spec: TensorSpec, scaling: Scaling) -> TensorSpec:
    return replace(spec, scaling=scaling) if spec.kind == "latent" else spec


class Scale(nn.Module):
    """Holds factor and shift, float32 [1, channels or 1, 1, ...].

    Args:
        scaling: the numbers.
        axes: number of axes of the latents.
    """

    def __init__(self, scaling: Scaling, axes: int) -> None:
        super().__init__()
        shape = (1, -1, *[1] * (axes - 2))
        self.register_buffer("factor", torch.tensor(scaling.factor).reshape(shape))
        self.register_buffer("shift", torch.tensor(scaling.shift).reshape(shape))


class ScaledEncoder(nn.Module):
    """x -> (z - shift) * factor; with a log variance, that of the scaled latent too."""

    def __init__(self, encoder: nn.Module, scale: Any) -> None:
        super().__init__()
        self.encoder, self.scale = encoder, scale
        # log(factor^2), in float64: the log variance of a latent times a factor grows by it.
        factors = scale.factor.flatten().tolist()
        more = torch.tensor([2 * math.log(abs(factor)) for factor in factors])
        self.register_buffer("more", more.reshape(scale.factor.shape))

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        found = self.encoder(x)
        if isinstance(found, tuple):
            mu, logvar = found
            return self._scaled(mu), logvar + self.more
        return self._scaled(found)

    def _scaled(self, z: Tensor) -> Tensor:
        scaled: Tensor = (z - self.scale.shift) * self.scale.factor
        return scaled


class ScaledDecoder(nn.Module):
    """z -> decoder(z / factor + shift)."""

    def __init__(self, decoder: nn.Module, scale: Any) -> None:
        super().__init__()
        self.decoder, self.scale = decoder, scale

    def forward(self, z: Tensor) -> Tensor:
        made: Tensor = self.decoder(z / self.scale.factor + self.scale.shift)
        return made
