"""`aeonnx.load`: checks its arguments and opens a bundle."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path

from aeonnx.errors import UsageError
from aeonnx.runtime.bundle import Bundle, open_bundle
from aeonnx.runtime.providers import Provider, require_built
from aeonnx.runtime.session_options import SessionOptions
from aeonnx.runtime.settings import Settings

__all__ = ["load"]

_LOG = logging.getLogger(__name__)


def load(
    path: str | os.PathLike[str],
    providers: Sequence[Provider] | None = None,
    *,
    precision: str = "fp32",
    threads: int | None = None,
    max_batch: int | None = None,
    cuda_graph: bool = False,
    session_options: SessionOptions | None = None,
    tile: int | None = None,
    overlap: int | None = None,
) -> Bundle:
    """Open a bundle written by `aeonnx export`.

    Args:
        path: the bundle's folder; a relative path is resolved now, not when graphs are opened.
        providers: execution providers in order of preference, such as ["CUDAExecutionProvider"],
            ["cuda"] or [("cuda", {"device_id": "1"})]; opening a part fails unless the first one
            loads. None for CUDA if it really loads, else the CPU. Names are checked now.
        precision: "fp32", "fp16" or "int8", if exported; "auto" for the fastest variant of each
            part on this machine that reproduces its golden vectors here.
        threads: intra-op threads per graph, 1 to 1024; None for one per core that this process
            may use.
        max_batch: most rows per run of a graph, 1 or more; None for the fastest, measured once
            per machine.
        cuda_graph: replay recorded CUDA graphs to reduce the latency of small batches; CUDA only.
            Experimental: not yet run on a device.
        session_options: options of onnxruntime for every graph: attributes of
            `onnxruntime.SessionOptions`, such as {"inter_op_num_threads": 2}, and configuration
            entries, such as {"session.intra_op.allow_spinning": "0"}. Those that this package sets
            itself are refused: for "intra_op_num_threads", pass `threads`.
        tile: run inputs that are longer than this on any axis in tiles of this length, in places
            of the axis, such as pixels. The result is that of the whole if the part has a margin
            on each axis; if not, tiles overlap and are blended, which is not exact, see
            `Bundle.blended`. None for tiles of 512 x 512 where they are exact and an input or
            output has more than 4 million values per row, and for no tiles elsewhere.
        overlap: how many places blended tiles share, at most half of `tile`; None for a quarter.

    Raises:
        BundleError: there is no bundle at `path`, or its manifest is damaged or of a newer format.
        UnknownNameError: there is no such precision, provider or session option; the message
            suggests the nearest, and lists the providers of this onnxruntime.
        ProviderError: this onnxruntime is a build without the first provider.
        UsageError, InputError: an argument has an invalid value.
    """
    if not isinstance(path, str | os.PathLike):
        raise UsageError(f"load: expected the path of a bundle, got {path!r}")
    folder = Path(path)
    options = {} if session_options is None else session_options
    settings = Settings(
        providers, precision, threads, max_batch, cuda_graph, options, tile, overlap
    )
    if providers is not None:
        require_built(providers)
    bundle = open_bundle(folder, settings)
    _LOG.info("loaded %s: %s, %s", folder, bundle.manifest.model, ", ".join(bundle.parts))
    return bundle
