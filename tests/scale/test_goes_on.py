"""A second call goes on where the first was stopped, and replaces nothing unasked."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from aeonnx._util import files, optional
from aeonnx.errors import (
    BundleError,
    GoldenMismatchError,
    InputError,
    MissingExtraError,
    OutputError,
    RunError,
    UnknownNameError,
    UsageError,
)
from aeonnx.exporting import ExportOptions, export
from aeonnx.scale import ray as bulk
from aeonnx.scale._worker import Worker
from tests.runtime.test_verify import falsify
from tests.scale.conftest import contents, digits, hidden

Maker = Callable[..., Path]

pytestmark = pytest.mark.usefixtures("in_one_process")


class Stopped(Exception):  # noqa: N818
    """What stops a call half-way."""


def stop_at(count: int) -> Callable[[int, int], None]:
    def advanced(done: int, _: int) -> None:
        if done >= count:
            raise Stopped

    return advanced


def inodes(folder: Path) -> dict[str, tuple[int, int]]:
    """What changes when a result is written again, by its name."""
    found = {name: (folder / name).stat() for name in contents(folder)}
    return {name: (status.st_ino, status.st_mtime_ns) for name, status in found.items()}


def index(folder: Path) -> Any:
    return json.loads((folder / "_SUCCESS.json").read_text())


@pytest.fixture
def job(bundle_of: Maker, scans: Path, tmp_path: Path) -> tuple[Path, Path, Path]:
    """Bundle, scans/ and clean/."""
    return bundle_of("dae"), scans, tmp_path / "clean"


def test_what_is_complete_is_not_computed_again(
    job: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    with pytest.raises(Stopped):
        bulk.denoise(*job, rows_per_shard=3, advanced=stop_at(6))
    before = inodes(job[2])
    assert len(before) == 6
    assert not (job[2] / "_SUCCESS.json").exists()
    result = bulk.denoise(*job, rows_per_shard=3)
    assert (result.rows, result.shards, result.computed) == (10, 4, 2)
    after = inodes(job[2])
    assert {name: after[name] for name in before} == before
    bulk.denoise(*job[:2], tmp_path / "whole", rows_per_shard=3)
    assert contents(job[2]) == contents(tmp_path / "whole")
    assert index(job[2]) == index(tmp_path / "whole")
    assert [(shard["name"], shard["rows"]) for shard in index(job[2])["shards"]] == [
        ("00000", 3),
        ("00001", 3),
        ("00002", 3),
        ("00003", 1),
    ]
    assert bulk.denoise(*job, rows_per_shard=3).computed == 0
    assert inodes(job[2]) == after
    assert not hidden(job[2])


@pytest.mark.parametrize("gone", ["003.png", "_shards/00001.json", "_SUCCESS.json"])
def test_what_is_gone_is_made_again(job: tuple[Path, Path, Path], gone: str) -> None:
    """A worker that is killed between the results and their record leaves the former."""
    bulk.denoise(*job, rows_per_shard=3)
    before = contents(job[2])
    (job[2] / gone).unlink()
    result = bulk.denoise(*job, rows_per_shard=3)
    assert result.computed == (0 if gone == "_SUCCESS.json" else 1)
    assert contents(job[2]) == before
    assert index(job[2])["rows"] == 10


def test_a_shard_that_is_done_twice_is_there_once(job: tuple[Path, Path, Path]) -> None:
    """As by a machine that was thought to be dead; and what one that is dead left goes."""
    left = job[2] / "_shards/00001/.00001.0123abcd.aeonnx/results"
    left.mkdir(parents=True)
    (left / "003.png").write_bytes(b"half")
    (job[2] / "_plan.json").write_text("{")
    found: list[Any] = []

    def twice(worker: Worker, shard: Any) -> Any:
        before = {**contents(job[2])}
        found.append(do(worker, shard))
        record = job[2] / "_shards" / f"{shard.name}.json"
        record.unlink()
        again = do(worker, shard)
        assert again == found[-1]
        assert len(contents(job[2])) == len(before) + shard.rows
        return again

    do = Worker.do
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Worker, "do", twice)
        bulk.denoise(*job, rows_per_shard=3, force=True)
    assert len(found) == 4
    assert len(contents(job[2])) == 10
    assert not hidden(job[2])
    assert sorted(path.name for path in (job[2] / "_shards").iterdir()) == [
        f"{number:05}.json" for number in range(4)
    ]


def test_an_error_while_results_are_moved_leaves_none(
    job: tuple[Path, Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    replace = os.replace

    def full(source: Any, target: Any, **more: Any) -> None:
        if str(target) == "001.png":
            raise OSError(28, "No space left on device")
        replace(source, target, **more)

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OutputError, match="the disk is full"):
        bulk.denoise(*job)
    assert not contents(job[2])
    assert not hidden(job[2])


def test_another_job_in_the_folder_is_refused(job: tuple[Path, Path, Path], tmp_path: Path) -> None:
    bundle, scans, clean = job
    other = shutil.copytree(bundle, tmp_path / "other")
    with (other / "manifest.json").open("a") as file:
        file.write("\n")
    bulk.denoise(*job, rows_per_shard=3)
    before = inodes(clean)
    calls: dict[str, Callable[..., Any]] = {
        r"holds results of denoise, not of encode: name another folder, or pass force=True to": (
            lambda **more: bulk.encode(*job, **more)
        ),
        r"holds results of another bundle, with manifest \w{12}, not \w{12}: name": (
            lambda **more: bulk.denoise(other, scans, clean, rows_per_shard=3, **more)
        ),
        r"holds results with strength none, not 0\.5: name": (
            lambda **more: bulk.denoise(*job, rows_per_shard=3, strength=0.5, **more)
        ),
        r"holds results with rows_per_shard 3, not 4: name": (
            lambda **more: bulk.denoise(*job, rows_per_shard=4, **more)
        ),
        r'holds results with resize none, not "crop": name': (
            lambda **more: bulk.denoise(*job, rows_per_shard=3, resize="crop", **more)
        ),
    }
    for match, call in calls.items():
        with pytest.raises(OutputError, match=match):
            call()
        assert inodes(clean) == before
    for call in [*calls.values()][2:4]:
        assert call(force=True).computed in (3, 4)
    assert len(contents(clean)) == 10


def test_other_inputs_replace_only_their_shards(
    job: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    _, scans, clean = job
    bulk.denoise(*job, rows_per_shard=3)
    before = inodes(clean)
    Image.fromarray(digits(20)[7]).save(scans / "004.png")
    with pytest.raises(OutputError, match="of other inputs, in 1 shard from 00001 on: name"):
        bulk.denoise(*job, rows_per_shard=3)
    with pytest.raises(Stopped):
        bulk.denoise(*job, rows_per_shard=3, force=True, advanced=stop_at(1))
    assert not (clean / "_SUCCESS.json").exists(), "it was of the other inputs"
    assert bulk.denoise(*job, rows_per_shard=3).computed == 0
    after = inodes(clean)
    assert {name for name in before if before[name] != after[name]} == {
        "003.png",
        "004.png",
        "005.png",
    }
    bulk.encode(*job[:2], tmp_path / "z", rows_per_shard=3)
    for name in ("008.png", "009.png"):
        (scans / name).unlink()
    with pytest.raises(OutputError, match="of other inputs, in 2 shards from 00002 on"):
        bulk.encode(*job[:2], tmp_path / "z", rows_per_shard=3)
    result = bulk.encode(*job[:2], tmp_path / "z", rows_per_shard=3, force=True)
    assert (result.rows, result.computed) == (8, 1)
    assert [*contents(tmp_path / "z")] == [f"part-{number:05}.parquet" for number in range(3)]


def test_more_samples_of_a_seed(bundle_of: Maker, tmp_path: Path) -> None:
    arguments: Any = (bundle_of(), tmp_path / "z")
    bulk.generate(*arguments, 4, rows_per_shard=2)
    before = inodes(tmp_path / "z")
    result = bulk.generate(*arguments, 7, rows_per_shard=2)
    assert (result.rows, result.computed) == (7, 2)
    after = inodes(tmp_path / "z")
    assert {name: after[name] for name in before} == before
    with pytest.raises(OutputError, match="holds results with seed 0, not 1"):
        bulk.generate(*arguments, 7, 1, rows_per_shard=2)


def test_a_folder_of_others_is_refused(job: tuple[Path, Path, Path]) -> None:
    clean = job[2]
    clean.mkdir()
    (clean / "000.png").write_text("mine")
    with pytest.raises(OutputError, match="exists already"):
        bulk.denoise(*job)
    assert contents(clean) == {"000.png": b"mine"}
    with files.locked(clean, "another job"), pytest.raises(OutputError, match="another job"):
        bulk.denoise(*job, force=True)
    assert bulk.denoise(*job, force=True).rows == 10


def test_machines_must_see_one_bundle_that_runs_there(
    bundle_of: Maker, scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle, clean = shutil.copytree(bundle_of("dae"), tmp_path / "bundle"), tmp_path / "clean"
    made = bulk.run_shards

    def seen_elsewhere(job: Any, left: Any, how: Any) -> Any:
        with (bundle / "manifest.json").open("a") as file:
            file.write("\n")
        return made(job, left, how)

    with monkeypatch.context() as patch:
        patch.setattr(bulk, "run_shards", seen_elsewhere)
        with pytest.raises(BundleError, match=r"bundle: expected the bundle that the job began"):
            bulk.denoise(bundle, scans, clean)
    falsify(bundle, "denoiser", "reconstruction", 0.01)
    bulk.encode(bundle, scans, tmp_path / "z")  # which the denoiser is not needed for
    with pytest.raises(
        GoldenMismatchError, match=r"^on \S+: denoiser\.\w+ \(fp32\): max abs 0\.01"
    ):
        bulk.denoise(bundle, scans, clean, force=True)
    assert not contents(clean)


def test_a_ray_that_loses_a_shard_is_found_out(
    job: tuple[Path, Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = bulk.run_shards
    monkeypatch.setattr(bulk, "run_shards", lambda job, left, how: made(job, left[:-1], how))
    with pytest.raises(RunError, match="1 shard of 4 came to no end, the first of them 00003: run"):
        bulk.denoise(*job, rows_per_shard=3)
    assert not (job[2] / "_SUCCESS.json").exists()
    monkeypatch.setattr(bulk, "run_shards", made)
    assert bulk.denoise(*job, rows_per_shard=3).computed == 1


def test_options_are_checked_before_anything_is_written(
    job: tuple[Path, Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vectors = tmp_path / "vectors"
    export(
        ExportOptions(
            "vector", vectors, from_source="module:tests.runtime.test_rows_in_files:vector"
        )
    )
    wrong: dict[str, tuple[type[Exception], Callable[[], Any]]] = {
        r"unknown option of aeonnx\.scale\.ray 'worker'\. Did you mean 'workers'": (
            UnknownNameError,
            lambda: bulk.denoise(*job, **{"worker": 2}),
        ),
        "unknown option .* 'resize'": (
            UnknownNameError,
            lambda: bulk.generate(job[0], job[2], 2, **{"resize": "crop"}),
        ),
        "workers: expected 1 or more, got 0": (InputError, lambda: bulk.score(*job, workers=0)),
        "rows_per_shard: expected a whole": (
            InputError,
            lambda: bulk.score(*job, rows_per_shard=1.5),  # type: ignore[arg-type]
        ),
        "precision: expected fp32, fp16 or int8, got auto": (
            UsageError,
            lambda: bulk.encode(*job, precision="auto"),
        ),
        "denoiser is not in this bundle in int8": (
            BundleError,
            lambda: bulk.denoise(*job, precision="int8"),
        ),
        "dae has no prior over its latents": (
            BundleError,
            lambda: bulk.generate(job[0], job[2], 2),
        ),
        r"encode of this bundle runs on x of the kind vector: expected a model of pictures": (
            UsageError,
            lambda: bulk.encode(vectors, *job[1:]),
        ),
    }
    for match, (kind, call) in wrong.items():
        with pytest.raises(kind, match=match):
            call()
    found = importlib.util.find_spec
    monkeypatch.setattr(optional, "find_spec", lambda name: None if name == "ray" else found(name))
    message = r"running on Ray needs ray, which is not installed: pip install 'aeonnx\[scale\]'"
    with pytest.raises(MissingExtraError, match=message):
        bulk.denoise(*job)
    assert not job[2].exists()
