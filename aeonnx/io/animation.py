"""Writes images as an animated picture. numpy; pillow when used."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from aeonnx.errors import UsageError
from aeonnx.io.images import enlarged, require_suffix

__all__ = ["MOST_FRAMES", "animation", "check_animation"]

MOST_FRAMES = 2000
_KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    ".gif": ("GIF", {}),
    ".webp": ("WEBP", {"lossless": True}),
}
_MILLISECONDS = 80  # per frame
_SMALL = 128  # frames with fewer pixels per side are enlarged


def check_animation(path: Path, frames: int) -> None:
    """Check name and number of frames before anything is computed.

    Raises:
        UsageError: the name ends in neither .gif nor .webp, or there are too many or too few.
    """
    require_suffix(path, tuple(_KINDS), ".gif or .webp")
    if not 2 <= frames <= MOST_FRAMES:
        raise UsageError(f"{path}: expected 2 to {MOST_FRAMES:,} frames, -n says {frames:,}")


def animation(images: npt.NDArray[np.uint8], path: Path) -> bytes:
    """An endless animation.

    Args:
        images: uint8 [n, C, H, W] with C of 1 to 4.
        path: whose suffix decides the format, .gif or .webp.
    """
    from PIL import Image

    large = [enlarged(image, _SMALL) for image in images.transpose(0, 2, 3, 1)]
    first, *others = (
        Image.fromarray(image[..., 0] if image.shape[2] == 1 else image) for image in large
    )
    kind, options = _KINDS[path.suffix.lower()]
    buffer = io.BytesIO()
    first.save(
        buffer, kind, save_all=True, append_images=others, duration=_MILLISECONDS, loop=0, **options
    )
    return buffer.getvalue()
