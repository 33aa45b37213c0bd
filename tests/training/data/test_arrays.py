"""Arrays and archives."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from aeonnx.training.data import load_data
from tests.training.data.support import (
    PER_EXAMPLE,
    ROOT,
    assert_labelled,
    assert_same,
    everything,
    fails,
    pixels,
)

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
    monkeypatch.setattr("aeonnx.training.data._set._CHUNK", 700)
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
            np.zeros((2, 3, 1025), np.uint8),
            r"expected images of at most 1024x1024 pixels, got \[2, 3, 1025\]: resize them first",
        ),
        (
            ZEROS.astype(int),
            r"expected uint8, or floats in \[0, 1\], got int64: save array.astype\('uint8'\) if "
            "its values are 0 to 255$",
        ),
        (
            ZEROS.astype("u2"),
            r"got uint16: save \(array >> 8\).astype\('uint8'\) if its values fill 16 bits",
        ),
        (ZEROS.astype(bool), r"got bool: save array \* numpy.uint8\(255\)"),
        (ZEROS.astype("U1"), "got <U1: those are texts"),
        (ZEROS.astype("c8"), "got complex64: save its real part, or its absolute value"),
        (ZEROS + 255.0, r"expected floats in \[0, 1\], got 255 to 255: divide by 255 first"),
        (
            np.where(np.arange(6) == 3, -1.0, ZEROS + 1),
            r"got -1 to 1: if they are scaled to \[-1, 1\], save \(array \+ 1\) / 2",
        ),
        (ZEROS - 2.0, r"got -2 to -2: scale them to \[0, 1\] first"),
        (
            np.where(np.arange(6) == 3, np.float32(1.0000001), np.float32(0)) + np.float32(ZEROS),
            r"got 0 to 1.0000001: clip them to \[0, 1\] first",
        ),
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
            r"expected x_train and x_test of the same dtype and image shape, got uint8 "
            r"\[4, 5, 6\] and float64 \[4, 5, 6\]",
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
            "expected either integers or strings as labels, got int64 and <U1",
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
    fails(
        tmp_path / "x.npy",
        r"is not a readable array: its header says uint8 \[30, 28, 28\], 23,520 bytes, and it has "
        "23,519$",
    )
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("x.npy", whole)
    spoiled = bytearray((tmp_path / "x.npz").read_bytes())
    spoiled[5000] ^= 1
    (tmp_path / "x.npz").write_bytes(spoiled)
    fails(tmp_path / "x.npz", "is not a readable array: Bad CRC-32")
    # What a file is, its content says.
    np.savez(tmp_path / "y.npz", digits[0])
    kinds = {}
    for name, content in (("x.npz", whole), ("y.npy", (tmp_path / "y.npz").read_bytes())):
        (tmp_path / name).write_bytes(content)
        kinds[name] = load_data(str(tmp_path / name), ROOT)
    assert_same(kinds["x.npz"], kinds["y.npy"])
