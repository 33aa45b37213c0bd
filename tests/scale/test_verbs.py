"""Verbs in bulk beside the command line; the shards are done in one process here."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet as pq
import pytest
from click.testing import Result
from PIL import Image

import aeonnx as library
from aeonnx.errors import ImageError
from aeonnx.io.tables import read_table
from aeonnx.scale import ray as bulk
from tests.scale.conftest import contents, digits
from tests.tables.conftest import NAMES, sensors, wines

Cli = Callable[..., Result]
Maker = Callable[..., Path]

pytestmark = pytest.mark.usefixtures("in_one_process")


def done(result: Result) -> Result:
    assert result.exit_code == 0, result.output
    return result


def arrays(path: Path) -> dict[str, Any]:
    """The arrays of a .npz."""
    with np.load(path) as found:
        return dict(found)


def table(folder: Path) -> dict[str, list[Any]]:
    """All rows of the .parquet files of a folder, as a reader of folders finds them."""
    found: dict[str, list[Any]] = pq.read_table(folder).to_pydict()
    return found


def test_subfolders_and_names_that_differ_by_their_suffix(
    aeonnx: Cli, bundle_of: Maker, scans: Path, tmp_path: Path
) -> None:
    (scans / "more").mkdir()
    for number, name in enumerate(("more/a.png", "more/a.bmp", "b.jpg")):
        Image.fromarray(digits(3)[number]).save(scans / name)
    arguments: Any = (bundle_of("dae"), scans, tmp_path / "clean")
    result = bulk.denoise(*arguments, rows_per_shard=2, recursive=True, strength=0.5)
    done(aeonnx("denoise", *arguments[:2], "-o", "whole/", "--recursive", "--strength", 0.5))
    assert contents(tmp_path / "clean") == contents(tmp_path / "whole")
    assert {"more/a.png.png", "more/a.bmp.png", "b.png"} < contents(tmp_path / "clean").keys()
    assert result.rows == 13


def test_latents(aeonnx: Cli, bundle_of: Maker, scans: Path, tmp_path: Path) -> None:
    bulk.encode(bundle_of(), scans, tmp_path / "latents", rows_per_shard=4)
    done(aeonnx("encode", bundle_of(), scans, "-o", "z.npz"))
    found, expected = table(tmp_path / "latents"), arrays(tmp_path / "z.npz")
    assert found["name"] == expected["names"].tolist()
    np.testing.assert_array_equal(np.float32(found["features"]), expected["features"])
    kind = pq.read_schema(tmp_path / "latents/part-00002.parquet").field("features").type
    assert kind == pyarrow.fixed_shape_tensor(pyarrow.float32(), expected["features"].shape[1:])


def test_latents_of_images_of_any_size(
    aeonnx: Cli, any_size: Path, scans: Path, tmp_path: Path
) -> None:
    """Each row has its shape beside it."""
    Image.fromarray(digits(1)[0][:24]).save(scans / "003.png")
    bulk.encode(any_size, scans, tmp_path / "latents", rows_per_shard=6)
    done(aeonnx("encode", any_size, scans, "-o", "z/"))
    found = table(tmp_path / "latents")
    assert [*found] == ["name", "features", "features_shape"]
    assert found["features_shape"][2:4] == [[2, 7, 7], [2, 6, 7]]
    for name, row, shape in zip(*found.values(), strict=True):
        expected = np.load(tmp_path / "z" / name.replace(".png", ".npy"))
        np.testing.assert_array_equal(np.float32(row).reshape(1, *shape), expected)


def test_scores(aeonnx: Cli, bundle_of: Maker, scans: Path, tmp_path: Path) -> None:
    Image.fromarray(digits(1)[0] ^ 255).save(scans / "odd.png")
    bulk.score(bundle_of(), scans, tmp_path / "scores", rows_per_shard=4, threshold="p95")
    done(aeonnx("score", bundle_of(), scans, "-o", "scores.npy", "--threshold", "p95"))
    done(aeonnx("score", bundle_of(), scans, "-o", "scores.csv", "--threshold", "p95"))
    found = table(tmp_path / "scores")
    np.testing.assert_array_equal(np.float32(found["score"]), np.load(tmp_path / "scores.npy"))
    with (tmp_path / "scores.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert found["name"] == [row["name"] for row in rows]
    assert found["verdict"] == [row["verdict"] for row in rows]
    assert found["verdict"][-1] == "odd"
    assert [f"{share:.4g}" for share in found["percentile"]] == [row["percentile"] for row in rows]


@pytest.mark.parametrize("pixels", [False, True])
def test_samples(aeonnx: Cli, bundle_of: Maker, tmp_path: Path, pixels: bool) -> None:
    """Sample i does not depend on the shards: two jobs make the halves of one."""
    more = ["--pixels"] if pixels else []
    done(aeonnx("generate", bundle_of(), "-n", 10, "--seed", 7, "-o", "all.npy", *more))
    expected = np.load(tmp_path / "all.npy")
    found = []
    for name, first, n in (("low", 0, 7), ("high", 7, 3)):
        made = bulk.generate(
            bundle_of(), tmp_path / name, n, 7, first, rows_per_shard=2, pixels=pixels
        )
        assert made.rows == n
        parts = sorted((tmp_path / name).glob("part-*.npy"))
        assert len(parts) == made.shards
        found += [np.load(part) for part in parts]
    np.testing.assert_array_equal(np.concatenate(found), expected)
    assert expected.dtype == (np.uint8 if pixels else np.float32)


def test_photographs_keep_what_the_model_does_not_take(
    aeonnx: Cli, any_size: Path, tmp_path: Path
) -> None:
    (tmp_path / "photos").mkdir()
    rng = np.random.default_rng(0)
    for number, shape in enumerate([(20, 31, 3), (9, 12, 4)]):
        pixels = rng.integers(0, 256, shape, dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "photos" / f"{number}.png")
    bulk.denoise(any_size, tmp_path / "photos", tmp_path / "clean", rows_per_shard=1)
    done(aeonnx("denoise", any_size, "photos", "-o", "whole/"))
    assert contents(tmp_path / "clean") == contents(tmp_path / "whole")
    with Image.open(tmp_path / "clean/1.png") as picture:
        assert picture.mode == "RGBA"


@pytest.mark.parametrize("kind", ["bytes", "hugging face", "paths"])
def test_pictures_in_a_column(bundle_of: Maker, scans: Path, tmp_path: Path, kind: str) -> None:
    paths = sorted(scans.iterdir())
    items: list[Any] = [path.read_bytes() for path in paths]
    if kind == "hugging face":
        items = [{"bytes": data, "path": None} for data in items]
    if kind == "paths":
        items = [f"scans/{path.name}" for path in paths]
    source = tmp_path / "scans.parquet"
    pq.write_table(pyarrow.table({"scan": items, "id": range(10)}), source, row_group_size=4)
    given: Any = {"rows_per_shard": 3, "column": "scan"}
    bulk.denoise(bundle_of("dae"), source, tmp_path / "clean", **given)
    bulk.denoise(bundle_of("dae"), scans, tmp_path / "expected")
    found = table(tmp_path / "clean")
    assert found["name"] == [f"scans.parquet:{row}" for row in range(10)]
    assert found["scan"] == [*contents(tmp_path / "expected").values()]
    bulk.encode(bundle_of("dae"), source, tmp_path / "latents", **given)
    bulk.encode(bundle_of("dae"), scans, tmp_path / "all")
    assert table(tmp_path / "latents")["features"] == table(tmp_path / "all")["features"]
    with pytest.raises(ImageError, match=r"expected the column image, got scan, id: name another"):
        bulk.encode(bundle_of("dae"), source, tmp_path / "latents2")


class Pickled(pyarrow.ExtensionType):  # type: ignore[misc]
    """As Ray registers one: its values are made by code that the file may choose."""

    def __init__(self) -> None:
        super().__init__(pyarrow.binary(), "tests.pickled")

    def __arrow_ext_serialize__(self) -> bytes:
        return b""

    @classmethod
    def __arrow_ext_deserialize__(cls, *_: Any) -> Pickled:
        return cls()

    def __arrow_ext_scalar_class__(self) -> type:
        return Ran


class Ran(pyarrow.ExtensionScalar):  # type: ignore[misc]
    """A value of such a column."""

    def as_py(self, **_: Any) -> None:
        raise AssertionError("it ran")


@pytest.fixture
def pickled() -> Iterator[Callable[..., Any]]:
    """Makes a column of values that must not be made, alone or inside of others."""
    kind = Pickled()
    pyarrow.register_extension_type(kind)

    def make(rows: int, inside: str) -> Any:
        values = pyarrow.ExtensionArray.from_storage(kind, pyarrow.array([b"code"] * rows))
        if inside == "struct":
            return pyarrow.StructArray.from_arrays([values], ["bytes"])
        if inside == "list":
            return pyarrow.ListArray.from_arrays(range(rows + 1), values)
        return values

    yield make
    pyarrow.unregister_extension_type("tests.pickled")


@pytest.mark.parametrize("inside", ["column", "struct", "list"])
def test_what_a_file_says_is_not_run(
    bundle_of: Maker, rows_bundle: Path, tmp_path: Path, pickled: Callable[..., Any], inside: str
) -> None:
    x, _, names = wines()
    pq.write_table(pyarrow.table({"image": pickled(178, inside)}), tmp_path / "a.parquet")
    whole = pyarrow.table([*x.T, pickled(178, inside)], names=[*names, "other"])
    pq.write_table(whole, tmp_path / "b.parquet")
    with pytest.raises(ImageError, match="column image: expected pictures or their paths, got val"):
        bulk.encode(bundle_of(), tmp_path / "a.parquet", tmp_path / "a", skip_bad=True)
    assert bulk.encode(rows_bundle, tmp_path / "b.parquet", tmp_path / "b").rows == 178
    assert read_table(tmp_path / "b.parquet").numbers.keys() == {*names}


def test_rows_of_tables(aeonnx: Cli, rows_bundle: Path, tmp_path: Path) -> None:
    """Files of several row groups, one of them empty, with columns in another order."""
    x, _, names = wines()
    order = np.random.default_rng(0).permutation(len(names))
    head = ["kind", *(names[place] for place in order)]
    whole = pyarrow.table([["red"] * 178, *x[:, order].T], names=head)
    (tmp_path / "wines").mkdir()
    for name, first, last in (("a", 0, 100), ("b", 100, 100), ("c", 100, 178)):
        path = tmp_path / "wines" / f"{name}.parquet"
        pq.write_table(whole.slice(first, last - first), path, row_group_size=30)
    pq.write_table(whole, tmp_path / "all.parquet")
    arguments: Any = (rows_bundle, tmp_path / "wines", tmp_path / "latents")
    assert bulk.encode(*arguments, rows_per_shard=32).shards == 7
    done(aeonnx("encode", rows_bundle, "all.parquet", "-o", "z.npz"))
    found = table(tmp_path / "latents")
    numbers = [*(("a", row) for row in range(100)), *(("c", row) for row in range(78))]
    assert found["name"] == [f"{name}.parquet:{row}" for name, row in numbers]
    expected = arrays(tmp_path / "z.npz")["features"]
    np.testing.assert_array_equal(np.float32(found["features"]), expected)
    bulk.score(rows_bundle, tmp_path / "wines", tmp_path / "scores", rows_per_shard=64)
    scored = library.load(rows_bundle, ["cpu"]).score(x)
    found = table(tmp_path / "scores")
    np.testing.assert_allclose(found["score"], scored.scores, rtol=1e-5)
    for name, column in zip(names, scored.columns.T, strict=True):  # type: ignore[union-attr]
        np.testing.assert_allclose(found[f"error.{name}"], column, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("step", [None, 5])
def test_windows_reach_over_the_ends_of_shards(
    aeonnx: Cli, windows_bundle: Path, tmp_path: Path, step: int | None
) -> None:
    pq.write_table(pyarrow.table([*sensors(90).T], names=NAMES), tmp_path / "x.parquet")
    result = bulk.encode(
        windows_bundle, tmp_path / "x.parquet", tmp_path / "z", rows_per_shard=2, step=step
    )
    assert result.rows == (90 - 16) // (step or 16) + 1
    more = [] if step is None else ["--step", step]
    done(aeonnx("encode", windows_bundle, "x.parquet", "-o", "z.npz", *more))
    found, expected = table(tmp_path / "z"), arrays(tmp_path / "z.npz")
    assert found["name"] == [f"x.parquet:{name}" for name in expected["names"]]
    np.testing.assert_array_equal(np.float32(found["features"]), expected["features"])


def test_what_cannot_be_used_is_skipped_and_named(
    bundle_of: Maker, scans: Path, tmp_path: Path
) -> None:
    """Even all of a shard; without `skip_bad` it is an error, and what is done stays."""
    whole = {path.name: path.read_bytes() for path in scans.iterdir()}
    for number in (3, 4, 5, 9):
        (scans / f"{number:03}.png").write_bytes(b"no picture")
    arguments: Any = (bundle_of("dae"), scans, tmp_path / "clean")
    with pytest.raises(ImageError, match=r"^003\.png is not a readable PNG, "):
        bulk.denoise(*arguments, rows_per_shard=3)
    assert [*contents(tmp_path / "clean")] == ["000.png", "001.png", "002.png"]
    result = bulk.denoise(*arguments, rows_per_shard=3, skip_bad=True)
    assert (result.rows, result.shards, result.computed) == (6, 4, 3)
    assert [text[:8] for text in result.skipped] == ["003.png ", "004.png ", "005.png ", "009.png "]
    assert {name: whole[name] for name in contents(tmp_path / "clean")}.keys() == {
        f"{number:03}.png" for number in (0, 1, 2, 6, 7, 8)
    }
    items = [whole["000.png"], None, b"no picture"]
    pq.write_table(pyarrow.table({"image": items}), tmp_path / "x.parquet")
    stored: Any = (bundle_of("dae"), tmp_path / "x.parquet", tmp_path / "stored")
    result = bulk.denoise(*stored, skip_bad=True)
    assert table(tmp_path / "stored")["name"] == ["x.parquet:0"]
    assert result.skipped[0] == "x.parquet:1: expected a picture or its path, got none"


def test_rows_without_values_are_skipped_by_their_numbers(
    rows_bundle: Path, windows_bundle: Path, tmp_path: Path
) -> None:
    x, _, names = wines()
    x[70] = np.inf
    x[64:66] = np.nan
    pq.write_table(pyarrow.table([*x.T], names=names), tmp_path / "x.parquet")
    arguments: Any = (rows_bundle, tmp_path / "x.parquet", tmp_path / "scores")
    with pytest.raises(ImageError, match=r"^x\.parquet: row 64 has no value in any column"):
        bulk.score(*arguments, rows_per_shard=32)
    result = bulk.score(*arguments, rows_per_shard=32, skip_bad=True)
    assert result.rows == 175
    assert [
        *map(int, (text.split(" row ")[1].split()[0].strip(":") for text in result.skipped))
    ] == [
        64,
        65,
        70,
    ]
    left = [row for row in range(178) if row not in (64, 65, 70)]
    assert table(tmp_path / "scores")["name"] == [f"x.parquet:{row}" for row in left]
    steps = sensors(96)
    steps[[20, 40], 0] = np.inf
    pq.write_table(pyarrow.table([*steps.T], names=NAMES), tmp_path / "s.parquet")
    result = bulk.encode(
        windows_bundle, tmp_path / "s.parquet", tmp_path / "z", rows_per_shard=1, skip_bad=True
    )
    assert (result.rows, len(result.skipped)) == (4, 2)
    assert table(tmp_path / "z")["name"] == [
        f"s.parquet:{first}-{first + 15}" for first in (0, 48, 64, 80)
    ]


def test_nothing_that_can_be_used(bundle_of: Maker, tmp_path: Path) -> None:
    for name, source, match in (
        ("missing", "gone", "gone does not exist"),
        ("empty", "empty", "empty holds no image"),
        ("another file", "a.txt", r"a\.txt: expected a folder of pictures, a \.parquet file, or a"),
        ("no parquet", "b.parquet", r"b\.parquet: expected a \.parquet file, got another: "),
        ("no rows", "c.parquet", r"c\.parquet holds no rows: give at least one"),
    ):
        (tmp_path / "empty").mkdir(exist_ok=True)
        (tmp_path / "a.txt").write_text("text")
        (tmp_path / "b.parquet").write_text("text")
        pq.write_table(pyarrow.table({"image": [b""]}).slice(1), tmp_path / "c.parquet")
        with pytest.raises(ImageError, match=match):
            bulk.encode(bundle_of(), tmp_path / source, tmp_path / "z")
        assert not (tmp_path / "z").exists(), name
