"""Capture LSTM and GRU layers for sequences of any length."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
import torch._decomp.decompositions
from torch import Tensor
from torch._C import DispatchKey
from torch._subclasses.fake_tensor import is_fake

__all__ = ["sequences_of_any_length"]

_KEYS = (DispatchKey.CompositeImplicitAutograd, DispatchKey.Autograd)
_LAYERS: tuple[Any, ...] = (torch.ops.aten.lstm.input, torch.ops.aten.gru.input)
"""ONNX has them. Other layers are taken apart, place by place."""


@contextmanager
def sequences_of_any_length() -> Iterator[None]:
    """Context in which torch.export finds the sizes of recurrent layers without running them.

    torch.export (2.15) keeps these layers as operators, but finds the sizes of their outputs by a
    loop over the places of the sequence, and so fixes its length in the graph.
    """
    before = [(layer, dict(layer.py_kernels)) for layer in _LAYERS]
    for layer in _LAYERS:
        for key in _KEYS:
            kernel = layer.py_kernels.get(key)
            if kernel is not None:
                layer.py_kernels[key] = partial(_sizes, kernel)
        layer._dispatch_cache.clear()  # it has the kernels that were called so far
    try:
        yield
    finally:
        for layer, kernels in before:
            layer.py_kernels.update(kernels)
            layer._dispatch_cache.clear()


def _sizes(kernel: Callable[..., Any], sequence: Tensor, hidden: Any, *rest: Any) -> Any:
    """Outputs and last states; the arguments are those of the operators.

    Args:
        kernel: computes them, where tensors have values.
        sequence: [length, rows, features], or rows first.
        hidden: the first states [layers * directions, rows, features]; two for an LSTM.
        rest: weights, and the options of the layer; `bidirectional` is the last but one.
    """
    if not is_fake(sequence):
        return kernel(sequence, hidden, *rest)
    *_, bidirectional, _ = rest
    states = hidden if isinstance(hidden, list | tuple) else (hidden,)
    features = states[0].shape[-1] * (2 if bidirectional else 1)
    output = sequence.new_empty((*sequence.shape[:2], features))
    return output, *(torch.empty_like(state) for state in states)
