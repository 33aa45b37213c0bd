"""Asking for optional dependencies before they are imported. Standard library only."""

from __future__ import annotations

from importlib.util import find_spec

from aeonnx.errors import MissingExtraError

__all__ = ["require_modules"]


def require_modules(*modules: str, extra: str, purpose: str) -> None:
    """Raise unless all modules are installed: looked for, not imported, since that takes long.

    Args:
        modules: top-level names.
        extra: the extra of aeonnx that brings them.
        purpose: what needs them, as the beginning of the message.

    Raises:
        MissingExtraError: with the pip line.
    """
    for module in modules:
        if find_spec(module) is None:
            raise MissingExtraError(module, extra, purpose)
