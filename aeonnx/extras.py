"""Asking for optional dependencies before they are imported. Standard library only."""

from __future__ import annotations

from importlib.util import find_spec

from aeonnx.errors import MissingExtraError, SetupError

__all__ = ["require_modules"]


def require_modules(*modules: str, extra: str, purpose: str) -> None:
    """Raise unless all modules are installed: looked for, not imported, since that takes long.

    Args:
        modules: top-level names.
        extra: the extra of aeonnx that brings them.
        purpose: what needs them, as the beginning of the message.

    Raises:
        MissingExtraError: one is not, with the pip line.
        SetupError: one was uninstalled in part, with the pip line.
    """
    for module in modules:
        found = find_spec(module)
        if found is None:
            raise MissingExtraError(module, extra, purpose)
        if found.origin is None:  # Python takes any folder of that name for a module
            places = ", ".join(found.submodule_search_locations or ())
            raise SetupError(
                f"{purpose} needs {module}, of which only the folder {places} is left: "
                f"pip install --force-reinstall 'aeonnx[{extra}]'"
            )
