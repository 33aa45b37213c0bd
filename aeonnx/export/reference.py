"""Eager torch as what a graph is held against: in float32, in float64, and in float64 rounded."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from aeonnx.models import Part
from aeonnx.runtime.session import Array

__all__ = ["Arrays", "Reference"]

Arrays = dict[str, Array]

_UNIT_ROUNDOFF = float(np.finfo(np.float32).eps) / 2
_SUMS = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)


class Reference:
    """Eager torch as a function of numpy arrays.

    Args:
        part: its module is copied, not changed.
    """

    def __init__(self, part: Part) -> None:
        self._outputs = [spec.name for spec in part.outputs]
        self._inputs = [spec.name for spec in part.inputs]
        self._single = copy.deepcopy(part.module).cpu().eval()
        self._double = copy.deepcopy(part.module).cpu().double().eval()
        self._rounded = _rounded(self._double)

    def single(self, inputs: Mapping[str, Array]) -> Arrays:
        """What float32 torch gives: the outputs by name."""
        return self._call(self._single, torch.float32, inputs)

    def double(self, inputs: Mapping[str, Array]) -> Arrays:
        """The truth: the same inputs and weights in float64."""
        return self._call(self._double, torch.float64, inputs)

    def rounded(self, inputs: Mapping[str, Array]) -> Arrays:
        """What float32 may give where products are summed one after another.

        The truth, with the rounding of a running sum simulated at the end of each layer. torch's
        own kernels sum short outputs in blocks and lose less, so that their error alone is too
        narrow a measure of what is right.
        """
        return self._call(self._rounded, torch.float64, inputs)

    @torch.no_grad()
    def _call(self, module: nn.Module, dtype: torch.dtype, inputs: Mapping[str, Array]) -> Arrays:
        values = [torch.from_numpy(inputs[name]).to(dtype) for name in self._inputs]
        result = module(*values)
        outputs = result if isinstance(result, tuple) else (result,)
        return {name: value.numpy() for name, value in zip(self._outputs, outputs, strict=True)}


def _rounded(module: nn.Module) -> nn.Module:
    """A copy whose every sum of products is off by normal noise of (u / 3) sum |w_i x_i|.

    u is float32's unit roundoff. Rounding errors of a running sum are independent and in the mean
    0 (Higham and Mary, 2019, "A new approach to probabilistic rounding error analysis"): n terms of
    one size and random signs make partial sums that grow like a random walk, whose errors of up to
    half a last place add up to about n u / 3 of a term.
    """
    module = copy.deepcopy(module)
    generator = torch.Generator().manual_seed(0)
    for layer in [layer for layer in module.modules() if isinstance(layer, _SUMS)]:
        sizes = copy.deepcopy(layer)
        for parameter in sizes.parameters():
            parameter.data.abs_()

        def add(_: nn.Module, x: tuple[Tensor], y: Tensor, sizes: nn.Module = sizes) -> Tensor:
            noise = torch.randn(y.shape, generator=generator, dtype=y.dtype)
            size: Tensor = sizes(x[0].abs())
            return y + _UNIT_ROUNDOFF / 3 * size * noise

        layer.register_forward_hook(add)
    return module
