"""How a bundle runs: the arguments of `aeonnx.load`."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from aeonnx.bundle import PRECISIONS
from aeonnx.errors import InputError, UnknownNameError, UsageError
from aeonnx.runtime.providers import CUDA, Provider, full_name, normalized
from aeonnx.runtime.session_options import SessionOptions, check_options

__all__ = ["Settings", "graph_providers", "whole"]

_MOST_THREADS = 1024  # onnxruntime itself has no limit
_PRECISIONS = (*PRECISIONS, "auto")


@dataclass(frozen=True)
class Settings:
    """The arguments of `aeonnx.load`, checked.

    Args:
        providers: execution providers in order of preference, the first of which must load;
            None for CUDA if it really loads, else the CPU.
        precision: "fp32", "fp16" or "int8"; "auto" for the fastest variant on this machine that
            reproduces its golden vectors here.
        threads: intra-op threads per graph, 1 to 1024; None for one per core that this process
            may use.
        max_batch: most rows per run of a graph, 1 or more; None for the fastest measured here.
        cuda_graph: replay recorded CUDA graphs, one per power of two of rows. Experimental: not
            yet run on a device.
        session_options: attributes of `onnxruntime.SessionOptions`, and configuration entries.
        tile: length of the tiles that larger inputs are cut into, 1 or more; None for exact tiles
            of very large inputs alone.
        overlap: places that tiles share where they are blended, 0 or more; None for a quarter.

    Raises:
        UnknownNameError: there is no such precision, provider or session option.
        InputError: `threads`, `max_batch`, `tile` or `overlap` is not a whole number in its range.
        UsageError: `overlap` is given without `tile`, `providers` is not a list of names,
            `cuda_graph` is set and the first provider is not cuda, or a session option has the
            wrong type or is set by this package itself.
    """

    providers: Sequence[Provider] | None = None
    precision: str = "fp32"
    threads: int | None = None
    max_batch: int | None = None
    cuda_graph: bool = False
    session_options: SessionOptions = field(default_factory=dict)
    tile: int | None = None
    overlap: int | None = None

    def __post_init__(self) -> None:
        if self.precision not in _PRECISIONS:
            raise UnknownNameError("precision", str(self.precision), _PRECISIONS)
        for name, value, least in (
            ("threads", self.threads, 1),
            ("max_batch", self.max_batch, 1),
            ("tile", self.tile, 1),
            ("overlap", self.overlap, 0),
        ):
            if value is not None and whole(name, value) < least:
                raise InputError(f"{name}: expected {least} or more, got {value}")
        if self.overlap is not None and self.tile is None:
            raise UsageError(
                f"overlap: expected a tile too, got {self.overlap} alone: give the length of a "
                f"tile, such as {max(64, 4 * self.overlap)}, or leave overlap out"
            )
        if self.threads is not None and self.threads > _MOST_THREADS:
            raise InputError(f"threads: expected at most {_MOST_THREADS}, got {self.threads}")
        check_options(self.session_options)
        if self.providers is not None:
            normalized(self.providers)
            if self.cuda_graph:
                _first_cuda(self.providers)


def whole(name: str, value: object) -> int:
    """Convert a whole number of Python or numpy to `int`.

    Raises:
        InputError: `value` is not a whole number; the message begins with `name`.
    """
    try:
        if isinstance(value, bool | np.ndarray):  # numpy accepts an array of size 1 as an index
            raise TypeError
        return operator.index(value)  # type: ignore[arg-type]  # may raise TypeError
    except TypeError:
        kind = type(value).__name__
        raise InputError(f"{name}: expected a whole number, got {value!r} ({kind})") from None


def graph_providers(settings: Settings) -> list[Provider]:
    """The providers of a session that records CUDA graphs: CUDA only."""
    options = _first_cuda(settings.providers) if settings.providers else {}
    return [(CUDA, {**options, "enable_cuda_graph": "1"})]


def _first_cuda(providers: Sequence[Provider]) -> Mapping[str, str]:
    name, options = providers[0] if isinstance(providers[0], tuple) else (providers[0], {})
    if full_name(name) != CUDA:
        raise UsageError(
            f"cuda_graph: expected the provider cuda, got {name!r}: "
            "pass ['cuda'] or omit cuda_graph"
        )
    return options
