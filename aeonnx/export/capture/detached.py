"""`.data` of a tensor, for torch.export."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

__all__ = ["DetachedData"]


class DetachedData(TorchFunctionMode):
    """While it is entered, `x.data` is `x.detach()`: the same values in the same memory.

    torch.export (2.15) records `.data` as an operator that its decomposition cannot run: mostly the
    process dies of a segmentation fault. `detach` it knows, also where its result is written to.
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
