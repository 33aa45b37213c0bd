"""The error of float32 kernels in one operator, beyond the rounding of its result.

The rounding errors of the partial sums S_k of a sum are modelled as independent, of mean 0 (Higham
and Mary, 2020, "Sharper probabilistic backward error analysis"). Together they have the variance

    r^2 sum_k S_k^2,

where r is the root mean square of one relative rounding error. For a random walk of n terms t_i
that ends at S, the expected sum of S_k^2 is about

    n S^2 / 3 + n sum_i t_i^2 / 6.

Kernels add b terms in a running sum, then start another, and add up the m = n / b sums. That makes

    r^2 ((b / m + m - 1) S^2 / 3 + (b + m - 1) sum_i t_i^2 / 6).

Equal terms are not rounded independently: while a sum stays between two powers of two, all are
rounded one way. About half of the additions of L equal terms share one error, which adds

    r^2 (L S / 2)^2.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

__all__ = ["LOSSES"]

_aten = torch.ops.aten

# Root mean square of one relative rounding error: uniform within half a last place of a mantissa
# in [1, 2), which is on average 0.72 of the unit roundoff.
_ROUNDING = 0.72 / math.sqrt(3) * float(torch.finfo(torch.float32).eps) / 2
_LAST_PLACE = 0.72 * float(torch.finfo(torch.float32).eps)  # relative, on average
_PANEL = 128  # rows and columns of a block that MLAS, onnxruntime's CPU library, multiplies
_LONGEST = 8 * _PANEL  # terms that a kernel adds before it starts another sum


def _walked(
    ends: Tensor,
    steps: Tensor,
    terms: int,
    outputs: int,
    *,
    exact: int = 0,
    shared: Tensor | None = None,
) -> Tensor:
    """Standard deviation of the error of running sums; the formula is in the module's docstring.

    Args:
        ends: the sums S.
        steps: the sums of the squared terms.
        terms: number of terms n.
        outputs: number of sums that a kernel computes side by side; it bounds b.
        exact: number of terms that enter without rounding: the first of a sum.
        shared: what equal terms add, (L S / 2)^2; None takes all terms for equal or none.
    """
    additions = terms - exact
    longest = min(max(_PANEL * _PANEL // max(outputs, 1), _PANEL), _LONGEST)
    if additions < 1:
        return torch.zeros_like(ends)
    run = min(additions, longest)
    runs = additions / run
    squares = ends.square()
    if shared is None:
        # By Cauchy and Schwarz, terms are equal if n sum t^2 is (sum t)^2; they are rounded
        # independently if they vary by more than a last place of the sum.
        alike = squares >= steps * ((1 - (terms * _LAST_PLACE) ** 2) * terms)
        shared = torch.where(alike, squares * (run / 2) ** 2, 0.0)
    walked = squares.mul_((run / runs + runs - 1) / 3).add_(steps, alpha=(run + runs - 1) / 6)
    return walked.add_(shared).sqrt_().mul_(_ROUNDING)


def _shared(x: Tensor, axes: Sequence[int]) -> Tensor:
    """Sum of (L S / 2)^2 over the runs of equal terms in sums along axes, which keep size 1."""
    kept = [axis for axis in range(x.ndim) if axis not in axes]
    terms = x.permute([*kept, *axes]).reshape([*(x.shape[axis] for axis in kept), -1])
    sums = terms.cumsum(-1)
    places = torch.arange(terms.shape[-1])
    starts, ends = torch.ones(2, *terms.shape, dtype=torch.bool)
    # Terms that differ by less than a last place of the sum are rounded as equal ones.
    starts[..., 1:] = terms.diff().abs() > _LAST_PLACE * sums[..., 1:].abs()
    ends[..., :-1] = starts[..., 1:]
    lengths = places - torch.where(starts, places, 0).cummax(-1).values
    runs: Tensor = ends * (lengths.clamp(max=_LONGEST) / 2 * sums).square()
    return runs.sum(-1).reshape([1 if i in axes else size for i, size in enumerate(x.shape)])


def _of_squares(product: Callable[[Tensor, Tensor], Tensor], x: Tensor, y: Tensor) -> Tensor:
    """The product of squares, to float32's accuracy, which is enough here and much faster."""
    scales = [float(value.abs().amax()) if value.numel() else 1.0 for value in (x, y)]
    scales = [scale if 0 < scale < math.inf else 1.0 for scale in scales]
    squares = [
        (value / scale).float().square_() for value, scale in zip((x, y), scales, strict=True)
    ]
    return product(*squares).double().mul_((scales[0] * scales[1]) ** 2)


Loss = Callable[[Sequence[Any], Mapping[str, Any], Tensor], Tensor]
"""(arguments, keyword arguments, result in float64) -> standard deviation of the error."""


def _of_matrices(product: Callable[[Tensor, Tensor], Tensor], first: int) -> Loss:
    """The loss of a product of two matrices, the arguments `first` and `first + 1`."""

    def loss(args: Sequence[Any], kwargs: Mapping[str, Any], result: Tensor) -> Tensor:
        left, right = args[first], args[first + 1]
        outputs = right.shape[-1] if right.ndim > 1 else 1
        alpha, beta = float(kwargs.get("alpha", 1)), float(kwargs.get("beta", 1))
        ends = result - beta * args[0] if first else result
        steps = alpha**2 * _of_squares(product, left, right)
        return _walked(ends, steps, left.shape[-1], outputs)

    return loss


def _of_convolution(args: Sequence[Any], _: Mapping[str, Any], result: Tensor) -> Tensor:
    x, weight, bias, *rest = args
    ends = result if bias is None else result - bias.reshape(-1, *[1] * (x.ndim - 2))
    steps = _of_squares(lambda x, weight: _aten.convolution(x, weight, None, *rest), x, weight)
    transposed = rest[3]
    terms = weight.numel() // weight.shape[1 if transposed else 0]
    return _walked(ends, steps, terms, _PANEL)


def _of_sum(args: Sequence[Any], _: Mapping[str, Any], result: Tensor) -> Tensor:
    x, axes = args[0].double(), _axes(args)
    ends, squares = (value.sum(axes, keepdim=True) for value in (x, x.square()))
    terms: int = x.numel() // max(ends.numel(), 1)
    if terms < 2:
        return torch.zeros_like(result)
    loss = _walked(ends, squares, terms, _PANEL, exact=1, shared=_shared(x, axes))
    return loss.reshape(result.shape)


def _of_mean(args: Sequence[Any], kwargs: Mapping[str, Any], result: Tensor) -> Tensor:
    terms: int = max(args[0].numel() // max(result.numel(), 1), 1)
    return _of_sum(args, kwargs, result) / terms


def _axes(args: Sequence[Any]) -> list[int]:
    """The axes of a reduction, all of them if none are given."""
    x, *rest = args
    given = rest[0] if rest else None
    axes = [given] if isinstance(given, int) else given or range(x.ndim)
    return [axis % x.ndim for axis in axes]


def _of_resize(operator: Any) -> Loss:
    """The loss of an interpolation: its coordinates round, and are as large as an axis."""

    def loss(args: Sequence[Any], kwargs: Mapping[str, Any], _: Tensor) -> Tensor:
        x, *rest = args
        size: Tensor = operator(x.abs(), *rest, **kwargs)
        places: int = max(x.shape[2:])
        return _ROUNDING * places * size.abs()

    return loss


def _of_function(places: float) -> Loss:
    """The loss of a function that kernels approximate.

    Args:
        places: root mean square of its error, in last places of the result.
    """

    def loss(_: Sequence[Any], __: Mapping[str, Any], result: Tensor) -> Tensor:
        return _LAST_PLACE * places * result.abs()

    return loss


def _near_1(places: float) -> Loss:
    """The same for a function that kernels compute from numbers near 1: in last places of 1."""

    def loss(_: Sequence[Any], __: Mapping[str, Any], result: Tensor) -> Tensor:
        return torch.full_like(result, _LAST_PLACE * places)

    return loss


# Measured in onnxruntime 1.31 on 300,000 numbers: tanh is off by 0.9 last places, at most by 4.5;
# 1 / (1 + exp(-x)) by up to 1.5e-7 however small it is; exp(x) - 1 likewise near 0.
_FUNCTIONS: dict[Any, Loss] = {
    _aten.tanh: _of_function(0.9),
    _aten.tanh_: _of_function(0.9),
    _aten.softplus: _of_function(0.7),
    _aten.log: _of_function(0.5),
    _aten.sigmoid: _near_1(0.5),
    _aten.sigmoid_: _near_1(0.5),
    _aten.elu: _near_1(0.4),
    _aten.elu_: _near_1(0.4),
    _aten.expm1: _near_1(0.4),
}

LOSSES: dict[Any, Loss] = {
    **_FUNCTIONS,
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
"""Operator -> the standard deviation of its error."""
