"""Names and versions of the models of a bundle, for servers of the Open Inference Protocol."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from aeonnx.bundle.manifest import Manifest
from aeonnx.errors import BundleError, UsageError

__all__ = ["fits_urls", "model_name", "require_precision", "require_served", "version_of"]

_PIXELS = "-uint8"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


def fits_urls(name: str) -> bool:
    """Whether the name of a bundle can be part of URLs, and of names of folders, as it is."""
    return _NAME.fullmatch(name) is not None


def require_served(folders: Iterable[Path]) -> None:
    """Raise unless bundles can be served together.

    Raises:
        UsageError: two have one name, or a name cannot be part of a URL.
    """
    names: set[str] = set()
    for folder in folders:
        if not fits_urls(folder.name):
            raise UsageError(
                f"{folder}: expected a folder whose name has letters, digits, _, - and . "
                "alone, since it is part of URLs: rename it"
            )
        if folder.name in names:
            raise UsageError(
                f"{folder}: a bundle of this name is served already, and names tell bundles "
                "apart in URLs: rename one of the folders"
            )
        names.add(folder.name)


def require_precision(folder: Path, contents: Manifest, precision: str) -> None:
    """Raise if a server could answer nothing in a precision.

    Args:
        folder: the bundle's folder.
        contents: the manifest in it.
        precision: "fp32", "fp16", "int8" or "auto".

    Raises:
        BundleError: no part of the bundle is there in this precision.
    """
    known = {variant for variants in contents.parts.values() for variant in variants}
    if precision not in ("auto", *known):
        raise BundleError(
            f"{folder}: no part is there in {precision}, only in {', '.join(sorted(known))}: take "
            f"--precision auto, or export parts with --precision {precision} too"
        )


def model_name(bundle: str, part: str, variant: str) -> str:
    """The name of a model: "vae.decoder", or "vae.decoder-uint8" for one with pixels.

    All versions of a model have the same inputs and outputs, so variants with pixels need a model
    of their own.

    Args:
        bundle: name of the bundle's folder.
        part: name of the part.
        variant: name of the variant.
    """
    return f"{bundle}.{part}{_PIXELS if variant.endswith(_PIXELS) else ''}"


def version_of(variant: str) -> str:
    """The version of a variant: the number of bits of its weights, such as "32" for fp32.

    So the highest version, which servers take where none is asked for, is the most exact.
    """
    return variant.removesuffix(_PIXELS).lstrip("abcdefghijklmnopqrstuvwxyz")
