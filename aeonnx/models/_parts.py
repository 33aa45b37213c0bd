"""Modules and tensor specs that the parts of several models share."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from aeonnx.bundle import BATCH, TensorSpec
from aeonnx.models._model import Part

__all__ = ["Decoder", "EncodeDecode", "image", "latent", "primary_output", "scorer"]


def image(
    name: str,
    shape: tuple[int | str, int | str, int | str],
    description: str,
    range: tuple[float, float] | None = (0.0, 1.0),  # noqa: A002  # the manifest's name
) -> TensorSpec:
    """The spec of images: float32 [batch, C, H, W] in `range`, by default [0, 1].

    H and W may be names of axes.
    """
    return TensorSpec(name, (BATCH, *shape), range=range, description=description, kind="image")


def latent(name: str, size: int, description: str, kind: str = "latent") -> TensorSpec:
    """The spec of latent vectors: float32 [batch, size], unbounded."""
    return TensorSpec(name, (BATCH, size), description=description, kind=kind)


def primary_output(outputs: Tensor | tuple[Tensor, ...]) -> Tensor:
    """The first output of a part, whose module returns one tensor or a tuple of them."""
    return outputs[0] if isinstance(outputs, tuple) else outputs


class Decoder(nn.Module):
    """Latents to images: z [N, latent_size] -> reconstruction [N, C, H, W] in [0, 1].

    Args:
        network: z -> logits [N, C, H, W].
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, z: Tensor) -> Tensor:
        return torch.sigmoid(self.logits(z))

    def logits(self, z: Tensor) -> Tensor:
        """The reconstruction before the sigmoid: losses on logits are numerically stable."""
        logits: Tensor = self.network(z)
        return logits


class EncodeDecode(nn.Module):
    """Encode and decode images: x [N, C, H, W] -> reconstruction [N, C, H, W] in [0, 1].

    Args:
        encoder: x -> z, or a tuple that begins with the latent to decode.
        decoder: z -> reconstruction.

    Both take labels [N] as a second input if this does.
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder

    def forward(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        labels = () if label is None else (label,)
        reconstruction: Tensor = self.decoder(primary_output(self.encoder(x, *labels)), *labels)
        return reconstruction


class Scorer(nn.Module):
    """Anomaly score: x [N, C, H, W] -> reconstruction [N, C, H, W], error [N], map [N, H, W].

    The map is the mean over channels of the squared difference between an image and its
    reconstruction, and the error is the mean of the map.

    Args:
        whole: the whole autoencoder, x -> reconstruction, with labels if this has them.
    """

    def __init__(self, whole: nn.Module) -> None:
        super().__init__()
        self.whole = whole

    def forward(self, x: Tensor, label: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        reconstruction = self.whole(x) if label is None else self.whole(x, label)
        squares = (x - reconstruction).square()
        return reconstruction, squares.flatten(1).mean(1), squares.mean(1)


def scorer(whole: Part) -> Part:
    """The part that scores anomalies, made from the part that maps images to reconstructions.

    The range of `error` and `map` ends at the square of the largest difference that the ranges of
    the images allow: 1 for [0, 1], 4 for [-1, 1]. If an image has no range, they have none.
    """
    x, reconstruction = whole.inputs[0].range, whole.outputs[0].range
    bounds = None
    if x and reconstruction:
        bounds = 0.0, max(x[1] - reconstruction[0], reconstruction[1] - x[0]) ** 2
    error = TensorSpec(
        "error",
        (BATCH,),
        range=bounds,
        description="mean squared error of the reconstruction",
        kind="score",
    )
    places = TensorSpec(
        "map",
        (BATCH, *whole.outputs[0].shape[2:]),
        range=bounds,
        description="squared error of each pixel, mean over channels",
        kind="other",
    )
    outputs = (*whole.outputs, error, places)
    return Part(Scorer(whole.module), whole.inputs, outputs, percentiles=("error",))
