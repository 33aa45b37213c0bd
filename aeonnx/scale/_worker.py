"""Does the shards of a bulk job in one process, each as the command line does its files."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from platform import node
from typing import Any

import numpy as np

from aeonnx.bundle.manifest import FILE_NAME
from aeonnx.errors import BundleError, GoldenMismatchError
from aeonnx.io.formats import distinct
from aeonnx.io.pictures import ANY
from aeonnx.io.readers import Reading
from aeonnx.io.source import AllSkipped, Source
from aeonnx.runtime import Bundle, load
from aeonnx.runtime.compare import merged
from aeonnx.runtime.file_ops import run_on_files
from aeonnx.runtime.file_rows import sizes
from aeonnx.runtime.generate_files import generate_file
from aeonnx.runtime.labels import missing_label
from aeonnx.runtime.scored import VERDICTS
from aeonnx.runtime.scoring import ScoreFiles, score_files
from aeonnx.runtime.session import Array
from aeonnx.runtime.verbs import PARTS, made_by, steps_of
from aeonnx.runtime.verification import verify_variant
from aeonnx.scale import _parquet
from aeonnx.scale._inputs import Draws, Pictures
from aeonnx.scale._shards import Record, Shard, commit, complete, write_record

__all__ = ["Job", "Worker", "digest_of"]

_ROWS = 1024
"""Most rows per run of a graph: a number that is measured would differ between machines, and with
it the last bits of results where a graph's rows depend on their number."""


@dataclass(frozen=True)
class Job:
    """What is done to all shards; the same for every worker.

    Args:
        bundle: absolute path of the bundle, which all machines see.
        digest: SHA-256 of its manifest.
        verb: "denoise", "encode", "score" or "generate".
        target: absolute path of the output folder, which all machines see.
        reading: how pictures and tables are read.
        column: of pictures in .parquet files.
        others: a number for each further input of the part.
        options: further arguments of the verb.
        provider: "cpu" or "cuda".
        precision: see `aeonnx.load`.
        threads: of each worker.
    """

    bundle: Path
    digest: str
    verb: str
    target: Path
    reading: Reading = field(default_factory=Reading)
    column: str = "image"
    others: Mapping[str, float] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    provider: str = "cpu"
    precision: str = "fp32"
    threads: int = 1

    def open(self) -> Bundle:
        """The bundle, in this process."""
        return load(
            self.bundle,
            [self.provider],
            precision=self.precision,
            threads=self.threads,
            max_batch=_ROWS,
        )


def digest_of(bundle: Path) -> str:
    """The SHA-256 of a bundle's manifest, which has those of all its files."""
    return hashlib.sha256((bundle / FILE_NAME).read_bytes()).hexdigest()


@dataclass
class Worker:
    """Does shards of a job in this process.

    Args:
        job: the job.
    """

    job: Job

    @cached_property
    def bundle(self) -> Bundle:
        """The bundle, opened once, which reproduces its golden vectors on this machine.

        Raises:
            BundleError: there is none, or another one.
            GoldenMismatchError: it does not reproduce them.
            IntegrityError, ProviderError, OldRuntimeError: see `Bundle.run`.
        """
        job, bundle = self.job, self.job.open()
        found = digest_of(job.bundle)
        if found != job.digest:
            raise BundleError(
                f"on {node()}: {job.bundle}: expected the bundle that the job began with, of "
                f"manifest {job.digest[:12]}, got {found[:12]}: all machines must see one bundle"
            )
        verbs = [job.verb, *(["reconstruct"] if self._label(bundle) else [])]
        parts = {PARTS[step] for verb in verbs for step in steps_of(bundle.manifest, verb)}
        report = merged(
            [
                verify_variant(bundle, part, name)
                for part in sorted(parts)
                for name in (job.precision, f"{job.precision}-uint8")
                if name in bundle.manifest.parts[part]
            ]
        )
        if not report.passed:
            lines = "\n".join((*report.failures, *report.not_run))
            raise GoldenMismatchError(f"on {node()}: {lines}")
        return bundle

    def _label(self, bundle: Bundle) -> str | None:
        if self.job.verb == "generate":
            return None
        return missing_label(bundle, self.job.verb, self.job.others)

    def do(self, shard: Shard) -> Record:
        """The record of a shard, which is done now if it was not before.

        Raises:
            ImageError: an input cannot be read, and is not to be skipped.
            OutputError: results cannot be written.
            BundleError, InputError, ProviderError, RunError: see `Bundle.run`.
        """
        before = complete(self.job.target, shard)
        if before is not None:  # by a worker that was lost before it could say so
            return before
        with commit(self.job.target, shard) as staged:
            rows, skipped = self._write(shard, staged)
            return write_record(staged, shard, rows, skipped)

    def _write(self, shard: Shard, staged: Path) -> tuple[int, Sequence[str]]:
        """Write the results of a shard: the number of rows, and what was skipped."""
        verb, part = self.job.verb, staged / shard.files[0]
        if isinstance(shard.inputs, Draws):
            self._generate(shard.inputs, part)
            return shard.rows, ()
        try:
            rows = shard.inputs.open(self.bundle, verb, self.job.reading)
        except AllSkipped as none:
            return 0, none.skipped
        if verb == "score":
            self._score(rows, part)
        elif made_by(self.bundle.manifest, verb)[1].kind != "image":
            self._arrays(rows, part)
        elif isinstance(shard.inputs, Pictures):
            self._pictures(rows, staged)
        else:
            self._stored_pictures(rows, part)
        return len(rows.names), rows.skipped

    def _generate(self, draws: Draws, path: Path) -> None:
        """A .npy as `aeonnx generate` writes."""
        job, n = self.job, draws.last - draws.first
        generate_file(
            self.bundle, n, draws.seed, draws.first, path, others=job.others, **job.options
        )

    def _score(self, rows: Source, path: Path) -> None:
        """The columns of the .csv that `aeonnx score` writes."""
        import pyarrow

        job = self.job
        _, found = score_files(self.bundle, rows, ScoreFiles(), others=job.others, **job.options)
        columns: Sequence[Any] = () if found.columns is None else (*found.columns.T,)
        table: dict[str, Any] = {
            "name": [*rows.names],
            "score": found.scores,
            "percentile": pyarrow.array(found.percentiles, from_pandas=True),  # null for NaN
            "verdict": [VERDICTS[odd] for odd in found.odd.tolist()],
        }
        if found.names:
            table["column"] = pyarrow.array(
                [found.column(place) for place in range(len(found))], pyarrow.string()
            )
        table |= {f"error.{name}": each for name, each in zip(found.names, columns, strict=True)}
        _parquet.write(path, table)

    def _arrays(self, rows: Source, path: Path) -> None:
        """The arrays of the .npz that `aeonnx encode` writes; of any size, those of the folder."""
        job, made = self.job, made_by(self.bundle.manifest, self.job.verb)[1]
        any_size = ANY in sizes(made)
        to = path.parent.parent / ("arrays" if any_size else "arrays.npz")
        run_on_files(self.bundle, job.verb, rows, to, others=job.others, **job.options)
        key = "features" if job.verb == "encode" else made.name
        found = _of_folder(to, rows.outputs or (), key) if any_size else _loaded(to, key)
        table: dict[str, Any] = {"name": [*rows.names]}
        for name, values in found.items():
            table |= _parquet.columns(name, values, any_size=any_size)
        _parquet.write(path, table)

    def _pictures(self, rows: Source, folder: Path) -> None:
        """The pictures that `aeonnx denoise` writes."""
        job = self.job
        run_on_files(
            self.bundle,
            job.verb,
            rows,
            folder,
            reading=job.reading,
            others=job.others,
            **job.options,
        )

    def _stored_pictures(self, rows: Source, path: Path) -> None:
        """The same, in a column."""
        folder = path.parent.parent / "pictures"
        self._pictures(rows, folder)
        data = [(folder / output).read_bytes() for output in rows.outputs or ()]
        _parquet.write(path, {"name": [*rows.names], self.job.column: data})


def _loaded(path: Path, key: str) -> dict[str, Array]:
    """The arrays of a .npz without the names of rows, or that of a .npy as `key`."""
    found = np.load(path)
    if isinstance(found, np.ndarray):
        return {key: found}
    with found:
        return {name: found[name] for name in found.files if name != "names"}


def _of_folder(folder: Path, outputs: Sequence[str], key: str) -> dict[str, list[Array]]:
    """The rows in the files of a folder, which are named after `outputs`."""
    suffix = next(path.suffix for path in folder.rglob("*") if path.is_file())
    rows = [_loaded(folder / name, key) for name in distinct(outputs, suffix)]
    return {name: [row[name][0] for row in rows] for name in rows[0]}
