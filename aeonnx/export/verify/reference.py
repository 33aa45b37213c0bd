"""Eager torch as what a graph is held against: in float32, in float64, and in float64 rounded."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from aeonnx.models import Part
from aeonnx.runtime.session import Array

__all__ = ["Arrays", "Reference"]

Arrays = dict[str, Array]

# Root mean square of one rounding error, relative: uniform within half a last place of a mantissa
# in [1, 2), which is on average 0.72 of the unit roundoff.
_ROUNDING = 0.72 / math.sqrt(3) * float(np.finfo(np.float32).eps) / 2
_PANEL = 128  # rows and columns of what MLAS, onnxruntime's CPU library, multiplies at once
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
        own kernels sum some layers in blocks and lose less, so that their error alone is too
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
    """A copy whose every sum of products is off by what a running sum in float32 would lose.

    Rounding errors of the partial sums S_k are independent, of mean 0 and up to half a last place
    (Higham and Mary, 2020, "Sharper probabilistic backward error analysis"): together they have
    variance r^2 sum S_k^2. A walk of n steps that ends at S has sum S_k^2 of about
    n S^2 / 3 + n sum (w_i x_i)^2 / 6. Kernels begin anew after b terms, and add up the n / b runs.
    """
    module = copy.deepcopy(module)
    generator = torch.Generator().manual_seed(0)
    for layer in [layer for layer in module.modules() if isinstance(layer, _SUMS)]:
        sums, squares = _without_bias(layer), _without_bias(layer)
        squares.get_parameter("weight").data.square_()
        run, runs = _runs(layer)

        def add(
            _: nn.Module,
            x: tuple[Tensor],
            y: Tensor,
            sums: nn.Module = sums,
            squares: nn.Module = squares,
            run: float = run,
            runs: float = runs,
        ) -> Tensor:
            ends: Tensor = sums(x[0]).square() / 3
            steps: Tensor = squares(x[0].square()) / 6
            walked = (run / runs + runs - 1) * ends + (run + runs - 1) * steps
            noise = torch.randn(y.shape, generator=generator, dtype=y.dtype)
            return y + _ROUNDING * walked.sqrt() * noise

        layer.register_forward_hook(add)
    return module


def _runs(layer: nn.Linear | nn.Conv2d | nn.ConvTranspose2d) -> tuple[float, float]:
    """Terms in a run and number of runs of onnxruntime's kernels: longer ones for few outputs."""
    terms = layer.weight[0].numel()
    outputs = layer.out_features if isinstance(layer, nn.Linear) else _PANEL
    longest = min(max(_PANEL * _PANEL // outputs, _PANEL), 8 * _PANEL)
    run = min(terms, longest)
    return run, terms / run


def _without_bias(layer: nn.Module) -> nn.Module:
    copied = copy.deepcopy(layer)
    copied.register_parameter("bias", None)
    return copied
