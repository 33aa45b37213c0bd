"""The models of `benchmarks/zoo.py`: each library's own classes, small and with random weights."""

from __future__ import annotations

from benchmarks.zoo_models import denoisers, diffusers, monai, plain, pythae, transformers
from benchmarks.zoo_models.entry import Entry

__all__ = ["MODELS"]

MODELS: dict[str, Entry] = {
    **diffusers.MODELS,
    **transformers.MODELS,
    **pythae.MODELS,
    **monai.MODELS,
    **denoisers.MODELS,
    **plain.MODELS,
}
"""All models by name. Their libraries are imported when a model is made."""
