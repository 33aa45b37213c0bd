"""Encoders and decoders that are told the class of an image.

Sohn et al. 2015, "Learning structured output representation using deep conditional generative
models", and the model M2 of Kingma et al. 2014, "Semi-supervised learning with deep generative
models": both p(x|z, label) and q(z|x, label) depend on the label. The prior of z is N(0, I) for
every label: a mean of its own per label would change nothing, since the decoder knows the label.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from aeonnx.bundle import BATCH, TensorSpec
from aeonnx.models._model import Part
from aeonnx.models._parts import Decoder

__all__ = ["CODE", "LabelledDecoder", "LabelledEncoder", "call", "label"]

CODE = 16
"""Most numbers that stand for a label beside the latent."""


def label(classes: Sequence[str]) -> TensorSpec:
    """The spec of labels: int64 [batch], indices into the classes."""
    return TensorSpec(
        "label",
        (BATCH,),
        dtype="int64",
        range=(0, len(classes) - 1),
        description=f"class: {', '.join(classes[:20])}{', ...' if len(classes) > 20 else ''}",
        kind="label",
    )


def call(part: Part, first: Tensor, labels: Tensor) -> Tensor | tuple[Tensor, ...]:
    """Run a part on its first input, and on labels if it takes them.

    Args:
        part: with no further inputs.
        first: [N, ...].
        labels: int64 [N].
    """
    others = [labels for spec in part.inputs[1:] if spec.kind == "label"]
    found: Tensor | tuple[Tensor, ...] = part.module(first, *others)
    return found


class LabelledEncoder(nn.Module):
    """x [N, C, H, W], label [N] -> what an encoder of images [N, C + 1, H, W] returns.

    Each label is a learned plane [1, H, W] beside the channels of the image.

    Args:
        encoder: the encoder of these images.
        classes: number of labels.
        size: (H, W).
    """

    def __init__(self, encoder: nn.Module, classes: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.encoder, self.size = encoder, size
        self.planes = nn.Embedding(classes, size[0] * size[1])
        nn.init.zeros_(self.planes.weight)

    def forward(self, x: Tensor, label: Tensor) -> Tensor | tuple[Tensor, ...]:
        planes = self.planes(label).view(-1, 1, *self.size)
        found: Tensor | tuple[Tensor, ...] = self.encoder(torch.cat([x, planes], 1))
        return found


class LabelledDecoder(Decoder):
    """z [N, latent_size], label [N] -> reconstruction [N, C, H, W] in [0, 1].

    Args:
        network: [N, latent_size + code] -> logits [N, C, H, W].
        classes: number of labels.
        code: numbers per label, learned.
    """

    def __init__(self, network: nn.Module, classes: int, code: int) -> None:
        super().__init__(network)
        self.codes = nn.Embedding(classes, code)

    def forward(self, z: Tensor, label: Tensor) -> Tensor:  # type: ignore[override]
        return torch.sigmoid(self.logits(z, label))

    def logits(self, z: Tensor, label: Tensor) -> Tensor:  # type: ignore[override]
        """The reconstruction before the sigmoid."""
        return super().logits(torch.cat([z, self.codes(label)], 1))
