"""Verifies a bundle against its golden vectors on this machine, without torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Protocol

from aeonnx.bundle import BATCH, Golden, GoldenTensor, Variant
from aeonnx.errors import DeviceMemoryError, OldRuntimeError, RefusedGraphError, RunError
from aeonnx.runtime.compare import (
    Check,
    Report,
    differences,
    is_categorical,
    malformed,
    merged,
)
from aeonnx.runtime.interface import batch_of, rows_in, select_rows, sizes_of
from aeonnx.runtime.session import Array, Session

if TYPE_CHECKING:
    from aeonnx.runtime.bundle import Bundle

__all__ = ["entry", "verify", "verify_variant"]


def verify(bundle: Bundle) -> Report:
    """Run every part on its golden inputs, whole and row by row, and compare with torch's outputs.

    The report lists every failure, and every graph that this machine cannot run because it needs a
    newer onnxruntime or more memory.

    Raises:
        IntegrityError: a file is missing or does not match the manifest.
        ProviderError: a provider requested by name cannot run here.
    """
    return merged(
        [
            entry(part, name, partial(verify_variant, bundle, part, name))
            for part, variants in sorted(bundle.manifest.parts.items())
            for name in variants
        ]
    )


def entry(part: str, variant: str, judge: Callable[[], Report]) -> Report:
    """The report of `judge()`, or one that says why the graph could not be opened or run."""
    try:
        return judge()
    except (OldRuntimeError, DeviceMemoryError) as error:
        return Report((), (), (f"{part} ({variant}) was not run: {error}",))
    except (RefusedGraphError, RunError) as error:
        return Report((), (f"{part} ({variant}): {error}",))


class GraphStore(Protocol):
    """Provides sessions and golden arrays: a `Bundle` or a `SessionPool`."""

    def variant(self, part: str, name: str) -> Variant: ...

    def session(self, part: str, name: str) -> Session: ...

    def read_golden(self, tensor: GoldenTensor) -> Array: ...


def verify_variant(bundle: GraphStore, part: str, name: str) -> Report:
    """Verify one variant of a part, see `verify`."""
    variant = bundle.variant(part, name)
    return merged([_verify_set(bundle, part, name, golden) for golden in variant.golden])


def _verify_set(bundle: GraphStore, part: str, name: str, golden: Golden) -> Report:
    """The report on one set of golden vectors."""
    variant, session = bundle.variant(part, name), bundle.session(part, name)
    inputs, expected = (
        {key: bundle.read_golden(tensor) for key, tensor in stored.items()}
        for stored in (golden.inputs, golden.outputs)
    )
    worst: dict[str, Check] = {}
    failures: list[str] = []
    for batch in _batches(variant, rows_in(variant, inputs)):
        chosen = select_rows(variant, inputs, batch)
        try:
            outputs = session.run(chosen)
        except DeviceMemoryError:
            raise
        except RunError as error:
            failures.append(f"{part} ({name}): {error}")
            continue
        sizes = sizes_of(variant, chosen)
        wrong = malformed(variant.outputs, sizes, outputs)
        failures += [f"{part}.{line}" for line in wrong]
        if wrong:
            continue
        for key, tensor in golden.outputs.items():
            found = _checks(part, name, key, outputs[key], expected[key], tensor, batch, sizes)
            for check in found:
                if key not in worst or _share(check) > _share(worst[key]):
                    worst[key] = check
    failures += [check.failure for check in worst.values() if not check.passed]
    return Report(tuple(worst.values()), tuple(dict.fromkeys(failures)))


def _checks(
    part: str,
    variant: str,
    output: str,
    given: Array,
    expected: Array,
    tensor: GoldenTensor,
    batch: slice,
    sizes: Mapping[str, int],
) -> Iterator[Check]:
    """A check for each row of a batch, against its own tolerance."""
    others = {axis: size for axis, size in sizes.items() if axis != BATCH}
    tolerances = (tensor.tolerance or ())[batch]
    categorical = is_categorical(tensor.dtype)
    found = differences(given, expected[batch], categorical=categorical)
    numbers = zip(*found, tolerances, strict=True)
    for absolute, relative, tolerance in numbers:
        yield Check(
            part,
            variant,
            output,
            float(absolute),
            float(relative),
            tolerance,
            rows=tensor.shape[0],
            batch=len(given),
            sizes=others,
            categorical=categorical,
        )


def _share(check: Check) -> float:
    """The difference as a fraction of its tolerance."""
    return check.max_abs_diff / check.tolerance


def _batches(variant: Variant, rows: int) -> list[slice]:
    """All rows at once, then each alone; batches of its size for a graph with a fixed one."""
    size = batch_of(variant)
    if size is not None:
        return [slice(start, start + size) for start in range(0, rows, size)]
    return [slice(0, rows), *(slice(row, row + 1) for row in range(rows))]
