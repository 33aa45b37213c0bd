"""Which releases of Triton run a graph: those whose onnxruntime is new enough."""

from __future__ import annotations

import re
from collections.abc import Iterable

from aeonnx.deploy.models import Model
from aeonnx.errors import BundleError, ManifestError, UsageError

__all__ = ["NEWEST", "ONNXRUNTIME", "lowest_release", "require_release"]

ONNXRUNTIME = {
    "24.04": "1.17.3",
    "24.05": "1.18.0",
    "24.07": "1.18.1",
    "24.09": "1.19.2",
    "24.12": "1.20.1",
    "25.03": "1.21.0",
    "25.05": "1.22.0",
    "25.08": "1.23.0",
    "25.10": "1.23.1",
    "25.11": "1.23.2",
    "26.02": "1.24.1",
    "26.03": "1.24.2",
    "26.04": "1.24.4",
    "26.07": "1.27.0",
}
"""The first release of Triton with each onnxruntime, from its compatibility matrix (2026-08)."""

NEWEST = "26.07"
"""The newest release in that matrix."""

_RELEASE = re.compile(r"[0-9]{2}\.(0[1-9]|1[0-2])")
_VERSION = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})*")


def lowest_release(models: Iterable[Model]) -> str:
    """The lowest known release of Triton that runs all versions of the models.

    Raises:
        BundleError: none is known; the message names the graph and what it needs.
        ManifestError: the bundle names no version of onnxruntime.
    """
    return max((_lowest(model) for model in models), key=_numbers)


def _lowest(model: Model) -> str:
    found = []
    for graph in model.graphs:
        entry, what = graph.entry, f"{model.part} ({graph.variant})"
        if not _VERSION.fullmatch(entry.min_onnxruntime):
            raise ManifestError(
                f"{what}: min_onnxruntime: expected a version such as 1.17, got "
                f"{entry.min_onnxruntime!r}: export the bundle again"
            )
        needed = _numbers(entry.min_onnxruntime)
        having = (release for release, has in ONNXRUNTIME.items() if _numbers(has) >= needed)
        release = next(having, None)
        if release is None:
            raise BundleError(
                f"{what} has opset {entry.opset} and IR {entry.ir_version}, and needs onnxruntime "
                f"{entry.min_onnxruntime}; the newest Triton known here, {NEWEST}, has "
                f"{ONNXRUNTIME[NEWEST]}: export the part with a lower --opset"
            )
        found.append(release)
    return max(found, key=_numbers)


def require_release(asked: str, lowest: str) -> str:
    """The release asked for, which may be newer than all that are known here.

    Raises:
        UsageError: it is no release, or older than the lowest that runs the graphs.
    """
    if not _RELEASE.fullmatch(asked):
        raise UsageError(f"--triton: expected a release such as {NEWEST}, got {asked!r}")
    if _numbers(asked) < _numbers(lowest):
        raise UsageError(
            f"--triton: expected {lowest} or newer, whose onnxruntime runs all graphs of the "
            f"bundle, got {asked}"
        )
    return asked


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))
