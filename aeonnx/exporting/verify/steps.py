"""Composite operators as single steps, each of which rounds in float32."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

__all__ = ["NORMS", "STEPS", "in_one_pass", "in_two_passes"]

_aten = torch.ops.aten

Moments = tuple[Tensor, Tensor]
Variance = Callable[[Tensor, list[int]], Moments]


def in_two_passes(x: Tensor, axes: list[int]) -> Moments:
    """Variance mean((x - mean)^2), and mean, along axes, which keep size 1."""
    mean = x.mean(axes, keepdim=True)
    return (x - mean).square().mean(axes, keepdim=True), mean


def in_one_pass(x: Tensor, axes: list[int]) -> Moments:
    """The same as E[x^2] - E[x]^2, which loses digits by cancellation."""
    mean = x.mean(axes, keepdim=True)
    variance = x.square().mean(axes, keepdim=True) - mean.square()
    return variance.clamp(min=0.0), mean


def _per_channel(value: Tensor | None, x: Tensor) -> Tensor | None:
    return None if value is None else value.reshape(1, -1, *[1] * (x.ndim - 2))


def _scaled(x: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    x = x if weight is None else x * weight
    return x if bias is None else x + bias


def _layer_norm(
    variance_of: Variance,
    x: Tensor,
    shape: Sequence[int],
    weight: Tensor | None,
    bias: Tensor | None,
    eps: float,
) -> tuple[Tensor, Tensor, Tensor]:
    variance, mean = variance_of(x, list(range(-len(shape), 0)))
    scale = (variance + eps).rsqrt()
    return _scaled((x - mean) * scale, weight, bias), mean, scale


def _group_norm(
    variance_of: Variance,
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
    variance, mean = variance_of(grouped, [2])
    scale = (variance + eps).rsqrt()
    normed = ((grouped - mean) * scale).reshape(x.shape)
    y = _scaled(normed, _per_channel(weight, x), _per_channel(bias, x))
    return y, mean.flatten(1), scale.flatten(1)


def _batch_norm(
    variance_of: Variance,
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
        there, centre = variance_of(x, [0, *range(2, x.ndim)])
    else:
        there, centre = _per_channel(variance, x), _per_channel(mean, x)  # type: ignore[assignment]
    scale = (there + eps).rsqrt()
    y = _scaled((x - centre) * scale, _per_channel(weight, x), _per_channel(bias, x))
    return y, centre.flatten(), scale.flatten()


def _softmax(x: Tensor, axis: int, *_: Any, **__: Any) -> Tensor:
    powers = (x - x.amax(axis, keepdim=True)).exp()
    return powers / powers.sum(axis, keepdim=True)


def _var(
    variance_of: Variance,
    x: Tensor,
    axes: Any = None,
    *,
    correction: float | None = None,
    keepdim: bool = False,
) -> Tensor:
    axes = list(range(x.ndim)) if axes is None or axes == [] else axes
    axes = [axes] if isinstance(axes, int) else axes
    variance, _ = variance_of(x, axes)
    terms = x.numel() // max(variance.numel(), 1)
    left = max(terms - (1.0 if correction is None else correction), 0.0)
    variance = variance * (terms / left if left else math.nan)
    return variance if keepdim else variance.squeeze(axes)


def _gelu(x: Tensor, *, approximate: str = "none") -> Tensor:
    if approximate == "tanh":
        inner = math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)
        return 0.5 * x * (1 + inner.tanh())
    return 0.5 * x * (1 + (x / math.sqrt(2)).erf())


STEPS: dict[Any, Callable[..., Any]] = {
    _aten._softmax: _softmax,
    _aten._safe_softmax: _softmax,
    _aten.gelu: _gelu,
    _aten.silu: lambda x: x * x.sigmoid(),
    _aten.silu_: lambda x: x.mul_(x.sigmoid()),
    _aten.mish: lambda x: x * torch.nn.functional.softplus(x).tanh(),
}

NORMS: dict[Any, Callable[..., Any]] = {
    _aten.native_layer_norm: _layer_norm,
    _aten.native_group_norm: _group_norm,
    _aten.native_batch_norm: _batch_norm,
    _aten.var: _var,
}
"""Operators that compute a variance, which they get as the first argument of their steps."""
