"""Networks whose parts have several inputs and outputs of several dtypes, with random weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from aeonnx.bundle import TensorSpec
from aeonnx.models import Part


class _Encode(nn.Module):
    """Vectors and a label to two latents, of which the decoder takes both, and a flag."""

    def __init__(self) -> None:
        super().__init__()
        self.classes, self.low, self.high = nn.Embedding(5, 6), nn.Linear(6, 4), nn.Linear(6, 2)

    def forward(self, x: Tensor, label: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        hidden = x + self.classes(label)
        return self.low(hidden), self.high(hidden), x > 0


class _Decode(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.classes, self.body = nn.Embedding(5, 6), nn.Linear(6, 6)

    def forward(self, z: Tensor, top: Tensor, label: Tensor, gain: Tensor) -> Tensor:
        made: Tensor = gain[:, None] * self.body(torch.cat([z, top], 1) + self.classes(label))
        return made


class _Pair(nn.Module):
    def __init__(self, encoder: nn.Module, decoder: nn.Module) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder


class Several(_Pair):
    """A label that both parts take, and a gain that the decoder alone takes."""

    def parts(self) -> dict[str, Part]:
        x, y = (TensorSpec(name, ("batch", 6), kind="vector") for name in ("x", "y"))
        z = TensorSpec("z", ("batch", 4), kind="latent")
        top = TensorSpec("top", ("batch", 2), kind="latent")
        positive = TensorSpec("positive", ("batch", 6), "bool")
        label = TensorSpec("label", ("batch",), "int64", (0, 4), kind="label")
        gain = TensorSpec("gain", ("batch",), range=(0.0, 4.0), kind="score")
        return {
            "encoder": Part(self.encoder, (x, label), (z, top, positive)),
            "decoder": Part(self.decoder, (z, top, label, gain), (y,)),
        }


class _Quantise(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(6, 32), nn.Tanh(), nn.Linear(32, 4 * 8))

    def forward(self, x: Tensor) -> Tensor:
        codes: Tensor = self.layers(x).reshape(-1, 4, 8).argmax(2)
        return codes


class _Look(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table, self.body = nn.Embedding(8, 3), nn.Linear(12, 6)

    def forward(self, codes: Tensor) -> Tensor:
        made: Tensor = self.body(self.table(codes).flatten(1))
        return made


class Codec(_Pair):
    """An encoder to codes, and a decoder of them."""

    def parts(self) -> dict[str, Part]:
        x, y = (TensorSpec(n, ("batch", 6), range=(-1.0, 1.0), kind="vector") for n in ("x", "y"))
        codes = TensorSpec("codes", ("batch", 4), "int64", (0, 7), kind="codes")
        return {
            "encoder": Part(self.encoder, (x,), (codes,)),
            "decoder": Part(self.decoder, (codes,), (TensorSpec("y", y.shape, kind="vector"),)),
        }


class Echo(_Pair):
    """A decoder that calls its output as the encoder calls its input."""

    def parts(self) -> dict[str, Part]:
        x, z = (
            TensorSpec(name, ("batch", size), kind=kind)
            for name, size, kind in (("x", 6, "vector"), ("z", 2, "latent"))
        )
        return {
            "encoder": Part(self.encoder, (x,), (z,)),
            "decoder": Part(self.decoder, (z,), (x,)),
        }


class Named(_Pair):
    """A third part, which has the name of the ensemble."""

    def parts(self) -> dict[str, Part]:
        x, y, z = (
            TensorSpec(name, ("batch", size), kind=kind)
            for name, size, kind in (("x", 6, "vector"), ("y", 6, "vector"), ("z", 2, "latent"))
        )
        return {
            "encoder": Part(self.encoder, (x,), (z,)),
            "decoder": Part(self.decoder, (z,), (y,)),
            "reconstruct": Part(nn.Sequential(self.encoder, self.decoder), (x,), (y,)),
        }


def several() -> nn.Module:
    torch.manual_seed(0)
    return Several(_Encode(), _Decode())


def codec() -> nn.Module:
    torch.manual_seed(0)
    return Codec(_Quantise(), _Look())


def echo() -> nn.Module:
    torch.manual_seed(0)
    return Echo(nn.Linear(6, 2), nn.Linear(2, 6))


def named() -> nn.Module:
    torch.manual_seed(0)
    return Named(nn.Linear(6, 2), nn.Linear(2, 6))
