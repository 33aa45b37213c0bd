"""A bundle against the checkpoint that it came from: what the export proved, proven again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from aeonnx import checkpoint
from aeonnx.checkpoint import Checkpoint
from aeonnx.errors import BundleError
from aeonnx.export.plan import fixed_to
from aeonnx.export.verify.compare import compare
from aeonnx.export.verify.inputs import prove_composed, real_inputs, rows_of
from aeonnx.models import Part
from aeonnx.runtime import Bundle, Report, Session
from aeonnx.runtime.compare import merged
from aeonnx.runtime.interface import batch_of
from aeonnx.runtime.session import Array

__all__ = ["origin", "verify_against"]


def origin(bundle: Bundle, source: Path) -> Checkpoint:
    """The checkpoint at `source`, if the bundle was exported from it.

    Raises:
        CheckpointError: the checkpoint is missing, damaged or foreign.
        BundleError: the bundle was exported from another checkpoint.
    """
    trained = checkpoint.load(source, bundle.manifest.model)
    if trained.latent_id != bundle.manifest.latent_id:
        raise BundleError(
            f"{bundle.folder} was not exported from {source}: its latent id is "
            f"{bundle.manifest.latent_id[:12]}, the checkpoint's {trained.latent_id[:12]}"
        )
    return trained


def verify_against(bundle: Bundle, source: Path) -> Report:
    """Compare every part of a bundle with the live checkpoint, as the export did.

    Args:
        bundle: opened with the providers to compare on.
        source: the checkpoint's folder or file.

    Raises:
        CheckpointError: the checkpoint is missing, damaged or foreign.
        BundleError: the bundle was exported from another checkpoint.
    """
    trained = origin(bundle, source)
    declared = trained.model.parts()
    real = real_inputs(trained, declared)
    parts = {
        name: fixed_to(part, batch_of(bundle.variant(name)) if _has(bundle, name) else None)
        for name, part in declared.items()
    }
    sessions = {name: bundle.session(name) for name in parts if _has(bundle, name)}
    reports = [_compared(name, parts[name], session, real) for name, session in sessions.items()]
    return merged([*reports, prove_composed(parts, sessions, None, real)])


def _has(bundle: Bundle, part: str) -> bool:
    return part in bundle.manifest.parts


def _compared(name: str, part: Part, session: Session, real: Mapping[str, Array]) -> Report:
    return compare(name, part, session, rows_of(part, real))
