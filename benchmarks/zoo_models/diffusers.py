"""Autoencoders of diffusers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from benchmarks.zoo_models.entry import Entry

__all__ = ["CONFIGS", "MODELS", "save"]

_WIDE = (16, 32, 32)
_BLOCKS = {
    "down_block_types": ("DownEncoderBlock2D",) * 3,
    "up_block_types": ("UpDecoderBlock2D",) * 3,
    "norm_num_groups": 8,
    "latent_channels": 4,
}
CONFIGS: dict[str, dict[str, Any]] = {
    "AutoencoderKL": {**_BLOCKS, "block_out_channels": _WIDE},
    "AutoencoderTiny": {
        "encoder_block_out_channels": (16,) * 4,
        "decoder_block_out_channels": (16,) * 4,
        "num_encoder_blocks": (1, 1, 1, 1),
        "num_decoder_blocks": (1, 1, 1, 1),
    },
    "VQModel": {**_BLOCKS, "block_out_channels": _WIDE, "num_vq_embeddings": 64},
    "AsymmetricAutoencoderKL": {
        **_BLOCKS,
        "down_block_out_channels": _WIDE,
        "up_block_out_channels": _WIDE,
    },
    "AutoencoderDC": {
        "latent_channels": 8,
        "attention_head_dim": 8,
        "encoder_block_types": ("ResBlock", "ResBlock", "EfficientViTBlock"),
        "decoder_block_types": ("ResBlock", "ResBlock", "EfficientViTBlock"),
        "encoder_block_out_channels": (16, 32, 32),
        "decoder_block_out_channels": (16, 32, 32),
        "encoder_layers_per_block": (1, 1, 1),
        "decoder_layers_per_block": (1, 1, 1),
        "encoder_qkv_multiscales": ((), (), (5,)),
        "decoder_qkv_multiscales": ((), (), (5,)),
    },
    "AutoencoderOobleck": {
        "encoder_hidden_size": 16,
        "downsampling_ratios": [2, 4],
        "channel_multiples": [1, 2],
        "decoder_channels": 16,
        "decoder_input_channels": 8,
    },
    "AutoencoderKLTemporalDecoder": {
        "down_block_types": ("DownEncoderBlock2D",) * 2,
        "block_out_channels": (32, 32),
        "layers_per_block": 1,
        "latent_channels": 4,
    },
}


def save(name: str, folder: Path, **options: Any) -> None:
    """Write a model of a class of diffusers, with options of its own if any are given."""
    import diffusers

    torch.manual_seed(0)
    model = getattr(diffusers, name)(**{**CONFIGS[name], **options})
    model.eval().save_pretrained(folder)


def _entry(name: str) -> Entry:
    return Entry("diffusers", "diffusers", lambda folder: save(name, folder))


MODELS = {f"diffusers-{name}": _entry(name) for name in CONFIGS}
