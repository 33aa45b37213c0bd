"""Asking for optional dependencies before they are imported. Standard library only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from aeonnx.errors import MissingExtraError, SetupError

__all__ = ["lazily", "require_modules"]


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


def lazily(
    package: str, homes: Mapping[str, str], *modules: str, extra: str, purpose: str
) -> Callable[[str], Any]:
    """A package's `__getattr__`, which imports a name's module when the name is asked for.

    Args:
        package: full name.
        homes: the module inside the package by name.
        modules, extra, purpose: see `require_modules`.
    """

    def find(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        require_modules(*modules, extra=extra, purpose=purpose)
        return getattr(import_module(f"{package}.{homes[name]}"), name)

    return find
