"""Optional dependencies, checked, and names imported at first access. Standard library only."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from aeonnx.errors import MissingExtraError, SetupError

__all__ = ["lazily", "public_names", "require_modules"]


def require_modules(*modules: str, extra: str, purpose: str) -> None:
    """Raise unless all modules are installed; they are not imported, which would be slow.

    Args:
        modules: names of top-level modules.
        extra: the extra of aeonnx that installs them.
        purpose: what needs them; the message begins with it.

    Raises:
        MissingExtraError: a module is missing; the message has the pip command.
        SetupError: a module is only partly installed; the message has the pip command.
    """
    for module in modules:
        found = find_spec(module)
        if found is None:
            raise MissingExtraError(module, extra, purpose)
        if found.origin is None:  # Python accepts any folder of that name as a package
            places = ", ".join(found.submodule_search_locations or ())
            raise SetupError(
                f"{purpose} needs {module}, of which only the folder {places} is left: "
                f"pip install --force-reinstall 'aeonnx[{extra}]'"
            )


def lazily(
    package: str, homes: Mapping[str, str], *modules: str, extra: str, purpose: str
) -> Callable[[str], Any]:
    """Make a package's `__getattr__` that imports the module of a name at first access.

    It also gives the package a `__dir__`, so that `dir` and completion list its public names before
    their modules are imported: those of `__all__`, and public submodules that are imported already.

    Args:
        package: full name of the package.
        homes: name of the submodule that defines each public name.
        modules, extra, purpose: see `require_modules`.
    """

    def find(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        require_modules(*modules, extra=extra, purpose=purpose)
        return getattr(import_module(f"{package}.{homes[name]}"), name)

    namespace = vars(sys.modules[package])
    namespace["__dir__"] = lambda: public_names(package, namespace)
    return find


def public_names(package: str, namespace: Mapping[str, Any]) -> list[str]:
    """Public names, imported public submodules and special names of a package."""
    special = {name for name in namespace if name.startswith("__")}
    modules = {
        name
        for name, value in namespace.items()
        if getattr(value, "__name__", "") == f"{package}.{name}" and not name.startswith("_")
    }
    return sorted({*namespace["__all__"], *special, *modules})
