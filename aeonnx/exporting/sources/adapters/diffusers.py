"""`--from diffusers:FOLDER`: autoencoders of diffusers, as `save_pretrained` writes them.

https://huggingface.co/docs/diffusers/api/models/autoencoderkl
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from aeonnx.bundle import Axis, TensorSpec
from aeonnx.catalog.adapters import SourceOptions
from aeonnx.errors import CheckpointError
from aeonnx.exporting.sources.adapters._pretrained import pretrained
from aeonnx.exporting.sources.adapters._shared import (
    Clamped,
    class_of,
    config_of,
    image_axes,
    image_of,
    image_sizes,
    library,
    scaled_axes,
    spatial,
    with_parts,
)
from aeonnx.exporting.sources.adapters.scaling import scaled_parts, scaling_of
from aeonnx.models import Part

__all__ = ["load"]

_SUBFOLDERS = ("vae", "vqvae", "movq")
"""Folders of pipelines that hold their autoencoder."""

_WEIGHTS = "diffusion_pytorch_model"


def load(location: str, options: SourceOptions) -> nn.Module:
    """Read an autoencoder of diffusers.

    Args:
        location: folder with `config.json` and weights, or of a pipeline with such a folder `vae`.
        options: takes no weights.

    Raises:
        CheckpointError: there is no such folder, its class is none of those that are known here, or
            its weights are missing or damaged.
        SetupError: diffusers is not installed.
    """
    where = f"--from diffusers:{location}"
    options.refuse_weights(where)
    folder = _model_folder(Path(location))
    config = config_of(folder, "config.json", where, "save_pretrained of diffusers")
    name = class_of(config.get("_class_name"), _PARTS, where)
    diffusers = library("diffusers", where)
    if not [*folder.glob(f"{_WEIGHTS}*")]:
        raise CheckpointError(
            f"{where}: expected weights in {_WEIGHTS}.safetensors, there are none"
        )
    options_of = {"torch_dtype": torch.float32, "low_cpu_mem_usage": False}
    model = pretrained(diffusers, name, folder, where, _WEIGHTS, **options_of)
    scaled = options.latents == "scaled"
    scaling = scaling_of(model.config, in_graph=scaled)
    if scaling is None:
        options.refuse_scaled(where)
        return with_parts(model, _PARTS[name](model))
    parts = (_SCALED if scaled and name in _SCALED else _PARTS)[name](model)
    return with_parts(model, scaled_parts(model, parts, scaling))


def _model_folder(folder: Path) -> Path:
    """The folder of the autoencoder, which may lie in that of a pipeline."""
    if (folder / "config.json").exists():
        return folder
    inside = (folder / name for name in _SUBFOLDERS)
    return next((path for path in inside if (path / "config.json").exists()), folder)


class Moments(nn.Module):
    """x -> mu, logvar of q(z|x): Kingma & Welling 2014, "Auto-encoding variational Bayes".

    Args:
        steps: from x to mu and logvar side by side.
    """

    def __init__(self, *steps: nn.Module | None) -> None:
        super().__init__()
        self.steps = nn.Sequential(*(step for step in steps if step is not None))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mu, logvar = self.steps(x).chunk(2, dim=1)
        return mu, logvar.clamp(-30.0, 20.0)  # as diffusers' DiagonalGaussianDistribution does


class Nearest(nn.Module):
    """z [N, C, h, w] -> codes [N, h, w], the place of the nearest vector in the codebook.

    Args:
        codebook: the vectors.
    """

    def __init__(self, codebook: nn.Embedding) -> None:
        super().__init__()
        self.codebook = codebook

    def forward(self, z: Tensor) -> Tensor:
        h = z.permute(0, 2, 3, 1)
        places = torch.cdist(h.reshape(-1, h.shape[3]), self.codebook.weight).argmin(1)
        return places.reshape(h.shape[:3])


class FromCodes(nn.Module):
    """codes -> reconstruction, clipped to [-1, 1]."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.codebook = model.quantize.embedding
        self.post_quant_conv, self.decoder = model.post_quant_conv, model.decoder
        self.conditioned = model.config.norm_type == "spatial"

    def forward(self, codes: Tensor) -> Tensor:
        h = self.codebook(codes).permute(0, 3, 1, 2)
        decoded: Tensor = self.decoder(self.post_quant_conv(h), h if self.conditioned else None)
        return decoded.clamp(-1, 1)


def _variational(model: Any, blocks: int) -> dict[str, Part]:
    """Parts of an autoencoder with a Gaussian posterior at each place.

    Args:
        model: of diffusers.
        blocks: number of blocks, each but one of which halves the size.
    """
    factor = 2 ** (blocks - 1)
    latents = model.config.latent_channels
    quant, post = (getattr(model, name, None) for name in ("quant_conv", "post_quant_conv"))
    return _image_parts(
        model,
        factor,
        (Moments(model.encoder, quant), Clamped(post, model.decoder)),
        (
            spatial("mu", latents, factor, "mean of the latent given the image"),
            spatial("logvar", latents, factor, "log variance of the latent", "other"),
        ),
        spatial("z", latents, factor, "latent"),
    )


def _plain(model: Any, factor: int) -> dict[str, Part]:
    """Parts of an autoencoder whose encoder returns the latent itself."""
    z = spatial("z", model.config.latent_channels, factor, "latent")
    return _image_parts(model, factor, (model.encoder, Clamped(model.decoder)), (z,), z)


def _image_parts(
    model: Any,
    factor: int,
    modules: tuple[nn.Module, nn.Module],
    encoded: tuple[TensorSpec, ...],
    z: TensorSpec,
) -> dict[str, Part]:
    channels = model.config.in_channels
    x = image_of("x", channels, "images")
    made = getattr(model.config, "out_channels", channels)
    reconstruction = image_of("reconstruction", made, "reconstructed images, clipped")
    axes = image_axes(factor)
    sizes = image_sizes(model.config, axes)
    return {
        "encoder": Part(modules[0], (x,), encoded, axes=axes, sizes=sizes),
        "decoder": Part(modules[1], (z,), (reconstruction,), axes=axes, sizes=sizes),
    }


def _vq(model: Any) -> dict[str, Part]:
    config = model.config
    factor = 2 ** (len(config.block_out_channels) - 1)
    codes = TensorSpec(
        "codes",
        ("batch", *scaled_axes(factor)),
        "int64",
        range=(0.0, config.num_vq_embeddings - 1.0),
        description="places in the codebook",
        kind="codes",
    )
    encoder = nn.Sequential(model.encoder, model.quant_conv, Nearest(model.quantize.embedding))
    return _image_parts(model, factor, (encoder, FromCodes(model)), (codes,), codes)


class FromVectors(nn.Module):
    """z -> reconstruction: the nearest vectors in the codebook, decoded and clipped to [-1, 1]."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.nearest, self.decode = Nearest(model.quantize.embedding), FromCodes(model)

    def forward(self, z: Tensor) -> Tensor:
        decoded: Tensor = self.decode(self.nearest(z))
        return decoded


def _vectors(model: Any) -> dict[str, Part]:
    """Parts of a VQModel before quantisation: the latents of diffusion models."""
    factor = 2 ** (len(model.config.block_out_channels) - 1)
    z = spatial("z", model.quantize.vq_embed_dim, factor, "latent before quantisation")
    encoder = nn.Sequential(model.encoder, model.quant_conv)
    return _image_parts(model, factor, (encoder, FromVectors(model)), (z,), z)


class AudioMoments(nn.Module):
    """x -> mu, logvar: Oobleck has the standard deviation softplus(scale) + 1e-4."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mu, scale = self.encoder(x).chunk(2, dim=1)
        return mu, 2 * torch.log(functional.softplus(scale) + 1e-4)


def _oobleck(model: Any) -> dict[str, Part]:
    config, hop = model.config, int(model.hop_length)
    rate = float(config.sampling_rate)
    shape = ("batch", config.audio_channels, "time")
    x = TensorSpec("x", shape, range=(-1.0, 1.0), description="sound", kind="signal", rate=rate)
    made = TensorSpec(
        "reconstruction", shape, description="reconstructed sound", kind="signal", rate=rate
    )
    mu, logvar, z = (
        TensorSpec(
            name,
            ("batch", config.decoder_input_channels, f"time/{hop}" if hop > 1 else "time"),
            description=text,
            kind=kind,
        )
        for name, text, kind in (
            ("mu", "mean of the latent given the sound", "latent"),
            ("logvar", "log variance of the latent", "other"),
            ("z", "latent", "latent"),
        )
    )
    axes, sizes = {"time": Axis(hop, min=4 * hop)}, {"time": 8 * hop}
    return {
        "encoder": Part(AudioMoments(model.encoder), (x,), (mu, logvar), axes=axes, sizes=sizes),
        "decoder": Part(model.decoder, (z,), (made,), axes=axes, sizes=sizes),
    }


class Frames(nn.Module):
    """Encode the frames of clips one by one: x [N, 3, F, H, W] -> mu, logvar [N, C, F, h, w]."""

    def __init__(self, moments: nn.Module) -> None:
        super().__init__()
        self.moments = moments

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        found = [y.unflatten(0, (-1, x.shape[2])) for y in self.moments(_stacked(x))]
        return found[0].transpose(1, 2), found[1].transpose(1, 2)


class Clips(nn.Module):
    """Decode clips, whose frames depend on each other: z [N, C, F, h, w] -> [N, 3, F, H, W]."""

    def __init__(self, decoder: nn.Module) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(self, z: Tensor) -> Tensor:
        rows, frames = z.shape[0], z.shape[2]
        # 0: the frames of a clip belong together. diffusers passes the same.
        alone = torch.zeros(rows, frames, dtype=z.dtype)
        made = self.decoder(_stacked(z), num_frames=frames, image_only_indicator=alone)
        clips: Tensor = made.unflatten(0, (-1, frames)).transpose(1, 2)
        return clips.clamp(-1, 1)


def _stacked(clips: Tensor) -> Tensor:
    """[N, C, F, H, W] -> [N * F, C, H, W]."""
    return clips.transpose(1, 2).flatten(0, 1)


_FRAMES = 4  # of a clip, whose number torch.export cannot leave open: loops and reshapes over it


def _temporal(model: Any) -> dict[str, Part]:
    config = model.config
    factor = 2 ** (len(config.block_out_channels) - 1)
    latents = ("batch", config.latent_channels, _FRAMES, *scaled_axes(factor))
    images = ("batch", config.in_channels, _FRAMES, "height", "width")
    bounds = (-1.0, 1.0)
    x = TensorSpec("x", images, range=bounds, description="frames of clips", kind="volume")
    made = TensorSpec(
        "reconstruction", images, range=bounds, description="frames of clips", kind="volume"
    )
    mu = TensorSpec("mu", latents, description="mean of the latent given the clip", kind="latent")
    logvar = TensorSpec("logvar", latents, description="log variance of the latent")
    z = TensorSpec("z", latents, description="latent", kind="latent")
    encoder = Frames(Moments(model.encoder, model.quant_conv))
    axes = image_axes(factor)
    sizes = image_sizes(config, axes)
    return {
        "encoder": Part(encoder, (x,), (mu, logvar), axes=axes, sizes=sizes),
        "decoder": Part(Clips(model.decoder), (z,), (made,), axes=axes, sizes=sizes),
    }


_PARTS: Mapping[str, Callable[[Any], dict[str, Part]]] = {
    "AutoencoderKL": lambda model: _variational(model, len(model.config.block_out_channels)),
    "AsymmetricAutoencoderKL": lambda model: _variational(
        model, len(model.config.down_block_out_channels)
    ),
    "AutoencoderTiny": lambda model: _plain(model, 2 ** (len(model.config.num_encoder_blocks) - 1)),
    "AutoencoderDC": lambda model: _plain(model, model.spatial_compression_ratio),
    "VQModel": _vq,
    "AutoencoderOobleck": _oobleck,
    "AutoencoderKLTemporalDecoder": _temporal,
}
"""Parts of a model by the name of its class."""


_SCALED: Mapping[str, Callable[[Any], dict[str, Part]]] = {"VQModel": _vectors}
"""Parts for `--latents scaled`, where diffusion models work on other latents than programs."""
