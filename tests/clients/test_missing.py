"""Clients on rows of tables with missing values: NaN, where the manifest says that it may come."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import aeonnx
from aeonnx.bundle import manifest
from clients.proof.browser import ENGINE, Browser, opened
from clients.proof.program import Program, lines_of
from tests.clients.damaged import with_manifest
from tests.clients.gaps import NAMES, WINDOW, Rows, measured
from tests.clients.required import absent

pytestmark = pytest.mark.clients

NOT_FINITE = "scorer: x: expected finite values, got NaN or infinity"


@pytest.fixture(params=["rows", "windows"])
def gaps(request: pytest.FixtureRequest, gaps_in: Callable[[str], Path]) -> Path:
    """A bundle of each kind; not to be changed."""
    return gaps_in(request.param)


@pytest.fixture
def copied(gaps_in: Callable[[str], Path], tmp_path: Path) -> Path:
    """A copy of a bundle, to be changed."""
    return shutil.copytree(gaps_in("rows"), tmp_path / "bundle")


def taken(bundle: Path) -> Rows:
    """What the bundle takes, with missing values: the very first is one, and others are."""
    rows = measured(80)
    if len(manifest.read(bundle).parts["scorer"]["fp32"].inputs[0].shape) == 3:
        rows = rows.reshape(-1, WINDOW, len(NAMES)).transpose(0, 2, 1)
    rows[0].flat[0] = np.nan
    assert not np.isnan(rows).all(tuple(range(1, rows.ndim))).any()
    assert np.isnan(rows).any(tuple(range(1, rows.ndim))).sum() > 2
    return rows


def scored(
    program: Program, bundle: Path, folder: Path, x: npt.NDArray[np.floating], *names: str
) -> CompletedProcess[str]:
    """Run the scorer on rows, and write some of its outputs."""
    np.save(folder / "x.npy", x)
    files = (f"{name}={folder / name}.npy" for name in ("x", *names))
    return program("run", bundle, "scorer", *files, "--force")


def of_x(document: dict[str, Any], part: str) -> dict[str, Any]:
    """What a manifest says of the input of a part."""
    x: dict[str, Any]
    (x,) = document["parts"][part]["fp32"]["inputs"]
    assert x["missing"] is True
    return x


def test_the_golden_vectors_hold(program: Program, gaps: Path) -> None:
    variants = manifest.read(gaps).parts
    for part in ("encoder", "scorer"):
        stored = variants[part]["fp32"].golden[0].inputs["x"]
        assert np.isnan(np.fromfile(gaps / stored.file, stored.dtype)).any()
    done = program("check", gaps)
    assert done.returncode in program.passes, done.stdout + done.stderr
    lines = lines_of(done.stdout)
    assert {line.part for line in lines} == {"encoder", "scorer"}
    assert all(line.error <= program.language.slack * line.tolerance for line in lines)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_with_gaps_give_the_numbers_of_python(
    program: Program, gaps: Path, tmp_path: Path, dtype: type[np.floating]
) -> None:
    x = taken(gaps)
    with aeonnx.load(gaps, providers=["cpu"], threads=1) as bundle:
        expected = bundle.run("scorer", x=x)
    done = scored(program, gaps, tmp_path, x.astype(dtype), *expected)
    assert done.returncode == 0, done.stderr
    golden = manifest.read(gaps).parts["scorer"]["fp32"].golden[0].outputs
    for name, values in expected.items():
        found = np.load(tmp_path / f"{name}.npy")
        assert np.isfinite(found).all(), name
        off = max(golden[name].tolerance or ()) * program.language.slack
        np.testing.assert_allclose(found, values, rtol=0, atol=off, err_msg=name)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_infinity_is_refused(
    program: Program,
    gaps_in: Callable[[str], Path],
    tmp_path: Path,
    value: float,
    dtype: type[np.floating],
) -> None:
    bundle = gaps_in("rows")
    x = taken(bundle) / 1e4  # which a float16 holds
    assert scored(program, bundle, tmp_path, x.astype(dtype), "map").returncode == 0
    x[1, 2] = value  # behind a missing value, and before others
    done = scored(program, bundle, tmp_path, x.astype(dtype), "error")
    assert (done.returncode, done.stderr) == (1, f"Error: {NOT_FINITE}\n")
    assert not (tmp_path / "error.npy").exists()


@pytest.mark.parametrize("said", [None, False], ids=["left out", "false"])
def test_nan_is_refused_where_no_value_may_be_missing(
    program: Program, copied: Path, tmp_path: Path, said: bool | None
) -> None:
    def change(document: dict[str, Any]) -> None:
        x = of_x(document, "scorer")
        del x["missing"]
        if said is not None:
            x["missing"] = said

    with_manifest(copied, change)
    done = scored(program, copied, tmp_path, taken(copied), "error")
    assert (done.returncode, done.stderr) == (1, f"Error: {NOT_FINITE}\n")
    assert not (tmp_path / "error.npy").exists()
    assert scored(program, copied, tmp_path, np.nan_to_num(taken(copied)), "error").returncode == 0


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"missing": 1}, "true or false, got 1\n"),
        ({"missing": "true"}, 'true or false, got "true"\n'),
        ({"missing": None}, "true or false, got n"),  # null, or nothing
        ({"missing": [True]}, "true or false, got a list"),
        ({"missing": True, "dtype": "int64"}, "floats, which have NaN, got int64\n"),
        ({"missing": True, "dtype": "bool"}, "floats, which have NaN, got bool\n"),
    ],
)
def test_a_manifest_that_says_otherwise_is_refused(
    program: Program, copied: Path, change: dict[str, object], text: str
) -> None:
    with_manifest(copied, lambda found: of_x(found, "encoder").update(change))
    done = program("check", copied)
    assert done.returncode == 1
    place = f"{copied}/manifest.json: parts.encoder.fp32.inputs[0].missing"
    assert done.stderr.startswith(f"Error: {place}: expected {text}"), done.stderr


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """The page's modules in a browser."""
    if not ENGINE.is_dir():
        absent("no engine: npm install --ignore-scripts in clients/web")
    if not (shutil.which("chromium") and importlib.util.find_spec("playwright")):
        absent("no chromium on the PATH, or no playwright: pip install playwright")
    with opened(tmp_path_factory.mktemp("page")) as browser:
        yield browser


_SCORED = """async ([where, shape, values]) => {
  const bundle = await open_bundle(where);
  const scorer = await bundle.part("scorer");
  const x = { dtype: "float32", shape, data: Float32Array.from(values) };
  return scorer.run({ x }).then(({ error }) => Array.from(error), ({ message }) => message);
}"""


def test_a_browser_takes_rows_with_gaps(
    web: Browser, gaps_in: Callable[[str], Path], copied: Path
) -> None:
    bundle, x = gaps_in("rows"), taken(copied)
    tab = web.tab()

    def said(where: str) -> Any:
        return tab.evaluate(_SCORED, [where, x.shape, x.ravel().tolist()])

    _, lines = web.check(bundle)
    assert {line.verdict for line in lines} == {"ok"}
    with aeonnx.load(bundle, providers=["cpu"], threads=1) as here:
        expected = here.run("scorer", x=x)["error"]
    golden = manifest.read(bundle).parts["scorer"]["fp32"].golden[0].outputs["error"]
    off = max(golden.tolerance or ())
    np.testing.assert_allclose(said(bundle.name), expected, rtol=0, atol=off)
    with_manifest(copied, lambda found: of_x(found, "scorer").update(missing=False))
    assert said(web.copied(copied.rename(copied.with_name("none")))) == NOT_FINITE
    x[1, 2] = np.inf
    assert said(bundle.name) == NOT_FINITE
