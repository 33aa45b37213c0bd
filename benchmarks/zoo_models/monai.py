"""Autoencoders of MONAI for images and volumes; its users bring them as modules."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from aeonnx.bundle import Axis, TensorSpec
from aeonnx.models import Part
from benchmarks.zoo_models.entry import in_code

__all__ = ["MODELS"]

_AXES = {2: ("height", "width"), 3: ("depth", "height", "width")}
_KINDS = {2: "image", 3: "volume"}
_FACTOR = 4


class Calls(nn.Module):
    """Call a method of a model as `forward`."""

    def __init__(self, model: nn.Module, method: str) -> None:
        super().__init__()
        self.model, self.method = model, method

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        found: Tensor | tuple[Tensor, ...] = getattr(self.model, self.method)(x)
        return found


class Whole(nn.Module):
    """A model with its parts."""

    def __init__(self, model: Any, space: int, latents: tuple[TensorSpec, ...], methods: Any):
        super().__init__()
        self.model, self.space, self.latents, self.methods = model, space, latents, methods

    def parts(self) -> dict[str, Part]:
        names = _AXES[self.space]
        shape = ("batch", 1, *names)
        kind = _KINDS[self.space]
        x = TensorSpec("x", shape, range=(0.0, 1.0), description="scans", kind=kind)
        made = TensorSpec("reconstruction", shape, description="reconstructed scans", kind=kind)
        rules: dict[str, Any] = {
            "axes": {name: Axis(_FACTOR, min=2 * _FACTOR) for name in names},
            "sizes": {name: _FACTOR * (4 + i) for i, name in enumerate(names)},
        }
        encode, decode = (Calls(self.model, name) for name in self.methods)
        return {
            "encoder": Part(encode, (x,), self.latents, **rules),
            "decoder": Part(decode, (self.latents[0],), (made,), **rules),
        }


def _small(space: int) -> list[str]:
    return [f"{name}/{_FACTOR}" for name in _AXES[space]]


def _kl(space: int) -> nn.Module:
    from monai.networks.nets import AutoencoderKL

    torch.manual_seed(0)
    model = AutoencoderKL(
        space,
        channels=(8, 16, 16),
        num_res_blocks=1,
        attention_levels=(False, False, False),
        norm_num_groups=4,
        with_encoder_nonlocal_attn=space == 2,
        with_decoder_nonlocal_attn=space == 2,
    )
    mu, sigma = (TensorSpec(name, ("batch", 3, *_small(space))) for name in ("mu", "sigma"))
    return Whole(model, space, (mu, sigma), ("encode", "decode"))


def _vq(space: int) -> nn.Module:
    from monai.networks.nets import VQVAE

    torch.manual_seed(0)
    model = VQVAE(
        space,
        1,
        1,
        channels=(8, 8),
        num_res_layers=1,
        num_res_channels=(8, 8),
        downsample_parameters=((2, 4, 1, 1),) * 2,
        upsample_parameters=((2, 4, 1, 1, 0),) * 2,
        num_embeddings=32,
        embedding_dim=8,
    )
    codes = TensorSpec("codes", ("batch", *_small(space)), "int64", range=(0.0, 31.0), kind="codes")
    return Whole(model, space, (codes,), ("index_quantize", "decode_samples"))


def kl_2d() -> nn.Module:
    return _kl(2)


def kl_3d() -> nn.Module:
    return _kl(3)


def vq_2d() -> nn.Module:
    return _vq(2)


def vq_3d() -> nn.Module:
    return _vq(3)


MODELS = {
    f"monai-{name}": in_code("MONAI", f"monai:{name}")
    for name in ("kl_2d", "kl_3d", "vq_2d", "vq_3d")
}
