"""Let torch.export capture modules that use `.data`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

__all__ = ["DetachedData"]


class DetachedData(TorchFunctionMode):
    """Context in which `x.data` returns `x.detach()`, which shares the same memory.

    torch.export (2.15) records `.data` as an operator that its decomposition cannot run: mostly the
    process dies of a segmentation fault. It supports `detach`, also with in-place writes to the
    result.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        del types
        if func == torch.Tensor.data.__get__:  # type: ignore[attr-defined]
            return args[0].detach()
        return func(*args, **(kwargs or {}))
