"""float64 runs of eager torch: without its casts to fewer bits, and with float32's rounding.

Both watch every operator that the eager module runs, so that they know functional calls, methods,
parametrised weights and recurrent layers as well as modules.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

__all__ = ["InFloat64", "RoundedToFloat32"]

_aten = torch.ops.aten
_NARROWER = (torch.float32, torch.float16, torch.bfloat16)

# Root mean square of one rounding error, relative: uniform within half a last place of a mantissa
# in [1, 2), which is on average 0.72 of the unit roundoff.
_ROUNDING = 0.72 / math.sqrt(3) * float(torch.finfo(torch.float32).eps) / 2
_PANEL = 128  # rows and columns of what MLAS, onnxruntime's CPU library, multiplies at once
_MANTISSA = 24  # bits of float32's

Operator = torch._ops.OpOverload


class InFloat64(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch has none here
    """Floating-point operators run in float64, whatever the module casts its tensors to.

    Constants that the module makes in float32 keep their values.
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
    """float64 operators whose results are rounded to float32, sums as a running sum would lose.

    Operators that float32 computes exactly stay exact. The others are rounded to the nearest, or up
    and down at random (Parker, 1997, "Monte Carlo arithmetic"; Vignes, 2004). Rounding errors of
    the partial sums S_k of a sum are independent, of mean 0 and up to half a last place (Higham and
    Mary, 2020, "Sharper probabilistic backward error analysis"): together they have variance
    r^2 sum S_k^2. A walk of n steps that ends at S has sum S_k^2 of about
    n S^2 / 3 + n sum (w_i x_i)^2 / 6. Kernels begin anew after b terms, and add up the n / b runs.

    Args:
        draw: 0 rounds to the nearest, every other number at random in its own way.
    """

    def __init__(self, draw: int = 0) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._generator = torch.Generator().manual_seed(draw)
        self._nearest = draw == 0

    def run(self, func: Operator, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        packet = func.overloadpacket
        if packet in _STEPS:  # operators of several steps, each of which rounds
            with self:
                return _STEPS[packet](*args, **kwargs)
        result = func(*args, **kwargs)
        if packet in _LOSSES:
            loss = _LOSSES[packet](args, kwargs)
            result = result + loss * self._normal(loss)
        if _only_moves(func):
            return result
        return torch.utils._pytree.tree_map_only(Tensor, self._rounded, result)

    def _normal(self, like: Tensor) -> Tensor:
        return torch.randn(like.shape, generator=self._generator, dtype=like.dtype)

    def _rounded(self, value: Tensor) -> Tensor:
        """The value in float32's precision, in place."""
        if value.dtype != torch.float64:
            return value
        nearest = value.to(torch.float32)
        if self._nearest:
            return value.copy_(nearest)
        _, exponent = torch.frexp(value)
        place = torch.ldexp(torch.ones_like(value), exponent - _MANTISSA)
        shift = torch.rand(value.shape, generator=self._generator, dtype=value.dtype) - 0.5
        shaken = (value + place * shift).to(torch.float32)
        return value.copy_(torch.where(nearest == value, nearest, shaken))


def _widened(values: Any) -> Any:
    def widen(tensor: Tensor) -> Tensor:
        return tensor.double() if tensor.dtype in _NARROWER else tensor

    return torch.utils._pytree.tree_map_only(Tensor, widen, values)


def _only_moves(func: Operator) -> bool:
    """Whether an operator gives a view of what it takes."""
    return any(
        item.alias_info is not None and not item.alias_info.is_write
        for item in func._schema.returns
    )


def _walked(ends: Tensor, steps: Tensor, terms: int, outputs: int) -> Tensor:
    """Standard deviation of what running sums lose.

    Args:
        ends: the sums.
        steps: the sums of the squared terms.
        terms: how many are added up.
        outputs: how many sums a kernel adds up side by side.
    """
    longest = min(max(_PANEL * _PANEL // max(outputs, 1), _PANEL), 8 * _PANEL)
    run = max(min(terms, longest), 1)
    runs = max(terms, 1) / run
    walked = (run / runs + runs - 1) * ends.square() / 3 + (run + runs - 1) * steps / 6
    return _ROUNDING * walked.sqrt()


Loss = Callable[[Sequence[Any], Mapping[str, Any]], Tensor]


def _of_matrices(product: Callable[[Tensor, Tensor], Tensor], first: int) -> Loss:
    """The loss of a product of matrices that are the arguments from `first` on."""

    def loss(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Tensor:
        left, right = args[first], args[first + 1]
        outputs = right.shape[-1] if right.ndim > 1 else 1
        ends, steps = product(left, right), product(left.square(), right.square())
        scale = abs(float(kwargs.get("alpha", 1)))
        return scale * _walked(ends, steps, left.shape[-1], outputs)

    return loss


def _of_convolution(args: Sequence[Any], _: Mapping[str, Any]) -> Tensor:
    x, weight, _bias, *rest = args
    ends: Tensor = _aten.convolution(x, weight, None, *rest)
    steps: Tensor = _aten.convolution(x.square(), weight.square(), None, *rest)
    transposed = rest[3]
    terms = weight.numel() // weight.shape[1 if transposed else 0]
    return _walked(ends, steps, terms, _PANEL)


def _of_sum(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Tensor:
    x = args[0].double()
    ends: Tensor = _aten.sum(x, *args[1:], **kwargs)
    terms: int = x.numel() // max(ends.numel(), 1)
    return _walked(ends, _aten.sum(x.square(), *args[1:], **kwargs), terms, _PANEL)


def _of_mean(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Tensor:
    ends: Tensor = _aten.mean(args[0], *args[1:], **kwargs)
    terms: int = max(args[0].numel() // max(ends.numel(), 1), 1)
    squares: Tensor = _aten.mean(args[0].square(), *args[1:], **kwargs)
    return _walked(ends * terms, squares * terms, terms, _PANEL) / terms


def _of_resize(operator: Any) -> Loss:
    """The loss of an interpolation, whose places are numbers up to the size of an axis."""

    def loss(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Tensor:
        x, *rest = args
        size: Tensor = operator(x.abs(), *rest, **kwargs)
        places: int = max(x.shape[2:])
        return _ROUNDING * places * size.abs()

    return loss


_LOSSES: dict[Any, Loss] = {
    _aten.mm: _of_matrices(_aten.mm, 0),
    _aten.bmm: _of_matrices(_aten.bmm, 0),
    _aten.mv: _of_matrices(_aten.mv, 0),
    _aten.dot: _of_matrices(_aten.dot, 0),
    _aten.addmm: _of_matrices(_aten.mm, 1),
    _aten.baddbmm: _of_matrices(_aten.bmm, 1),
    _aten.addmv: _of_matrices(_aten.mv, 1),
    _aten.convolution: _of_convolution,
    _aten.sum: _of_sum,
    _aten.mean: _of_mean,
    **{
        operator: _of_resize(operator)
        for operator in (
            _aten.upsample_linear1d,
            _aten.upsample_bilinear2d,
            _aten.upsample_bicubic2d,
            _aten.upsample_trilinear3d,
        )
    },
}


def _variance(x: Tensor, axes: list[int]) -> tuple[Tensor, Tensor]:
    """Variance without Bessel's correction and mean along axes, which are kept."""
    mean = x.mean(axes, keepdim=True)
    return (x - mean).square().mean(axes, keepdim=True), mean


def _per_channel(value: Tensor | None, x: Tensor) -> Tensor | None:
    return None if value is None else value.reshape(1, -1, *[1] * (x.ndim - 2))


def _scaled(x: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    x = x if weight is None else x * weight
    return x if bias is None else x + bias


def _layer_norm(
    x: Tensor, shape: Sequence[int], weight: Tensor | None, bias: Tensor | None, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    variance, mean = _variance(x, list(range(-len(shape), 0)))
    scale = (variance + eps).rsqrt()
    return _scaled((x - mean) * scale, weight, bias), mean, scale


def _group_norm(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    n: int,
    channels: int,  # noqa: ARG001  # the operator's arguments
    places: int,  # noqa: ARG001
    groups: int,
    eps: float,
) -> tuple[Tensor, Tensor, Tensor]:
    grouped = x.reshape(n, groups, -1)
    variance, mean = _variance(grouped, [2])
    scale = (variance + eps).rsqrt()
    normed = ((grouped - mean) * scale).reshape(x.shape)
    y = _scaled(normed, _per_channel(weight, x), _per_channel(bias, x))
    return y, mean.flatten(1), scale.flatten(1)


def _batch_norm(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    mean: Tensor | None,
    variance: Tensor | None,
    training: bool,
    momentum: float,  # noqa: ARG001  # the operator's arguments
    eps: float,
) -> tuple[Tensor, Tensor, Tensor]:
    if training or mean is None or variance is None:
        there, centre = _variance(x, [0, *range(2, x.ndim)])
    else:
        there, centre = _per_channel(variance, x), _per_channel(mean, x)  # type: ignore[assignment]
    scale = (there + eps).rsqrt()
    y = _scaled((x - centre) * scale, _per_channel(weight, x), _per_channel(bias, x))
    return y, centre.flatten(), scale.flatten()


def _softmax(x: Tensor, axis: int, *_: Any, **__: Any) -> Tensor:
    powers = (x - x.amax(axis, keepdim=True)).exp()
    return powers / powers.sum(axis, keepdim=True)


def _var(
    x: Tensor, axes: Any = None, *, correction: float | None = None, keepdim: bool = False
) -> Tensor:
    axes = list(range(x.ndim)) if axes is None or axes == [] else axes
    axes = [axes] if isinstance(axes, int) else axes
    variance, _ = _variance(x, axes)
    terms = x.numel() // max(variance.numel(), 1)
    left = max(terms - (1.0 if correction is None else correction), 0.0)
    variance = variance * (terms / left if left else math.nan)
    return variance if keepdim else variance.squeeze(axes)


def _gelu(x: Tensor, *, approximate: str = "none") -> Tensor:
    if approximate == "tanh":
        inner = math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)
        return 0.5 * x * (1 + inner.tanh())
    return 0.5 * x * (1 + (x / math.sqrt(2)).erf())


_STEPS: dict[Any, Callable[..., Any]] = {
    _aten.native_layer_norm: _layer_norm,
    _aten.native_group_norm: _group_norm,
    _aten.native_batch_norm: _batch_norm,
    _aten._softmax: _softmax,
    _aten._safe_softmax: _softmax,
    _aten.var: _var,
    _aten.gelu: _gelu,
}
