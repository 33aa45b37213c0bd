"""Autoencoders in plain torch, of the kinds that people write themselves."""

from __future__ import annotations

import itertools
from typing import Any

import torch
from torch import Tensor, nn

from aeonnx.bundle import Axis, TensorSpec
from aeonnx.models import Part
from benchmarks.zoo_models.entry import in_code

__all__ = ["MODELS"]


class Whole(nn.Module):
    """A model with an encoder, a decoder and their specs.

    Args:
        encoder, decoder: its parts.
        specs: inputs and outputs of the encoder, then of the decoder.
        rules: fields of both parts, such as axes.
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module, *specs: Any, **rules: Any) -> None:
        super().__init__()
        self.encoder, self.decoder, self.specs, self.rules = encoder, decoder, specs, rules

    def parts(self) -> dict[str, Part]:
        x, z, latents, made = self.specs
        return {
            "encoder": Part(self.encoder, x, z, **self.rules),
            "decoder": Part(self.decoder, latents, made, **self.rules),
        }


def _vector(name: str, size: int, **more: Any) -> TensorSpec:
    return TensorSpec(name, ("batch", size), **{"description": name, **more})


def _mlp(*sizes: int) -> nn.Sequential:
    steps: list[nn.Module] = []
    for a, b in itertools.pairwise(sizes):
        steps += [nn.Linear(a, b), nn.SiLU()]
    return nn.Sequential(*steps[:-1])


class LSTMEncoder(nn.Module):
    """x [N, channels, time] -> z [N, size, time/4]: every fourth state."""

    def __init__(self, channels: int, size: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(channels, size, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        states: Tensor = self.lstm(x.transpose(1, 2))[0]
        return states[:, 3::4].transpose(1, 2)


class LSTMDecoder(nn.Module):
    """z [N, size, time/4] -> reconstruction [N, channels, time]."""

    def __init__(self, channels: int, size: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(size, size, batch_first=True)
        self.last = nn.Linear(size, channels)

    def forward(self, z: Tensor) -> Tensor:
        found = self.lstm(z.repeat_interleave(4, 2).transpose(1, 2))[0]
        made: Tensor = self.last(found).transpose(1, 2)
        return made


def lstm() -> nn.Module:
    """Of signals of any length."""
    torch.manual_seed(0)
    x = TensorSpec("x", ("batch", 3, "time"), description="signal", kind="signal", rate=100.0)
    z = TensorSpec("z", ("batch", 16, "time/4"), description="latent", kind="latent")
    made = TensorSpec("reconstruction", x.shape, description="signal", kind="signal", rate=100.0)
    axes = {"time": Axis(4, min=8)}
    parts = LSTMEncoder(3, 16), LSTMDecoder(3, 16)
    return Whole(*parts, (x,), (z,), (z,), (made,), axes=axes, sizes={"time": 40})


def tabular() -> nn.Module:
    """Of rows of a table."""
    torch.manual_seed(0)
    names, units = ("temperature", "pressure", "speed"), ("°C", "hPa", "m/s")
    columns: dict[str, Any] = {"kind": "vector", "names": names, "units": units}
    x, z = _vector("x", 3, **columns), _vector("z", 2, kind="latent")
    made = _vector("reconstruction", 3, **columns)
    return Whole(_mlp(3, 16, 2), _mlp(2, 16, 3), (x,), (z,), (z,), (made,))


class Conditional(nn.Module):
    """Apply a network to its input beside the embedding of a label; two outputs if `halves`."""

    def __init__(self, network: nn.Module, classes: int, halves: bool) -> None:
        super().__init__()
        self.network, self.labels, self.halves = network, nn.Embedding(classes, 4), halves

    def forward(self, x: Tensor, label: Tensor) -> Tensor | tuple[Tensor, ...]:
        found: Tensor = self.network(torch.cat([x, self.labels(label)], 1))
        return found.chunk(2, dim=1) if self.halves else found


def conditional() -> nn.Module:
    """Sohn et al. 2015: a variational autoencoder that is told the class."""
    torch.manual_seed(0)
    x, z = _vector("x", 12, kind="vector"), _vector("z", 3, kind="latent")
    label = TensorSpec("label", ("batch",), "int64", range=(0.0, 9.0), kind="label")
    mu, logvar = _vector("mu", 3, kind="latent"), _vector("logvar", 3)
    encoder = Conditional(_mlp(16, 24, 6), 10, halves=True)
    decoder = Conditional(_mlp(7, 24, 12), 10, halves=False)
    made = _vector("reconstruction", 12, kind="vector")
    return Whole(encoder, decoder, (x, label), (mu, logvar), (z, label), (made,))


class LadderEncoder(nn.Module):
    """x -> z, and a latent above it."""

    def __init__(self) -> None:
        super().__init__()
        self.low, self.first, self.second = _mlp(12, 16), _mlp(16, 4), _mlp(16, 16, 2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        low = self.low(x)
        return self.first(low), self.second(low)


class LadderDecoder(nn.Module):
    """z and the latent above it -> reconstruction."""

    def __init__(self) -> None:
        super().__init__()
        self.high, self.last = _mlp(2, 8), _mlp(12, 16, 12)

    def forward(self, z: Tensor, top: Tensor) -> Tensor:
        made: Tensor = self.last(torch.cat([z, self.high(top)], 1))
        return made


def hierarchical() -> nn.Module:
    """Sønderby et al. 2016: two latents, one above the other."""
    torch.manual_seed(0)
    z, top = _vector("z", 4, kind="latent"), _vector("top", 2, kind="latent")
    x, made = _vector("x", 12, kind="vector"), _vector("reconstruction", 12, kind="vector")
    return Whole(LadderEncoder(), LadderDecoder(), (x,), (z, top), (z, top), (made,))


class TopK(nn.Module):
    """Keep the k largest values of each row: Makhzani & Frey 2014, "k-sparse autoencoders"."""

    def __init__(self, k: int) -> None:
        super().__init__()
        self.k = k

    def forward(self, x: Tensor) -> Tensor:
        values, places = x.topk(self.k, dim=1)
        return torch.zeros_like(x).scatter(1, places, values.relu())


def topk() -> nn.Module:
    """Of activations of a language model, as such dictionaries are used."""
    torch.manual_seed(0)
    x, z = _vector("x", 16, kind="vector"), _vector("z", 64, kind="latent")
    encoder = nn.Sequential(nn.Linear(16, 64), TopK(6))
    made = _vector("reconstruction", 16, kind="vector")
    return Whole(encoder, nn.Linear(64, 16), (x,), (z,), (z,), (made,))


class ToLevels(nn.Module):
    """x -> codes by rounding: Mentzer et al. 2024, "Finite scalar quantization"."""

    def __init__(self, encoder: nn.Module, levels: tuple[int, ...]) -> None:
        super().__init__()
        self.encoder = encoder
        self.register_buffer("levels", torch.tensor(levels))
        steps = torch.tensor((1, *levels[:-1])).cumprod(0)
        self.register_buffer("steps", steps)

    def forward(self, x: Tensor) -> Tensor:
        found = self.encoder(x).movedim(1, -1)
        placed = (torch.sigmoid(found) * (self.levels - 1)).round().long()
        return (placed * self.steps).sum(-1)


class FromLevels(nn.Module):
    """codes -> reconstruction."""

    def __init__(self, decoder: nn.Module, levels: tuple[int, ...]) -> None:
        super().__init__()
        self.decoder = decoder
        self.register_buffer("levels", torch.tensor(levels))
        steps = torch.tensor((1, *levels[:-1])).cumprod(0)
        self.register_buffer("steps", steps)

    def forward(self, codes: Tensor) -> Tensor:
        placed = codes.unsqueeze(-1) // self.steps % self.levels
        values = placed.float() / (self.levels - 1) * 2 - 1
        made: Tensor = self.decoder(values.movedim(-1, 1))
        return made


class Nearest(nn.Module):
    """x -> codes, the nearest vectors: van den Oord et al. 2017, "VQ-VAE"."""

    def __init__(self, encoder: nn.Module, codebook: nn.Embedding) -> None:
        super().__init__()
        self.encoder, self.codebook = encoder, codebook

    def forward(self, x: Tensor) -> Tensor:
        found = self.encoder(x).movedim(1, -1)
        squares = self.codebook.weight.square().sum(1)
        return (squares - 2 * found @ self.codebook.weight.T).argmin(-1)


class Looked(nn.Module):
    """codes -> reconstruction."""

    def __init__(self, decoder: nn.Module, codebook: nn.Embedding) -> None:
        super().__init__()
        self.decoder, self.codebook = decoder, codebook

    def forward(self, codes: Tensor) -> Tensor:
        made: Tensor = self.decoder(self.codebook(codes).movedim(-1, 1))
        return made


def _coded(encoder: nn.Module, decoder: nn.Module, most: float) -> nn.Module:
    shape = ("batch", 1, "height", "width")
    x = TensorSpec("x", shape, range=(0.0, 1.0), description="images", kind="image")
    codes = TensorSpec(
        "codes", ("batch", "height/4", "width/4"), "int64", range=(0.0, most), kind="codes"
    )
    made = TensorSpec("reconstruction", shape, description="images", kind="image")
    axes = {name: Axis(4, min=8) for name in ("height", "width")}
    sizes = {"height": 32, "width": 36}
    return Whole(encoder, decoder, (x,), (codes,), (codes,), (made,), axes=axes, sizes=sizes)


def _convolutions(size: int) -> tuple[nn.Module, nn.Module]:
    encoder = nn.Sequential(nn.Conv2d(1, 8, 4, 2, 1), nn.SiLU(), nn.Conv2d(8, size, 4, 2, 1))
    ups = nn.ConvTranspose2d(size, 8, 4, 2, 1), nn.ConvTranspose2d(8, 1, 4, 2, 1)
    return encoder, nn.Sequential(ups[0], nn.SiLU(), ups[1])


def fsq() -> nn.Module:
    """Codes of rounded values."""
    torch.manual_seed(0)
    encoder, decoder = _convolutions(3)
    levels = (8, 5, 5)
    return _coded(ToLevels(encoder, levels), FromLevels(decoder, levels), 199.0)


def vq() -> nn.Module:
    """Codes of nearest vectors."""
    torch.manual_seed(0)
    encoder, decoder = _convolutions(4)
    codebook = nn.Embedding(32, 4)
    return _coded(Nearest(encoder, codebook), Looked(decoder, codebook), 31.0)


MODELS = {
    name: in_code("plain torch", f"plain:{name}")
    for name in ("lstm", "tabular", "conditional", "hierarchical", "topk", "fsq", "vq")
}
