"""Load external autoencoders: any nn.Module that declares its parts."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from aeonnx.checkpoint import Checkpoint, checkpoint_id, load_weights
from aeonnx.errors import ModuleError, UsageError
from aeonnx.exporting.sources.declarations import require_classes_and_prior, require_declared
from aeonnx.exporting.sources.kinds import with_kinds
from aeonnx.exporting.sources.modules import require_exportable
from aeonnx.exporting.sources.user_code import line_of, raised_by_aeonnx, user_code
from aeonnx.models import ExternalConfig, Part

__all__ = ["as_checkpoint", "from_module"]


def from_module(target: str, name: str, weights: Path | None = None) -> Checkpoint:
    """Call a factory and use the module that it returns as a trained model.

    Args:
        target: "package.module:factory"; the working directory is on the import path. The
            factory takes no arguments and returns the module with its weights. Besides `parts()`,
            the module may have `prior` ("standard-normal") and `classes` (names for the outputs of
            a part `classifier`).
        name: of the model in the manifest.
        weights: a file to load into the module, see `load_weights`; None if the factory loads them.

    Raises:
        UsageError: there is no such factory, or what it returns has no usable parts.
        ModuleError: the factory, or `parts()`, raises an error.
        GraphError: a part is TorchScript, or one of its tensors is lazy, on the meta device, not
            float32 or not dense.
        CheckpointError: the weights do not fit the module, or cannot be read safely.
    """
    with _working_directory_first():
        factory = _factory(target)
        with user_code(f"--from-module {target}: the factory"):
            model = factory()
        if weights is not None and isinstance(model, nn.Module):
            load_weights(model, weights)
        parts = require_declared(target, model, _declared(target, model))
    return as_checkpoint(f"--from-module {target}", model, parts, name)


def as_checkpoint(where: str, model: Any, parts: Mapping[str, Part], name: str) -> Checkpoint:
    """A model from elsewhere, checked and moved to the CPU, as a trained model.

    Args:
        where: what the user wrote, for messages.
        model: may have `prior` and `classes`, see `from_module`.
        parts: its parts.
        name: of the model in the manifest.

    Raises:
        UsageError, ModuleError, GraphError: see `from_module`.
    """
    parts = with_kinds(parts)
    classes = require_classes_and_prior(where, model, parts)
    config = ExternalConfig(name, type(model).__name__, classes)
    for part_name, part in parts.items():
        require_exportable(part_name, part.module)
    with user_code(f"{where}: moving its weights to the CPU"):
        for module in (model, *(part.module for part in parts.values())):
            _to_cpu(module.eval().requires_grad_(False))
    model.parts = lambda: dict(parts)  # export the checked parts: parts() may build new ones
    with user_code(f"{where}: state_dict()"):
        identity = checkpoint_id(config, model)
    return Checkpoint(model, config, identity, None, None)


def _factory(target: str) -> Callable[[], Any]:
    module, _, name = target.partition(":")
    if not (module and name):
        raise UsageError(f"--from-module: expected package.module:factory, got {target!r}")
    try:
        with user_code(f"--from-module {target}: importing {module}"):
            imported = importlib.import_module(module)
    except ModuleError as error:
        cause = error.__cause__
        known = {module[:end] for end, dot in enumerate(f"{module}.") if dot == "."}
        if isinstance(cause, ModuleNotFoundError) and cause.name in known:
            raise UsageError(
                f"--from-module {target}: {cause}. Run it from the folder that holds {module}, or "
                "install the package"
            ) from cause
        raise
    found = getattr(imported, name, None)
    if found is None:
        raise UsageError(
            f"--from-module {target}: module {module!r} has no attribute {name!r}. It has: "
            f"{', '.join(_callables(imported)) or 'no function'}. It was found at "
            f"{getattr(imported, '__file__', None) or 'no file'}"
        )
    if not callable(found):
        raise UsageError(
            f"--from-module {target}: expected a function that returns the module, got a "
            f"{type(found).__name__}: write def build(): return {name}"
        )
    with suppress(ValueError):  # a built-in without a signature
        signature = inspect.signature(found)
        try:
            signature.bind()
        except TypeError as error:
            raise UsageError(
                f"--from-module {target}: expected a function that needs no arguments, got "
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


def _declared(target: str, model: Any) -> Mapping[str, Part] | None:
    declare: Any = getattr(model, "parts", None)
    if not isinstance(model, nn.Module) or not callable(declare):
        return None
    try:
        with user_code(f"--from-module {target}: parts()"):
            found: Mapping[str, Part] = declare()
            return found
    except ModuleError as error:
        cause = error.__cause__
        if cause and raised_by_aeonnx(cause):  # TensorSpec refused a name or a shape
            raise UsageError(f"--from-module {target}: parts(): {cause}{line_of(cause)}") from cause
        raise


def _to_cpu(module: nn.Module) -> None:
    """Move a module to the CPU, including tensors in plain attributes, which are detached.

    The old `torch.nn.utils.weight_norm` stores a weight that is not a leaf, which cannot be copied.
    """
    if not any(value.is_meta for value in (*module.parameters(), *module.buffers())):
        module.cpu()
    for child in module.modules():
        for key, value in vars(child).items():
            if isinstance(value, Tensor) and not value.is_meta and not _is_cpu_leaf(value):
                vars(child)[key] = value.detach().cpu()


def _is_cpu_leaf(value: Tensor) -> bool:
    return value.is_leaf and value.device.type == "cpu"


@contextmanager
def _working_directory_first() -> Iterator[None]:
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        yield
    finally:
        with suppress(ValueError):  # the imported module replaced or changed sys.path
            sys.path.remove(here)
