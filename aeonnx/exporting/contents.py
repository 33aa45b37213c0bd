"""The manifest of an export: its graphs, and those that were in the bundle before."""

from __future__ import annotations

from collections.abc import Sequence

import onnx
import onnxruntime
import torch

from aeonnx import __version__
from aeonnx.bundle import PRECISIONS, Manifest, Prior, Variant
from aeonnx.checkpoint import Checkpoint
from aeonnx.exporting.parts import ExportedGraph
from aeonnx.exporting.plan import Plan, prior_of
from aeonnx.runtime import Bundle

__all__ = ["contents_of", "dropped_variants"]


def contents_of(
    plan: Plan,
    graphs: Sequence[ExportedGraph],
    prior: Prior | None,
    before: Bundle | None,
    trained: Checkpoint,
) -> Manifest:
    """The manifest of new graphs and of those in the bundle that stay.

    Args:
        plan: of the export.
        graphs: that it made.
        prior: that it made; None for the bundle's.
        before: the bundle that it adds to; None for a new one.
        trained: the model.
    """
    entries = dict(before.manifest.parts) if before else {}
    for name in plan.parts:
        mine = {item.variant: item.entry() for item in graphs if item.part == name}
        there = entries.get(name, {})
        # Further variants were made of the fp32 graph that was there, and do what that one does.
        kept = there if there and _told(there["fp32"]) == _told(mine["fp32"]) else {}
        variants = {**kept, **mine}
        entries[name] = {key: variants[key] for key in sorted(variants, key=_order)}
    prior = prior or (before.manifest.prior if before else None)
    return _manifest(trained, prior, {name: entries[name] for name in sorted(entries)})


def dropped_variants(before: Bundle | None, after: Manifest) -> list[str]:
    """A note for each part that lost variants, since they were made of another fp32 graph."""
    return [
        f"{name}: dropped {', '.join(lost)}, made of another fp32 graph than this export's: repeat "
        "this export with --precision and --io to make them again"
        for name, variants in (before.manifest.parts if before else {}).items()
        if (lost := [key for key in variants if key not in after.parts[name]])
    ]


def _told(base: Variant) -> tuple[object, ...]:
    """What further variants take over from the fp32 graph: its weights and what its scores mean."""
    return base.sha256, base.percentiles, base.normal


def _order(variant: str) -> tuple[bool, int]:
    precision, _, pixels = variant.partition("-")
    return bool(pixels), PRECISIONS.index(precision)


def _manifest(
    trained: Checkpoint, prior: Prior | None, parts: dict[str, dict[str, Variant]]
) -> Manifest:
    name = prior_of(trained.model)
    trained_prior = Prior(name, 1.0, None, None) if name else None
    return Manifest(
        model=trained.config.model,
        arch=trained.config.arch,
        checkpoint_id=trained.checkpoint_id,
        prior=prior or trained_prior,
        classes=trained.config.classes,
        parts=parts,
        training=trained.training,
        tools={
            "aeonnx": __version__,
            "onnx": onnx.__version__,
            "onnxruntime": onnxruntime.__version__,
            "torch": str(torch.__version__),
        },
    )
