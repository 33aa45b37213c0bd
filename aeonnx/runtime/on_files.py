"""A verb from file to file: what the command line does with images."""

from __future__ import annotations

from pathlib import Path

from aeonnx import files, images
from aeonnx.runtime.bundle import Bundle
from aeonnx.runtime.session import Array

__all__ = ["generate_file", "run_on_files"]


def run_on_files(
    bundle: Bundle, verb: str, source: Path, target: Path, *, force: bool = False
) -> Array:
    """Read `source`, run a verb of the bundle on it, write `target`.

    Args:
        bundle: opened.
        verb: "encode", "decode", "reconstruct" or "denoise".
        source: images (a file, a folder, a .npy array), or a .npy array of latents to decode.
        target: a .png for a grid of images, or a .npy array.
        force: replace `target` if it exists.

    Returns:
        What was written, before it became a picture.

    Raises:
        ImageError: `source` is missing or is not what the verb takes.
        UsageError: `target` has another suffix.
        OutputError: `target` exists and `force` is not set, or cannot be written.
        BundleError, InputError, ProviderError: see `Bundle.run`.
    """
    images.check_output(target, images=verb != "encode")
    files.refuse_existing(target, force=force)
    if verb == "decode":
        value = images.read_array(source)
    else:
        value = images.read_images(source, bundle.manifest.input_shape)
    result: Array = getattr(bundle, verb)(value)
    images.write(target, result, force=force)
    return result


def generate_file(
    bundle: Bundle, n: int, seed: int, first: int, target: Path, *, force: bool = False
) -> Array:
    """Write `n` generated images to `target`; see `Bundle.generate` and `run_on_files`."""
    images.check_output(target, images=True)
    files.refuse_existing(target, force=force)
    result = bundle.generate(n, seed, first)
    images.write(target, result, force=force)
    return result
