"""Eager torch as the reference of a graph: in float32, in float64, and with simulated rounding."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from aeonnx.exporting.verify.rounding import InFloat64, RoundedToFloat32
from aeonnx.models import Part
from aeonnx.runtime.session import Array

__all__ = ["Arrays", "Reference"]

Arrays = dict[str, Array]


class Reference:
    """Eager torch, in eval mode on the CPU, as a function of numpy arrays.

    Args:
        part: the part to run; its module is copied, not changed.
    """

    def __init__(self, part: Part) -> None:
        self._outputs = [spec.name for spec in part.outputs]
        self._inputs = [spec.name for spec in part.inputs]
        self._single = copy.deepcopy(part.module).cpu().eval()
        self._double = _in_float64(copy.deepcopy(part.module).cpu().eval())

    def single(self, inputs: Mapping[str, Array]) -> Arrays:
        """Outputs of float32 torch, by name."""
        return self._call(self._single, torch.float32, inputs, nullcontext())

    def double(self, inputs: Mapping[str, Array]) -> Arrays:
        """The reference: outputs in float64, by name, from the same inputs and weights.

        Casts of the module to a lower precision are lifted; see `InFloat64`.
        """
        return self._call(self._double, torch.float64, inputs, _watched(InFloat64()))  # type: ignore[no-untyped-call]

    def perturbed(self, inputs: Mapping[str, Array], draw: int = 0) -> Arrays:
        """Outputs of a simulated float32, in float64, by name; see `RoundedToFloat32`.

        Every operator rounds, and sums are running sums. torch's kernels sum some layers in blocks
        and lose less, so their error alone would be too narrow a bound for a correct graph.

        Args:
            inputs: arrays by name.
            draw: which sample of the rounding errors; 0 rounds to nearest.
        """
        return self._call(self._double, torch.float64, inputs, _watched(RoundedToFloat32(draw)))

    @torch.no_grad()
    def _call(
        self,
        module: nn.Module,
        dtype: torch.dtype,
        inputs: Mapping[str, Array],
        how: AbstractContextManager[object],
    ) -> Arrays:
        values = [_tensor(inputs[name], dtype) for name in self._inputs]
        with how:
            result = module(*values)
        outputs = result if isinstance(result, tuple) else (result,)
        return {name: value.numpy() for name, value in zip(self._outputs, outputs, strict=True)}


def _tensor(value: Array, dtype: torch.dtype) -> Tensor:
    # A copy: the module may write into its inputs.
    tensor = torch.from_numpy(np.array(value))
    return tensor.to(dtype) if tensor.is_floating_point() else tensor


def _in_float64(module: nn.Module) -> nn.Module:
    """The module in float64, including tensors that are plain attributes."""
    module.double()
    for item in module.modules():
        for name, value in vars(item).items():
            if isinstance(value, Tensor) and value.is_floating_point():
                setattr(item, name, value.double())
    return module


@contextmanager
def _watched(mode: InFloat64) -> Iterator[None]:
    """Activate the mode, with fused attention kernels off so that it sees every operator."""
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH), mode:
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
