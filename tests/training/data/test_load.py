"""Names and paths, fingerprints, and what fits into memory."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aeonnx.errors import UnknownNameError
from aeonnx.training.data import DATA_SETS, load_data
from tests.training.data.support import (
    ROOT,
    fails,
    write_flat,
)

KINDS = "a folder of images, a .npy, .npz, .csv or .parquet file"


def test_unknown_name_suggests_the_nearest_and_paths() -> None:
    with pytest.raises(UnknownNameError) as caught:
        load_data("mnist-simple", ROOT)
    assert str(caught.value) == (
        "unknown data set 'mnist-simple'. Did you mean 'mnist-sample'? Known: "
        f"{', '.join(sorted(DATA_SETS))}. Also accepted: the path of {KINDS}."
    )


@pytest.mark.parametrize("name", ["./digits", "digits/", "digits.npy", "a/b.npz", "~nobody/x"])
def test_missing_paths_are_told_from_unknown_names(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    fails(name, f"^{name} does not exist: expected {KINDS}$")


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("1,2")
    fails(tmp_path / "x.txt", f"x.txt: expected {KINDS}")


def test_the_record_names_no_path(
    tmp_path: Path, digits: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_flat(tmp_path / "scans", digits[0])
    assert load_data(f"{folder}/", ROOT).name == "scans"
    monkeypatch.chdir(folder)
    assert load_data(".", ROOT).name == "scans"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load_data("scans", ROOT).name == "scans"
    assert load_data("~/scans", ROOT).name == "scans"


def test_fingerprint_follows_every_pixel_and_label(tmp_path: Path, digits: Any) -> None:
    images, labels = digits
    seen = set()
    for place, value in ((None, 0), (0, 1), (29, 1)):
        changed = images.copy()
        if place is not None:
            changed[place, 27, 27] += value
        np.savez(tmp_path / "x.npz", x=changed, y=labels)
        seen.add(load_data(str(tmp_path / "x.npz"), ROOT).fingerprint)
    for place in (0, 29):
        np.savez(tmp_path / "x.npz", x=images, y=np.where(np.arange(30) == place, 5, labels))
        seen.add(load_data(str(tmp_path / "x.npz"), ROOT).fingerprint)
    for other in ({"x": images}, {"x": images.reshape(30, 14, 56)}, {"x": images / 255}):
        np.savez(tmp_path / "x.npz", **other)
        seen.add(load_data(str(tmp_path / "x.npz"), ROOT).fingerprint)
    assert len(seen) == 8
    assert all(len(fingerprint) == 64 for fingerprint in seen)


def test_fingerprint_is_of_the_images_not_of_where_they_are(tmp_path: Path, digits: Any) -> None:
    np.save(tmp_path / "x.npy", digits[0])
    np.savez_compressed(tmp_path / "x.npz", anything=digits[0][:, None])
    folder = write_flat(tmp_path / "scans", digits[0])
    shutil.copytree(folder, tmp_path / "elsewhere")
    names = ("x.npy", "x.npz", "scans", "elsewhere")
    found = {load_data(str(tmp_path / name), ROOT).fingerprint for name in names}
    assert len(found) == 1
