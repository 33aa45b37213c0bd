"""How a bundle is to run: what `aeonnx.load` was asked for."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from aeonnx.errors import InputError, UnknownNameError, UsageError
from aeonnx.runtime.providers import CUDA, Provider, full_name, normalized

__all__ = ["PRECISIONS", "Settings", "graph_providers", "whole"]

_MOST_THREADS = 1024  # onnxruntime starts as many as it is told to
PRECISIONS = ("fp32", "fp16", "int8", "auto")


@dataclass(frozen=True)
class Settings:
    """The arguments of `aeonnx.load`, checked.

    Args:
        providers: execution providers in order of preference, the first of which is what runs;
            None takes CUDA where it really loads, else the CPU.
        precision: "fp32", "fp16" or "int8"; "auto" takes what is fastest here and gives its golden
            vectors.
        threads: of each graph, 1 or more; None for the cores that this process may use.
        max_batch: rows that a graph is given at most at once; None for what is fastest here.
        cuda_graph: replay recorded CUDA graphs, one per power of two of rows.

    Raises:
        UnknownNameError: there is no such precision or provider.
        InputError: `threads` or `max_batch` is not a whole number of 1 or more.
        UsageError: `providers` is not a list of names, or `cuda_graph` goes with another than cuda.
    """

    providers: Sequence[Provider] | None = None
    precision: str = "fp32"
    threads: int | None = None
    max_batch: int | None = None
    cuda_graph: bool = False

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise UnknownNameError("precision", str(self.precision), PRECISIONS)
        for name, value in (("threads", self.threads), ("max_batch", self.max_batch)):
            if value is not None and whole(name, value) < 1:
                raise InputError(f"{name}: expected 1 or more, got {value}")
        if self.threads is not None and self.threads > _MOST_THREADS:
            raise InputError(f"threads: expected at most {_MOST_THREADS}, got {self.threads}")
        if self.providers is not None:
            normalized(self.providers)
            if self.cuda_graph:
                _first_cuda(self.providers)


def whole(name: str, value: object) -> int:
    """A whole number of Python or numpy.

    Raises:
        InputError: it is something else.
    """
    try:
        if isinstance(value, bool | np.ndarray):  # numpy takes an array of one for a number
            raise TypeError
        return operator.index(value)  # type: ignore[arg-type]  # that is the question
    except TypeError:
        kind = type(value).__name__
        raise InputError(f"{name}: expected a whole number, got {value!r} ({kind})") from None


def graph_providers(settings: Settings) -> list[Provider]:
    """The providers of a session that records CUDA graphs, which must run on CUDA alone."""
    options = _first_cuda(settings.providers) if settings.providers else {}
    return [(CUDA, {**options, "enable_cuda_graph": "1"})]


def _first_cuda(providers: Sequence[Provider]) -> Mapping[str, str]:
    name, options = providers[0] if isinstance(providers[0], tuple) else (providers[0], {})
    if full_name(name) != CUDA:
        raise UsageError(f"cuda_graph: expected the provider cuda, got {name!r}: leave one out")
    return options
