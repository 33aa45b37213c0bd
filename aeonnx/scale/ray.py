"""Bulk work on Ray: verbs on pictures and tables in any number, and any number of samples.

    import aeonnx.scale.ray
    aeonnx.scale.ray.denoise("dist/dae", "scans/", "clean/", workers=4)

The results are those of the command line in one process, whatever the number of machines is, and
which of them fail. The inputs are cut into shards, and Ray Data gives one after the other to actors
that hold the bundle. A shard that is done is recorded in the output folder, so that a second call
goes on where the first was stopped. All machines need aeonnx, and see bundle, inputs and output
under the same paths.

Ray that the caller has started is used, or the cluster that `RAY_ADDRESS` names or that runs on
this machine; else Ray is started on this machine for the call, without a dashboard and without
sending usage data.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack

from aeonnx._util import files
from aeonnx._util.arguments import StrPath
from aeonnx._util.optional import require_modules
from aeonnx.runtime import Bundle, load
from aeonnx.runtime.prior import check_range
from aeonnx.runtime.verbs import made_by
from aeonnx.scale._cluster import run_shards
from aeonnx.scale._inputs import shards_of, shards_of_draws
from aeonnx.scale._options import (
    OF_ALL,
    OF_FILES,
    FileOptions,
    Options,
    Result,
    as_texts,
    checked,
    reading_of,
)
from aeonnx.scale._shards import Plan, Shard, begin, finish
from aeonnx.scale._worker import Job, digest_of

__all__ = ["FileOptions", "Options", "Result", "denoise", "encode", "generate", "score"]


def denoise(
    bundle: StrPath,
    source: StrPath,
    target: StrPath,
    *,
    strength: float | None = None,
    **options: Unpack[FileOptions],
) -> Result:
    """Denoise pictures.

    Args:
        bundle: folder of the bundle.
        source: a folder of pictures of any kind that `aeonnx denoise` reads; or a .parquet file, or
            a folder of them, with pictures in a column.
        target: folder for the results: a PNG for each picture of a folder, under its relative
            name; .parquet files with the columns `name` and `image` for pictures of such files.
        strength: see `Bundle.denoise`.
        options: see `FileOptions`.

    Raises:
        ImageError: the source is missing, or a picture cannot be used and `skip_bad` is not set.
        OutputError: `target` holds other files, or results of another bundle, of other options or
            other inputs, and `force` is not set; or another job writes to it.
        UsageError, InputError: an option has a value that is not allowed.
        BundleError: there is no bundle, or it cannot denoise.
        GoldenMismatchError: the bundle does not reproduce its golden vectors on a machine.
        MissingExtraError: Ray is not installed.
        SetupError: the cluster has no room for a worker.
    """
    return _on_files("denoise", bundle, source, target, {"strength": strength}, options)


def encode(
    bundle: StrPath, source: StrPath, target: StrPath, **options: Unpack[FileOptions]
) -> Result:
    """Encode pictures or rows of tables to latents.

    Args:
        bundle: folder of the bundle.
        source: see `denoise`; for a model of columns, a .parquet table or a folder of them.
        target: folder for .parquet files with the columns `name`, `features` and, by their names,
            further outputs of the encoder that the decoder takes.
        options: see `FileOptions`.

    Raises:
        AeonnxError: see `denoise`.
    """
    return _on_files("encode", bundle, source, target, {}, options)


def score(
    bundle: StrPath,
    source: StrPath,
    target: StrPath,
    *,
    threshold: str | float = "p99",
    **options: Unpack[FileOptions],
) -> Result:
    """Score pictures or rows of tables by how unlike those of the training they are.

    Args:
        bundle: folder of the bundle.
        source: see `encode`.
        target: folder for .parquet files with the columns that `aeonnx score` writes: `name`,
            `score`, `percentile`, `verdict` and, of tables, `column` and `error.COLUMN` for each.
        threshold: see `Bundle.score`.
        options: see `FileOptions`.

    Raises:
        AeonnxError: see `denoise`.
    """
    return _on_files("score", bundle, source, target, {"threshold": threshold}, options)


def generate(
    bundle: StrPath,
    target: StrPath,
    n: int,
    seed: int = 0,
    first: int = 0,
    *,
    size: Sequence[int] | None = None,
    pixels: bool = False,
    **options: Unpack[Options],
) -> Result:
    """Generate samples `first` to `first + n - 1` of a seed.

    Sample i is the same in every call, whatever `n`, `first` and the shards are.

    Args:
        bundle: folder of the bundle.
        target: folder for .npy files of `rows_per_shard` images each, in order: float32, or uint8
            with `pixels`, [rows, C, H, W].
        n, seed, first, size, pixels: see `Bundle.generate`.
        options: see `Options`.

    Raises:
        AeonnxError: see `denoise`.
    """
    how = checked(options, OF_ALL)
    check_range(seed, first, n)
    opened = _opened(bundle, "generate", how)
    asked = {"size": None if size is None else [*size], "pixels": pixels}
    plan = _plan(opened, "generate", how, {**asked, "seed": seed})
    shards = shards_of_draws(plan, seed, first, n, how["rows_per_shard"])
    return _run(_job(opened, "generate", target, how, asked), plan, shards, how)


def _on_files(
    verb: str,
    bundle: StrPath,
    source: StrPath,
    target: StrPath,
    asked: dict[str, Any],
    options: FileOptions,
) -> Result:
    how = checked(options, OF_FILES)
    opened, reading = _opened(bundle, verb, how), reading_of(how)
    names = ("resize", "background", "step", "column")
    plan = _plan(opened, verb, how, {**asked, **{name: how.get(name) for name in names}})
    pictures = verb != "score" and made_by(opened.manifest, verb)[1].kind == "image"
    shards = shards_of(
        opened,
        verb,
        Path(source).absolute(),
        reading,
        plan,
        column=how["column"],
        pictures=pictures,
        size=how["rows_per_shard"],
    )
    job = _job(opened, verb, target, how, asked)
    return _run(replace(job, reading=reading, column=how["column"]), plan, shards, how)


def _opened(bundle: StrPath, verb: str, how: Options) -> Bundle:
    """The bundle in this process, which runs none of it."""
    opened = load(bundle, ["cpu"], precision=how["precision"])
    opened.require(verb)
    return opened


def _plan(opened: Bundle, verb: str, how: Options, asked: dict[str, Any]) -> Plan:
    shared = {name: how.get(name) for name in ("inputs", "precision", "rows_per_shard")}
    options = as_texts({**asked, **shared, "provider": _provider(how)})
    return Plan(digest_of(opened.folder), verb, options)


def _provider(how: Options) -> str:
    return "cuda" if how["gpus"] else "cpu"


def _job(opened: Bundle, verb: str, target: StrPath, how: Options, asked: dict[str, Any]) -> Job:
    return Job(
        opened.folder,
        digest_of(opened.folder),
        verb,
        Path(target).absolute(),
        others=how["inputs"],
        options=asked,
        provider=_provider(how),
        precision=how["precision"],
        threads=how["cpus"],
    )


def _run(job: Job, plan: Plan, shards: Sequence[Shard], how: Options) -> Result:
    """Do the shards that are not complete, and write the index."""
    require_modules("ray", extra="scale", purpose="running on Ray")
    require_modules("pyarrow", extra="scale", purpose="running on Ray")
    with files.locked(job.target, f"aeonnx.scale.ray.{job.verb}"):
        ready = begin(job.target, plan, shards, force=how["force"])
        left = [shard for shard in shards if shard.number not in ready]
        total = sum(shard.rows for shard in shards)
        rows = sum(shard.rows for shard in shards if shard.number in ready)
        sizes = {shard.number: shard.rows for shard in left}
        with closing(run_shards(job, left, how)) as made:  # which ends what an error leaves running
            for number, record in made:
                ready[number] = record
                rows += sizes[number]
                if how["advanced"]:
                    how["advanced"](rows, total)
        index = finish(job.target, plan, shards, ready)
    skipped = dict.fromkeys(text for record in index.shards for text in record.skipped)
    return Result(job.target, index.rows, len(shards), len(left), (*skipped,))
