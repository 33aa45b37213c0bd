"""Writing a bundle: every part proven before anything appears under its final name."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import onnx
import onnxruntime
import torch

from aeonnx import __version__, checkpoint, files, manifest
from aeonnx.checkpoint import Checkpoint
from aeonnx.errors import (
    BundleError,
    ManifestError,
    OutputError,
    ParityError,
    UnknownNameError,
)
from aeonnx.export.golden import write_golden
from aeonnx.export.graph import (
    DEFAULT_OPSET,
    MIN_ONNXRUNTIME,
    Graph,
    build_graph,
    check_opset,
)
from aeonnx.export.parity import BATCHES, compare
from aeonnx.export.probes import Probes
from aeonnx.export.proof import probes_of, prove_composed, real_inputs, rows_of
from aeonnx.export.reference import Reference
from aeonnx.manifest import FORMAT_VERSION, Manifest, OutputParity, Variant
from aeonnx.models import Part
from aeonnx.runtime import Bundle, Report, Session
from aeonnx.runtime.compare import merged
from aeonnx.runtime.providers import CPU
from aeonnx.runtime.session import Array

__all__ = ["ExportOptions", "Exported", "Listener", "export"]


@dataclass(frozen=True)
class ExportOptions:
    """What to export, from where, and to where.

    Args:
        model: registered name.
        output: the bundle's folder; None for `dist/<model>`.
        checkpoint: folder or file, see `checkpoint.load`; None for where `aeonnx train` writes.
        parts: names of parts; empty for all that the model has.
        opset: 13 to 22.
        force: replace a bundle of another checkpoint.
    """

    model: str
    output: Path | None = None
    checkpoint: Path | None = None
    parts: tuple[str, ...] = ()
    opset: int = DEFAULT_OPSET
    force: bool = False


@dataclass(frozen=True)
class Exported:
    """What an export wrote.

    Args:
        output: the bundle's folder.
        manifest: of the whole bundle, parts from before included.
        parts: the parts that this export wrote.
        report: the evidence of parity, all passed.
    """

    output: Path
    manifest: Manifest
    parts: tuple[str, ...]
    report: Report


class Listener(Protocol):
    """Is told how the export goes on."""

    def exporting(self, part: str) -> None:
        """The part is being captured and compared."""


def export(options: ExportOptions, listener: Listener | None = None) -> Exported:
    """Export parts of a checkpoint into a bundle, or fail and write nothing.

    Raises:
        UsageError: the model, a part or the opset is unknown.
        CheckpointError: the checkpoint is missing, damaged or foreign.
        BundleError: `output` holds a bundle of another checkpoint and `force` is not set.
        GraphError: a part cannot become a graph that keeps the bundle's rules.
        ParityError: a graph and torch differ; its text is the whole report.
        OutputError: the bundle cannot be written.
    """
    check_opset(options.opset)
    source = options.checkpoint or checkpoint.default_folder(options.model)
    trained = checkpoint.load(source, options.model)
    parts = trained.model.parts()
    for name in options.parts:
        if name not in parts:
            raise UnknownNameError(f"part of {options.model}", name, parts)
    wanted = tuple(dict.fromkeys(options.parts or parts))
    output = options.output or Path("dist") / options.model
    before = _bundle_there(output, trained.latent_id, force=options.force)
    real = real_inputs(trained, parts)
    with files.transaction(output) as staged:
        candidates = []
        for name in wanted:
            if listener:
                listener.exporting(name)
            graph = build_graph(parts[name], options.opset, _metadata(trained, name))
            candidates.append(_try(name, parts[name], graph, real, staged))
        sessions = {item.name: item.session for item in candidates}
        composed = prove_composed(parts, sessions, before, real)
        report = merged([*(item.report for item in candidates), composed])
        if not report.passed:
            raise ParityError(
                "graph and torch differ, nothing was written:\n  " + "\n  ".join(report.failures)
            )
        entries = dict(before.manifest.parts) if before else {}
        entries |= {item.name: {"fp32": _variant(item, staged)} for item in candidates}
        contents = _manifest(trained, {name: entries[name] for name in sorted(entries)})
        (staged / manifest.FILE_NAME).write_bytes(manifest.serialize(contents))
        replaced = _replaced_files(output, contents)
    for path in replaced:
        path.unlink(missing_ok=True)
    return Exported(output, contents, wanted, report)


@dataclass(frozen=True)
class _Candidate:
    """A graph that is not yet part of the bundle."""

    name: str
    part: Part
    graph: Graph
    session: Session
    inputs: Mapping[str, Probes]
    report: Report


def _try(
    name: str, part: Part, graph: Graph, real: Mapping[str, Array], staged: Path
) -> _Candidate:
    path = staged / f"{name}.onnx"
    path.write_bytes(graph.data)
    session = Session(path, [CPU])
    inputs = probes_of(part, real)
    report = compare(name, part, session, rows_of(inputs))
    return _Candidate(name, part, graph, session, inputs, report)


def _variant(candidate: _Candidate, staged: Path) -> Variant:
    name, part, graph = candidate.name, candidate.part, candidate.graph
    checks = candidate.report.checks
    return Variant(
        file=candidate.session.path.name,
        sha256=hashlib.sha256(graph.data).hexdigest(),
        bytes=len(graph.data),
        opset=graph.opset,
        ir_version=graph.ir_version,
        min_onnxruntime=MIN_ONNXRUNTIME[graph.opset],
        inputs=part.inputs,
        outputs=part.outputs,
        parity={
            check.output: OutputParity(
                max_abs_diff=check.max_abs_diff,
                max_rel_diff=check.max_rel_diff,
                error=check.error or 0.0,
                noise_floor=check.noise_floor or 0.0,
                tolerance=check.tolerance,
            )
            for check in checks
        },
        parity_batches=BATCHES,
        golden=write_golden(
            staged,
            name,
            inputs={key: value.golden for key, value in candidate.inputs.items()},
            reference=Reference(part),
            tolerances={check.output: check.tolerance for check in checks},
        ),
    )


def _bundle_there(folder: Path, latent_id: str, *, force: bool) -> Bundle | None:
    """The bundle to add to, or None to begin one."""
    if not folder.exists():
        return None
    files.recover(folder)
    try:
        contents = manifest.read(folder)
    except BundleError as error:
        if force or (folder.is_dir() and not any(folder.iterdir())):
            return None
        if isinstance(error, ManifestError):
            raise
        raise OutputError(
            f"{folder} exists and is not a bundle: pass --force to write into it, or another -o"
        ) from None
    if contents.latent_id == latent_id:
        return Bundle(folder, contents, [CPU])
    if force:
        return None
    raise BundleError(
        f"{folder} holds parts of another checkpoint (latent id {contents.latent_id[:12]}, this "
        f"one has {latent_id[:12]}), and parts of two checkpoints do not fit together: pass "
        "--force to replace the bundle, or another -o"
    )


def _replaced_files(folder: Path, contents: Manifest) -> list[Path]:
    """Files that the bundle in `folder` names and the new one does not."""
    try:
        before = manifest.read(folder)
    except BundleError:
        return []
    return [
        folder / file
        for file in sorted(manifest.file_names(before) - manifest.file_names(contents))
    ]


def _metadata(trained: Checkpoint, part: str) -> dict[str, str]:
    return {
        "aeonnx.format": str(FORMAT_VERSION),
        "aeonnx.model": trained.config.model,
        "aeonnx.arch": trained.config.arch,
        "aeonnx.part": part,
        "aeonnx.precision": "fp32",
        "aeonnx.latent_id": trained.latent_id,
        "aeonnx.latent_size": str(trained.config.latent_size),
    }


def _manifest(trained: Checkpoint, parts: dict[str, dict[str, Variant]]) -> Manifest:
    return Manifest(
        model=trained.config.model,
        arch=trained.config.arch,
        input_shape=trained.config.input_shape,
        latent_size=trained.config.latent_size,
        latent_id=trained.latent_id,
        prior=trained.model.prior,
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
