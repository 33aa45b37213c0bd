"""What is fastest here: measured once, remembered, and never more than a wish."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result

import aeonnx
from aeonnx._util import cache
from aeonnx.errors import BundleError, IntegrityError
from aeonnx.runtime import autotune
from aeonnx.runtime.autotune import Speed, by_speed

Maker = Callable[..., Path]


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("AEONNX_CACHE", str(folder))
    return folder


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batch sizes are measured for a tenth of the time: no test asks which is really faster."""
    monkeypatch.setattr(autotune, "_SECONDS", autotune._SECONDS / 10)


@pytest.fixture
def command(request: pytest.FixtureRequest) -> Callable[..., Result]:
    """The command line; `aeonnx` is the package here."""
    found: Callable[..., Result] = request.getfixturevalue("aeonnx")
    return found


def latents(n: int) -> np.ndarray:
    return np.random.default_rng(n).normal(size=(n, 20)).astype(np.float32)


def short(file: str) -> str:
    """A graph's name without digest and suffix."""
    return file.rsplit(".", 2)[0]


def count_measured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The graphs that are measured from now on."""
    seen: list[str] = []
    real = autotune.measure_speed

    def counted(variant: object, *rest: object, **more: object) -> Speed:
        seen.append(short(variant.file))  # type: ignore[attr-defined]
        return real(variant, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(autotune, "measure_speed", counted)
    return seen


def test_auto_measures_once_and_remembers(
    variants: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = count_measured(monkeypatch)
    first = aeonnx.load(variants, ["cpu"], precision="auto", threads=1)
    images = first.generate(3)
    assert sorted(measured) == ["decoder", "decoder.int8"]
    again = aeonnx.load(variants, ["cpu"], precision="auto", threads=1)
    np.testing.assert_array_equal(again.generate(3), images)
    assert len(measured) == 2, "the record was used"
    other = aeonnx.load(variants, ["cpu"], precision="auto", threads=2)
    other.generate(3)
    assert len(measured) == 4, "threads make another machine of it"
    records = [json.loads(path.read_text()) for path in own_cache.iterdir()]
    assert len(records) == 4
    for record in records:
        seconds = [value for _, value in sorted(record["value"]["seconds"].items())]
        assert all(value > 0 for value in seconds)


@pytest.mark.usefixtures("own_cache")
def test_auto_takes_the_faster_one(variants: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = {"decoder": 2.0, "decoder.int8": 1.0}
    monkeypatch.setattr(
        autotune,
        "measure_speed",
        lambda variant, *_: Speed({1: seconds[short(variant.file)]}),
    )
    auto = aeonnx.load(variants, ["cpu"], precision="auto")
    auto.generate(1)
    assert "decoder (int8)" in repr(auto)
    z = latents(4)
    np.testing.assert_array_equal(
        auto.decode(z), aeonnx.load(variants, ["cpu"], precision="int8").decode(z)
    )
    seconds["decoder"] = 0.5
    other = aeonnx.load(variants, ["cpu"], precision="auto")
    other.generate(1)
    assert "decoder (fp32)" in repr(other)


@pytest.mark.usefixtures("own_cache")
def test_a_variant_that_fails_its_golden_vectors_here_is_not_taken(
    variants: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One golden number is changed, and its digest: the int8 graph is wrong on this machine."""
    folder = shutil.copytree(variants, tmp_path / "bundle")
    document = json.loads((folder / "manifest.json").read_text())
    stored = document["parts"]["decoder"]["int8"]["golden"][0]["outputs"]["reconstruction"]
    values = np.fromfile(folder / stored["file"], np.float32)
    values[0] += 10 * stored["tolerance"][0]
    (folder / stored["file"]).write_bytes(values.tobytes())
    stored["sha256"] = sha256(values.tobytes()).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(document))
    monkeypatch.setattr(
        autotune,
        "measure_speed",
        lambda variant, *_: Speed({1: 1.0 + ("int8" not in variant.file)}),
    )
    auto = aeonnx.load(folder, ["cpu"], precision="auto")
    auto.generate(1)
    assert "decoder (fp32)" in repr(auto)


def test_a_variant_that_cannot_run_is_not_taken(
    variants: Path, tmp_path: Path, own_cache: Path
) -> None:
    folder = shutil.copytree(variants, tmp_path / "bundle")
    document = json.loads((folder / "manifest.json").read_text())
    graph = folder / document["parts"]["decoder"]["int8"]["file"]
    graph.write_bytes(graph.read_bytes()[:-1])
    auto = aeonnx.load(folder, ["cpu"], precision="auto", threads=1)
    assert auto.generate(3).shape == (3, 1, 28, 28)
    assert "decoder (fp32)" in repr(auto)
    assert len(list(own_cache.iterdir())) == 1
    (folder / document["parts"]["decoder"]["fp32"]["file"]).unlink()
    with pytest.raises(IntegrityError, match="is missing, though the manifest names it"):
        aeonnx.load(folder, ["cpu"], precision="auto", threads=1).generate(3)


def test_the_order_is_that_of_what_all_were_measured_at() -> None:
    slow = Speed({1: 1.0, 16: 8.0})
    quick = Speed({1: 2.0, 16: 2.0, 64: 100.0})
    assert by_speed({"fp32": slow, "int8": quick}) == ["int8", "fp32"]
    assert by_speed({"fp32": slow}) == ["fp32"]
    assert by_speed({}) == []


def test_the_bucket_is_the_smallest_of_the_fast_ones() -> None:
    assert Speed({1: 1.0, 64: 6.4, 256: 25.5, 1024: 110.0}).max_batch == 64
    assert Speed({1: 1.0, 64: 60.0, 256: 64.0}).max_batch == 256


@pytest.mark.usefixtures("own_cache")
def test_many_rows_find_their_bucket(bundle_of: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    measured = count_measured(monkeypatch)
    bundle = aeonnx.load(bundle_of(), ["cpu"], threads=1)
    bundle.decode(latents(1024))
    assert measured == [], "few rows do not wait for a measurement"
    assert len(bundle.decode(latents(1025))) == 1025
    assert measured == ["decoder"]
    aeonnx.load(bundle_of(), ["cpu"], threads=1, max_batch=100).decode(latents(2000))
    assert measured == ["decoder"], "a given bucket needs no measurement"


def rewritten(path: Path, seconds: object) -> str:
    document = json.loads(path.read_text())
    document["value"] = {"seconds": seconds}
    return json.dumps(document)


@pytest.mark.shortened(2)
@pytest.mark.parametrize(
    "seconds",
    [
        None,
        [],
        {},
        {"1": -1.0},
        {"1": "0.1"},
        {"1": True},
        {"1": 1},
        {"1": 1e9},
        {"1": float("nan")},
        {"16": 0.1},
        {"1": 0.1, "3": 0.1},
        {"1": 0.1, str(10**9): 1e-9},
        {"1": 0.1, "x": 0.1},
        {"1": 0.1, "0": 0.1},
    ],
)
def test_a_record_that_cannot_be_is_measured_again(
    variants: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch, seconds: object
) -> None:
    aeonnx.load(variants, ["cpu"], precision="auto").generate(1)
    for path in own_cache.iterdir():
        path.write_text(rewritten(path, seconds))
    measured = count_measured(monkeypatch)
    aeonnx.load(variants, ["cpu"], precision="auto").generate(1)
    assert len(measured) == 2


def plant(path: Path, how: str) -> None:
    """Put something else where a record was."""
    record = path.read_bytes()
    path.unlink()
    match how:
        case "fifo":
            os.mkfifo(path)
        case "zero":
            path.symlink_to("/dev/zero")
        case "folder":
            path.mkdir()
        case "huge":
            with path.open("wb") as stream:
                stream.truncate(2**40)
        case "another's":
            path.write_bytes(record)
            path.chmod(0o666)
        case text:
            path.write_text(text)


@pytest.mark.shortened(2)
@pytest.mark.parametrize(
    "how", ["fifo", "zero", "folder", "huge", "another's", "", "{", "[]", '{"key": 1}', "[" * 10**5]
)
def test_what_is_no_record_of_ours_is_as_none(
    variants: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    aeonnx.load(variants, ["cpu"], precision="auto").generate(1)
    for path in own_cache.iterdir():
        plant(path, how)
    kinds = {path: path.lstat().st_mode for path in own_cache.iterdir()}
    measured = count_measured(monkeypatch)
    aeonnx.load(variants, ["cpu"], precision="auto").generate(1)
    assert len(measured) == 2
    if how in ("fifo", "zero", "folder"):
        assert {path: path.lstat().st_mode for path in own_cache.iterdir()} == kinds


def test_a_folder_that_others_write_to_is_not_read(
    variants: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    aeonnx.load(variants, ["cpu"], precision="auto").generate(1)
    assert own_cache.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in own_cache.iterdir()} == {0o600}
    own_cache.chmod(0o777)
    measured = count_measured(monkeypatch)
    aeonnx.load(variants, ["cpu"], precision="auto").generate(1)
    assert len(measured) == 2


def test_a_cache_that_cannot_be_written_to_is_no_error(
    variants: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    monkeypatch.setenv("AEONNX_CACHE", str(blocked / "cache"))
    assert len(aeonnx.load(variants, ["cpu"], precision="auto").generate(2)) == 2
    assert blocked.read_text() == "not a folder"


def test_the_folder_is_the_users(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("AEONNX_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.folder() == tmp_path / "aeonnx"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache.folder() == tmp_path / ".cache/aeonnx"


def test_a_precision_that_was_not_exported_names_the_command(
    variants: Path, bundle_of: Maker
) -> None:
    bundle = aeonnx.load(bundle_of(), ["cpu"], precision="int8")
    with pytest.raises(
        BundleError, match="decoder is not in this bundle in int8, but in fp32"
    ) as e:
        bundle.generate(1)
    assert "aeonnx export --model vae --part decoder --precision int8" in str(e.value)
    with pytest.raises(BundleError, match="has no part 'denoiser'"):
        bundle.denoise(np.zeros((1, 1, 28, 28), np.float32))
    int8 = aeonnx.load(variants, ["cpu"], precision="int8")
    int8.warmup()
    assert "encoder (int8)" in repr(int8)


def test_the_command_takes_a_precision(command: Callable[..., Result], variants: Path) -> None:
    words = ("generate", variants, "-n", 4, "--provider", "cpu", "--threads", 1)
    done = command(*words, "-o", "x.npy", "--precision", "int8")
    assert done.exit_code == 0, done.output
    expected = aeonnx.load(variants, ["cpu"], precision="int8", threads=1).generate(4)
    np.testing.assert_array_equal(np.load("x.npy"), expected)
    assert command(*words, "-o", "y.npy", "--precision", "auto").exit_code == 0
    done = command(*words, "-o", "z.npy", "--precision", "fp16")
    assert done.exit_code == 1
    assert "decoder is not in this bundle in fp16" in done.stderr
    done = command(*words, "-o", "z.npy", "--precision", "fp8")
    assert done.exit_code == 2
    assert "unknown precision 'fp8'. Did you mean" in done.stderr
    assert not Path("z.npy").exists()
