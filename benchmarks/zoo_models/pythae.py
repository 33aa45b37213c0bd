"""Autoencoders of pythae."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from benchmarks.zoo_models.entry import Entry

__all__ = ["CONFIGS", "MODELS", "save"]

CONFIGS = {
    "AE": "AEConfig",
    "VAE": "VAEConfig",
    "BetaVAE": "BetaVAEConfig",
    "BetaTCVAE": "BetaTCVAEConfig",
    "FactorVAE": "FactorVAEConfig",
    "INFOVAE_MMD": "INFOVAE_MMD_Config",
    "RAE_L2": "RAE_L2_Config",
    "WAE_MMD": "WAE_MMD_Config",
    "VQVAE": "VQVAEConfig",
}
"""The class of the configuration of each model."""


def save(name: str, folder: Path, **options: Any) -> None:
    """Write a model of a class of pythae for 8 x 8 images."""
    from pythae import models

    torch.manual_seed(0)
    given = {"input_dim": (1, 8, 8), "latent_dim": 4, **options}
    model = getattr(models, name)(getattr(models, CONFIGS[name])(**given))
    model.eval().save(str(folder))


def _entry(name: str) -> Entry:
    return Entry("pythae", "pythae", lambda folder: save(name, folder))


MODELS = {f"pythae-{name}": _entry(name) for name in CONFIGS}
