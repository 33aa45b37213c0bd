"""Audio codecs and masked autoencoders of transformers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from benchmarks.zoo_models.entry import Entry

__all__ = ["CONFIGS", "LOUD", "MODELS", "save"]

_SEANET = {"num_filters": 8, "hidden_size": 16, "codebook_size": 32, "num_residual_layers": 1}
CONFIGS: dict[str, tuple[str, dict[str, Any]]] = {
    "EncodecModel": (
        "EncodecConfig",
        {
            **_SEANET,
            "upsampling_ratios": [4, 2],
            "codebook_dim": 16,
            "target_bandwidths": [60.0],
            "num_lstm_layers": 1,
            "chunk_length_s": None,
            "normalize": False,
        },
    ),
    "DacModel": (
        "DacConfig",
        {
            "encoder_hidden_size": 8,
            "downsampling_ratios": [2, 4],
            "decoder_hidden_size": 32,
            "n_codebooks": 3,
            "codebook_size": 32,
            "codebook_dim": 4,
            "upsampling_ratios": [4, 2],
        },
    ),
    "MimiModel": (
        "MimiConfig",
        {
            **_SEANET,
            "upsampling_ratios": [4, 2],
            "codebook_dim": 8,
            "vector_quantization_hidden_dimension": 8,
            "num_quantizers": 4,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "num_key_value_heads": 2,
            "head_dim": 8,
            "intermediate_size": 32,
            "sampling_rate": 1600,
            "frame_rate": 100,
            "upsample_groups": 16,
        },
    ),
    "ViTMAEForPreTraining": (
        "ViTMAEConfig",
        {
            "image_size": 32,
            "patch_size": 8,
            "hidden_size": 32,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "intermediate_size": 64,
            "decoder_hidden_size": 16,
            "decoder_num_hidden_layers": 1,
            "decoder_num_attention_heads": 2,
            "decoder_intermediate_size": 32,
        },
    ),
}


def save(name: str, folder: Path, **options: Any) -> None:
    """Write a model of a class of transformers; its codebooks are random, not zero."""
    import transformers

    torch.manual_seed(0)
    config, standard = CONFIGS[name]
    model = getattr(transformers, name)(getattr(transformers, config)(**{**standard, **options}))
    with torch.no_grad():
        for key, value in model.named_buffers():  # those of Encodec are near what it encodes
            if key.endswith((".embed", ".embed_sum")):
                value.normal_(std=0.02 if key.endswith(".embed") else 1.0)
    model.eval().save_pretrained(folder)


def _entry(name: str) -> Entry:
    return Entry("transformers", "transformers", lambda folder: save(name, folder))


LOUD = {"normalize": True, "chunk_length_s": 1.0, "overlap": 0.01, "audio_channels": 2}
"""Options of an Encodec such as that of 48 kHz."""

MODELS = {f"transformers-{name}": _entry(name) for name in CONFIGS}
MODELS["transformers-EncodecModel-loudness"] = Entry(
    "transformers", "transformers", lambda folder: save("EncodecModel", folder, **LOUD)
)
