"""`--from module:package.module:factory`: a function that returns a module with its parts."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from torch import nn

from aeonnx.catalog.adapters import SourceOptions
from aeonnx.checkpoint import load_weights
from aeonnx.errors import ModuleError, UsageError
from aeonnx.exporting.sources.declarations import declared
from aeonnx.exporting.sources.user_code import user_code

__all__ = ["load"]


def load(location: str, options: SourceOptions) -> nn.Module:
    """Call a factory, with the working directory on the import path.

    Args:
        location: "package.module:factory". The factory takes no arguments and returns the module
            with its weights.
        options: its weights are loaded into the module.

    Raises:
        UsageError: there is no such factory.
        ModuleError: the factory, or `parts()`, raises an error.
        CheckpointError: the weights do not fit the module, or cannot be read safely.
    """
    where = f"--from module:{location}"
    options.refuse_scaled("a module")
    with _working_directory_first():
        factory = _factory(where, location)
        with user_code(f"{where}: the factory"):
            model: nn.Module = factory()
        if options.weights is not None and isinstance(model, nn.Module):
            load_weights(model, options.weights)
        parts = declared(where, model)
        if parts is not None:  # it may import modules of the working directory: only called here
            vars(model)["parts"] = lambda: parts
    return model


def _factory(where: str, location: str) -> Callable[[], Any]:
    module, _, name = location.partition(":")
    if not (module and name):
        raise UsageError(
            f"{where}: expected module:package.module:factory, such as module:mine:build, got "
            f"module:{location}"
        )
    try:
        with user_code(f"{where}: importing {module}"):
            imported = importlib.import_module(module)
    except ModuleError as error:
        cause = error.__cause__
        known = {module[:end] for end, dot in enumerate(f"{module}.") if dot == "."}
        if isinstance(cause, ModuleNotFoundError) and cause.name in known:
            raise UsageError(
                f"{where}: {cause}. Run it from the folder that holds {module}, or install the "
                "package"
            ) from cause
        raise
    found = getattr(imported, name, None)
    if found is None:
        raise UsageError(
            f"{where}: module {module!r} has no attribute {name!r}. It has: "
            f"{', '.join(_callables(imported)) or 'no function'}. It was found at "
            f"{getattr(imported, '__file__', None) or 'no file'}"
        )
    if not callable(found):
        raise UsageError(
            f"{where}: expected a function that returns the module, got a "
            f"{type(found).__name__}: write def build(): return {name}"
        )
    with suppress(ValueError):  # a built-in without a signature
        signature = inspect.signature(found)
        try:
            signature.bind()
        except TypeError as error:
            raise UsageError(
                f"{where}: expected a function that needs no arguments, got "
                f"{name}{signature}: write one that calls it with the values that you want"
            ) from error
    return found  # type: ignore[no-any-return]  # it is callable


def _callables(module: Any) -> list[str]:
    """Names of callables defined in this module, not imported into it."""
    return [
        name
        for name, value in vars(module).items()
        if callable(value) and getattr(value, "__module__", None) == module.__name__
    ]


@contextmanager
def _working_directory_first() -> Iterator[None]:
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        yield
    finally:
        with suppress(ValueError):  # the imported module replaced or changed sys.path
            sys.path.remove(here)
