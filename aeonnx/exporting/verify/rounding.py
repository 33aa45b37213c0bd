"""Dispatch modes that run eager torch in float64: exactly, and with simulated float32 rounding.

Both intercept every operator that the eager module runs, so they cover functional calls, methods,
parametrised weights and recurrent layers as well as modules.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from aeonnx.exporting.verify.losses import LOSSES
from aeonnx.exporting.verify.steps import NORMS, STEPS, in_one_pass, in_two_passes

__all__ = ["InFloat64", "RoundedToFloat32"]

_NARROWER = (torch.float32, torch.float16, torch.bfloat16)

_EPSILON = torch.finfo(torch.float32).eps
_LARGEST = torch.finfo(torch.float32).max
_EXPONENT = 0x7F800000  # its bits in a float32

Operator = torch._ops.OpOverload


class InFloat64(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch has none here
    """Runs floating-point operators in float64, also where the module casts to less precision.

    Constants that the module creates in float32 keep their float32 values.
    """

    def __torch_dispatch__(
        self,
        func: Operator,
        types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = dict(kwargs or {})
        tensors = any(isinstance(item, Tensor) for item in torch.utils._pytree.tree_leaves(args))
        if tensors and kwargs.get("dtype") in _NARROWER:
            kwargs["dtype"] = torch.float64
        wide_args, wide_kwargs = _widened((tuple(args), kwargs))
        return _widened(self.run(func, wide_args, wide_kwargs))

    def run(self, func: Operator, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The operator on float64 tensors."""
        return func(*args, **kwargs)


class RoundedToFloat32(InFloat64):  # type: ignore[no-untyped-call]
    """Runs operators in float64, and gives their results the errors of float32.

    Results are rounded to nearest, or at random by Monte Carlo arithmetic (Parker, 1997, "Monte
    Carlo arithmetic: exploiting randomness in floating-point arithmetic"; Vignes, 2004):

        x -> fl(x + 2^(e - 24) u),  |x| = m 2^e with 1/2 <= m < 1,  u uniform in (-1/2, 1/2),

    where fl rounds to float32. A result that float32 represents exactly stays exact. Sums also lose
    what a running sum in float32 loses, a normal error of the standard deviation in `losses`.

    Args:
        draw: 0 rounds to nearest; every other number seeds its own sample of random errors.
    """

    def __init__(self, draw: int = 0) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._generator = torch.Generator().manual_seed(draw)
        self._nearest = draw == 0
        # Engines compute a variance in either way, and both are correct.
        self._variance = in_one_pass if draw % 2 else in_two_passes

    def run(self, func: Operator, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        packet = func.overloadpacket
        if packet in STEPS:  # composite operators, each of whose steps rounds
            with self:
                return STEPS[packet](*args, **kwargs)
        if packet in NORMS:
            with self:
                return NORMS[packet](self._variance, *args, **kwargs)
        result = func(*args, **kwargs)
        if packet in LOSSES and result.is_floating_point():
            loss = LOSSES[packet](args, kwargs, result)
            result.add_(loss * self._normal(loss))
        if _only_moves(func):
            return result
        return torch.utils._pytree.tree_map_only(Tensor, self._rounded, result)

    def _normal(self, like: Tensor) -> Tensor:
        # float32, several times as fast: these are errors.
        return torch.randn(like.shape, generator=self._generator, dtype=torch.float32)

    def _rounded(self, value: Tensor) -> Tensor:
        """The value rounded to float32's precision, in place."""
        if value.dtype != torch.float64:
            return value
        nearest = value.to(torch.float32)
        if self._nearest:
            return value.copy_(nearest)
        # The bits of the exponent alone are a power of two; frexp is several times slower.
        place = nearest.view(torch.int32).bitwise_and(_EXPONENT).view(torch.float32)
        kept = nearest.eq(value).logical_or_(place.isinf())  # what overflows has no error
        shift = torch.rand(value.shape, generator=self._generator, dtype=torch.float32)
        shaken = value + shift.sub_(0.5).mul_(place).mul_(_EPSILON)
        # An error alone does not overflow: masks hold the lowest number.
        shaken = shaken.clamp_(-_LARGEST, _LARGEST).to(torch.float32)
        return value.copy_(torch.where(kept, nearest, shaken))


def _widened(values: Any) -> Any:
    def widen(tensor: Tensor) -> Tensor:
        return tensor.double() if tensor.dtype in _NARROWER else tensor

    return torch.utils._pytree.tree_map_only(Tensor, widen, values)


def _only_moves(func: Operator) -> bool:
    """Whether an operator returns a view of its input."""
    return any(
        item.alias_info is not None and not item.alias_info.is_write
        for item in func._schema.returns
    )
