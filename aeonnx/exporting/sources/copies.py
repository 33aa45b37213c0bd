"""Copy users' modules: everything that runs or changes one works on a copy."""

from __future__ import annotations

import copy

from torch import Tensor, nn

from aeonnx.errors import ModuleError
from aeonnx.exporting.sources.modules import unwrapped

__all__ = ["copied"]


def copied(name: str, module: nn.Module) -> nn.Module:
    """A copy in eval mode, without DataParallel, DistributedDataParallel and torch.compile.

    Args:
        name: what the module is, for the message.
        module: is not changed.

    Raises:
        ModuleError: it cannot be copied; the message names what in it.
    """
    try:
        return unwrapped(module).eval()
    except Exception as error:  # __deepcopy__ of a user's class may raise anything
        where, kind = _not_copied(module)
        raise ModuleError(
            f"{name}: graphs are made from copies of its module, and copy.deepcopy fails at "
            f"{where}, a {kind}: {error}. Keep it outside of the module, or give its class a "
            "method __deepcopy__"
        ) from error


def _not_copied(module: nn.Module) -> tuple[str, str]:
    """Path and type of the innermost object that cannot be copied."""
    found = ("the module", type(module).__name__)
    for path, child in module.named_modules():
        for key, value in vars(child).items():
            if isinstance(value, Tensor) or key in ("_modules", "_parameters", "_buffers"):
                continue
            try:
                copy.deepcopy(value)
            except Exception:  # as above
                found = (f"{path}.{key}" if path else key, type(value).__name__)
    return found
