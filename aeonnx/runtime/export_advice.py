"""What to export where a bundle lacks something: commands that fit the model of the bundle."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from aeonnx.bundle import Interface, Manifest, Shape, axes_of
from aeonnx.bundle.composing import agree
from aeonnx.errors import UsageError
from aeonnx.io.pixels import has_pixels

if TYPE_CHECKING:
    from aeonnx.catalog import KnownModel

__all__ = [
    "export_command",
    "missing_part",
    "missing_prior",
    "model_of",
    "require_own",
    "why_no_prior",
    "why_no_sampler",
    "why_not_fitted",
]

_MADE_AT_EXPORT = "sampler"
_OF_LIBRARIES = ("encoder", "decoder")
"""The parts that models of other libraries have; others are of code that declares them."""
_MODULES = "ModuleDict"
"""The class that stands in a manifest for modules that were passed to `aeonnx.export` by name."""


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
    if part == _MADE_AT_EXPORT:
        return _missing_sampler(folder, contents)
    if _is_of_modules(contents):
        return f"If you have a module for it, export again: aeonnx.export(..., {part}=MODULE)"
    command = export_command(folder, contents, f"--part {part}")
    if not _is_own(contents):
        if part not in _OF_LIBRARIES:
            return "A model from elsewhere has one only if its method parts() declares it"
        return f"If {model_of(contents)} has one, add it with: {command}"
    if part in _own_parts(contents):
        return f"Add it with: {command}"
    known = _models()
    having = ", ".join(name for name, model in known.items() if part in model.parts)
    other = part in known[contents.model].parts  # has it in another architecture
    what = f"{contents.model} with --arch {contents.arch}" if other else contents.model
    return f"A {what} has none; models of aeonnx that have one: {having or 'none'}"


def _missing_sampler(folder: Path, contents: Manifest) -> str:
    if _decodes_never(contents):
        return f"None can be made: {why_no_prior(None)}"
    if "decoder" in contents.parts:
        problem = why_no_sampler(contents.parts["decoder"]["fp32"])
        if problem:
            return f"None can be made: {problem}"
    if contents.prior is None:
        return f"It needs a prior: {missing_prior(folder, contents)}"
    standard = contents.prior.kind == "standard-normal"
    prior = "standard" if standard else contents.prior.kind
    if _is_of_modules(contents):
        return f'Export again with aeonnx.export(..., prior="{prior}")'
    options = (f"--part {_MADE_AT_EXPORT}", f"--prior {prior}")
    return f"Add it with: {export_command(folder, contents, *options, measured=not standard)}"


def missing_prior(folder: Path, contents: Manifest) -> str:
    """A sentence about what to do without a prior."""
    parts = {name: variants["fp32"] for name, variants in contents.parts.items()}
    own = _is_own(contents)
    if _decodes_never(contents):
        return f"{why_no_prior(None)}, so nothing can be drawn for it"
    if "decoder" not in parts and not own:
        return missing_part(folder, contents, "decoder")
    if "decoder" in parts and why_no_prior(parts["decoder"]):
        return "decode latents of your own"
    ways = ["decode latents of your own"]
    if _is_of_modules(contents):
        ways.append('export again with aeonnx.export(..., prior="standard") to draw from N(0, I)')
        return ", or ".join(ways)
    if not own:
        command = export_command(folder, contents, "--prior standard")
        ways.append(f"draw from N(0, I) after: {command}")
    if own or not why_not_fitted(parts):
        command = export_command(folder, contents, "--prior fitted", measured=True)
        ways.append(f"fit one with: {command}")
    return f"{', '.join(ways[:-1])}, or {ways[-1]}"


def require_own(contents: Manifest, option: str) -> None:
    """Check that a checkpoint of aeonnx can be what a bundle was exported from.

    Raises:
        UsageError: the model is from elsewhere.
    """
    if _is_of_modules(contents):
        raise UsageError(
            f"{option}: expected a bundle of a model of aeonnx, this one is of modules that a "
            "program passed to aeonnx.export: its graphs were compared with them at the export, "
            "and `aeonnx verify` without options compares with the outputs stored then"
        )
    if not _is_own(contents):
        raise UsageError(
            f"{option}: expected a bundle of a model of aeonnx, this one is of "
            f"{model_of(contents)}: give what it was exported from as --from, such as "
            "module:mine:build"
        )


def why_no_prior(decoder: Interface | None) -> str | None:
    """Why no latents can be drawn for a decoder; None if they can."""
    if decoder is None:
        return "the model has no decoder"
    latent = decoder.inputs[0]
    if latent.dtype != "float32" or len(latent.shape) < 2 or isinstance(latent.shape[1], str):
        return (
            "latents are drawn as float32 [batch, channels, ...], and the decoder takes "
            f"{latent.name}: {latent.dtype} {_shape(latent.shape)}"
        )
    return None


def why_not_fitted(parts: Mapping[str, Interface]) -> str | None:
    """Why no prior can be fitted to the latents that a decoder takes; None if one can."""
    if "encoder" not in parts:
        return "there is no encoder whose latents it could be fitted to"
    made, taken = parts["encoder"].outputs[0], parts["decoder"].inputs[0]
    if not agree(made, taken):
        return (
            f"the encoder makes {made.name}: {made.dtype} {_shape(made.shape)}, and the decoder "
            f"takes {taken.name}: {taken.dtype} {_shape(taken.shape)}"
        )
    return None


def why_no_sampler(decoder: Interface | None) -> str | None:
    """Why latents drawn at random cannot become pixels in a graph; None if they can."""
    if decoder is None or why_no_prior(decoder):
        return why_no_prior(decoder)
    latent, image = decoder.inputs[0], decoder.outputs[0]
    if image.kind != "image":
        return f"it outputs pixels, and the decoder's {image.name} is a {image.kind}"
    own, of_images = ({axis.axis for axis in axes_of([spec.shape])} for spec in (latent, image))
    if own - of_images:
        return (
            "it draws latents of the size of the images, and the decoder's "
            f"{latent.name} {_shape(latent.shape)} has a size that {image.name} "
            f"{_shape(image.shape)} has not"
        )
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


def _shape(shape: Shape) -> str:
    return f"[{', '.join(map(str, shape))}]"


def _is_of_modules(contents: Manifest) -> bool:
    """Whether the model is modules that a program passed, which no command can load."""
    return not _is_own(contents) and contents.arch == _MODULES


def _is_own(contents: Manifest) -> bool:
    """Whether the model is one of aeonnx's own, which `--model` alone can export."""
    known = _models().get(contents.model)
    return known is not None and contents.arch in known.every_arch


def _own_parts(contents: Manifest) -> tuple[str, ...]:
    """Names of the parts that a model of aeonnx has in its architecture."""
    return _models()[contents.model].parts_of(contents.arch)


def _decodes_never(contents: Manifest) -> bool:
    """Whether the model is one of aeonnx's own that has no decoder."""
    return _is_own(contents) and "decoder" not in _own_parts(contents)


def _models() -> Mapping[str, KnownModel]:
    """The models of aeonnx by name, imported for advice alone: opening a bundle does not wait."""
    from aeonnx import catalog

    return catalog.models()
