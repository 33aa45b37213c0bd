"""Processes more rows than fit in memory: reads, runs and writes batches in separate threads.

for images in stream(bundle, "decode", np.load("z.npy", mmap_mode="r")):
    ...
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar, cast

from aeonnx.bundle import TensorSpec, Variant, latents
from aeonnx.io.stored import slices
from aeonnx.runtime.array_like import ArrayLike, is_array
from aeonnx.runtime.generating import latent_shape
from aeonnx.runtime.interface import golden_shape
from aeonnx.runtime.prior import check_range
from aeonnx.runtime.session import Array
from aeonnx.runtime.verbs import PARTS, steps_of, taken_by

if TYPE_CHECKING:
    from aeonnx.runtime.bundle import Bundle

__all__ = ["ahead", "generated", "rows_at_once", "stream"]

T = TypeVar("T")

_BYTES = 16 * 2**20
"""Size of a batch of float images; several batches are in memory at a time."""


def stream(
    bundle: Bundle, verb: str, source: ArrayLike | Iterable[ArrayLike], **options: Any
) -> Iterator[Array]:
    """Run a verb batch by batch: a generator of its results, in order.

    Args:
        bundle: the bundle.
        verb: "encode", "decode", "reconstruct" or "denoise".
        source: an array, which is read slice by slice: a memory-mapped one of numpy, or one of
            another library that can be sliced; or an iterable of batches of rows.
        options: keyword arguments of the verb, such as `pixels=True`.

    Yields:
        The verb's result for each batch.

    Raises:
        InputError, BundleError, ProviderError, RunError: see `Bundle.run`.
    """
    if is_array(source):
        values = math.prod(getattr(source, "shape", ())[1:])
        source = slices(cast(Array, source), rows_at_once(bundle, verb, values))
    run = getattr(bundle, verb)
    batches = cast(Iterable[ArrayLike], source)
    return ahead(run(batch, **options) for batch in ahead(batches))


def generated(
    bundle: Bundle, n: int, seed: int = 0, first: int = 0, **options: Any
) -> Iterator[Array]:
    """The images of `Bundle.generate`, as a generator of batches, in order.

    Args:
        bundle: the bundle.
        n, seed, first: see `Bundle.generate`.
        options: its keyword arguments, with one number for each further input of the decoder.
    """
    check_range(seed, first, n)
    bundle.require("generate")
    size = latent_shape(bundle.manifest, options.get("size"))
    rows = rows_at_once(bundle, "generate", math.prod(size))
    return ahead(
        bundle.generate(min(rows, n - start), seed, first + start, **options)
        for start in range(0, n, rows)
    )


def rows_at_once(bundle: Bundle, verb: str, values: int = 0) -> int:
    """Rows per batch: the larger the inputs and outputs of a verb, the fewer.

    Args:
        bundle: the bundle.
        verb: that runs on the rows.
        values: how many values a row of its first input has, of "generate" a latent; 0 for as many
            as in the golden vectors. The other tensors are as many times larger as this one.
    """
    variants = (bundle.variant(PARTS[step]) for step in steps_of(bundle.manifest, verb))
    largest = max(
        math.prod(golden_shape(variant, spec))
        for variant in variants
        for spec in (*variant.inputs, *variant.outputs)
    )
    known = math.prod(golden_shape(*_given(bundle, verb)))
    return max(1, _BYTES * known // (4 * largest * max(known, values)))


def _given(bundle: Bundle, verb: str) -> tuple[Variant, TensorSpec]:
    """What decides how large the tensors of a verb are."""
    if verb == "generate":
        (part, latent), *_ = latents(bundle.manifest)
        return bundle.variant(part), latent
    variant = bundle.variant(taken_by(bundle.manifest, verb))
    return variant, variant.inputs[0]


def ahead(items: Iterable[T], count: int = 2) -> Iterator[T]:
    """The items of an iterable, which another thread computes up to `count` items ahead."""
    iterator, end = iter(items), object()
    with ThreadPoolExecutor(1) as pool:
        pending = deque(pool.submit(next, iterator, end) for _ in range(count))
        try:
            while (item := pending.popleft().result()) is not end:
                pending.append(pool.submit(next, iterator, end))
                yield cast(T, item)
        finally:
            pool.shutdown(cancel_futures=True)
