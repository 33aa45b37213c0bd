"""Writes the results of rows batch by batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from aeonnx.io.formats import Target
from aeonnx.io.source import Source
from aeonnx.io.writers import open_writer
from aeonnx.runtime.session import Array
from aeonnx.runtime.written import Written, common_shape

__all__ = ["Advanced", "write_rows"]

Advanced = Callable[[int, int], None]
"""Progress callback: (rows done, rows in total)."""


def write_rows(
    results: Iterable[tuple[Array, Mapping[str, Array]]],
    target: Target,
    rows: Source | int,
    key: str,
    more: Sequence[str],
    *,
    columns: int | None = None,
    force: bool,
    advanced: Advanced | None,
) -> Written:
    """Write the results of the rows of a source, or of a number of rows without one.

    Args:
        results: batches of results, each with the same rows of the further arrays.
        target: where they go.
        rows: the source, or the number of rows.
        key: name of the results in a .npz.
        more: names of the further arrays.
        columns: see `open_writer`.
        force: see `open_writer`.
        advanced: progress callback.
    """
    if isinstance(rows, int):
        count, names, outputs = rows, None, None
    else:
        count, names, outputs = len(rows.names), rows.names, rows.outputs
    dtype, done = "", 0
    shape: tuple[int | None, ...] = ()
    with open_writer(
        target,
        count,
        key=key,
        names=names,
        outputs=outputs,
        others=more,
        columns=columns,
        force=force,
    ) as writer:
        for batch, others in results:
            writer.write(batch, **others)
            dtype, shape, done = (
                f"{batch.dtype}",
                common_shape([shape or batch.shape[1:], batch.shape[1:]]),
                done + len(batch),
            )
            if advanced:
                advanced(done, count)
    return Written(f"{target}", dtype, (count, *shape))
