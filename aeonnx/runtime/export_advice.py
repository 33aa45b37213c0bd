"""What to export where a bundle lacks something: commands that fit the model of the bundle."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from aeonnx.bundle import Interface, Manifest
from aeonnx.io.pixels import has_pixels
from aeonnx.runtime.tiles import sized_axes

if TYPE_CHECKING:
    from aeonnx.catalog import KnownModel

__all__ = ["export_command", "missing_part", "missing_prior", "model_of", "why_no_sampler"]

_MADE_AT_EXPORT = "sampler"


def export_command(folder: Path, contents: Manifest, *options: str, measured: bool = False) -> str:
    """The command that adds something to a bundle.

    A model of aeonnx is named by `--model` alone. Any other is loaded by `--from`, whose value no
    bundle records, so the command has a placeholder for it, which is explained.

    Args:
        folder: the bundle's folder.
        contents: the manifest in it.
        options: what is to be added, such as "--part decoder".
        measured: whether the export needs real inputs. A checkpoint of `aeonnx train` has some;
            for other weights the command passes them by `--calibration`.
    """
    words, notes = ["aeonnx export --model", shlex.quote(contents.model)], []
    if not _is_own(contents):
        words.append("--from SOURCE")
        notes.append("SOURCE is what the bundle was exported from, such as module:mine:build")
    words += options
    if measured and contents.training is None:
        words.append("--calibration INPUTS.npy")
        notes.append("INPUTS.npy has rows of real inputs")
    command = " ".join([*words, "-o", shlex.quote(str(folder))])
    return f"{command} ({'; '.join(notes)})" if notes else command


def missing_part(folder: Path, contents: Manifest, part: str) -> str:
    """A sentence about how to get a part that a bundle lacks."""
    command = export_command(folder, contents, f"--part {part}")
    known = _models()
    if not _is_own(contents):
        return f"If {model_of(contents)} has one, add it with: {command}"
    if part in (*known[contents.model].parts, _MADE_AT_EXPORT):
        return f"Add it with: {command}"
    having = ", ".join(name for name, model in known.items() if part in model.parts)
    return f"A {contents.model} has none; models of aeonnx that have one: {having or 'none'}"


def missing_prior(folder: Path, contents: Manifest) -> str:
    """A sentence about what to do without a prior. The export fits one for a sampler alone."""
    decoder = contents.parts.get("decoder", {}).get("fp32")
    if not _is_own(contents) and why_no_sampler(decoder):
        return "decode latents of your own"
    command = export_command(folder, contents, "--prior fitted", measured=True)
    return f"decode latents of your own, or fit one with: {command}"


def why_no_sampler(decoder: Interface | None) -> str | None:
    """Why latents drawn at random cannot become pixels; None if they can."""
    if decoder is None:
        return "the model has no decoder"
    latent = decoder.inputs[0]
    if sized_axes(decoder) or len(latent.shape) < 2 or latent.dtype != "float32":
        return (
            "it draws float32 latents of one size, and the decoder takes "
            f"{latent.name}: {latent.dtype} {list(latent.shape)}"
        )
    image = decoder.outputs[0]
    if image.kind != "image":
        return f"it outputs pixels, and the decoder's {image.name} is a {image.kind}"
    if not has_pixels(image.range):
        return (
            f"it outputs pixels, and the decoder's {image.name} has no range [low, high] whose "
            "width is a float32 above 0"
        )
    return None


def model_of(contents: Manifest) -> str:
    """The model of a bundle in a sentence: "this vae", or "name (class)"."""
    if _is_own(contents):
        return f"this {contents.model}"
    return f"{contents.model} ({contents.arch})"


def _is_own(contents: Manifest) -> bool:
    """Whether the model is one of aeonnx's own, which `--model` alone can export."""
    known = _models().get(contents.model)
    return known is not None and contents.arch in known.every_arch


def _models() -> Mapping[str, KnownModel]:
    """The models of aeonnx by name, imported for advice alone: opening a bundle does not wait."""
    from aeonnx import catalog

    return catalog.models()
