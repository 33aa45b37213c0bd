"""Folders of pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from aeonnx.errors import DataError, UsageError
from aeonnx.training.data import load_data
from tests.training.data.support import (
    PER_EXAMPLE,
    ROOT,
    assert_labelled,
    assert_same,
    everything,
    fails,
    pixels,
    write_classes,
    write_flat,
)


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
        *((mode, suffix) for mode in ("1", "L", "RGB") for suffix in ("jpg", "JPEG", "bmp", "tif")),
        ("RGB", "webp"),
        ("P", "gif"),
    ],
)
def test_modes_and_formats(tmp_path: Path, mode: str, suffix: str) -> None:
    channels = {"1": 1, "P": 3}.get(mode, len(mode))
    for value in (0, 1, 2):
        colour = (50 * value, 20, 9, 255 if mode == "P" else 77)
        Image.new("RGBA", (6, 5), colour).convert(mode).save(tmp_path / f"{value}.{suffix}")
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
        monkeypatch.setattr("aeonnx._util.machine.available_memory", lambda free=free: free)
        for path in (folder, tmp_path / "x.npy"):
            data = load_data(str(path), ROOT)
            assert data.train.images.in_memory is in_memory
            assert data.test.images.in_memory is in_memory


@pytest.mark.parametrize("stream", [True, False])
def test_transparent_pixels_are_kept_refused_or_flattened(tmp_path: Path, stream: bool) -> None:
    for place, alpha in enumerate((0, 51, 255)):
        picture = np.full((5, 6, 4), (200, 100, 50, alpha), np.uint8)
        Image.fromarray(picture).save(tmp_path / f"{place}.png")
    assert load_data(str(tmp_path), ROOT, stream=stream).shape == (4, 5, 6)
    flat = load_data(str(tmp_path), ROOT, stream=stream, background="#ff0000")
    assert flat.shape == (3, 5, 6)
    assert sorted(everything(flat)[:, :, 0, 0].tolist()) == [
        [200, 100, 50],
        [244, 20, 10],
        [255, 0, 0],
    ]
    palette = Image.new("P", (6, 5))
    palette.putpalette([9, 9, 9])
    for place in range(3):  # a colour that is declared transparent is no channel of its own
        palette.save(tmp_path / f"{place}.png", transparency=0)
    fails(tmp_path, "model takes none: flatten it first, or pass --background white")
    flat = load_data(str(tmp_path), ROOT, stream=stream, background="white")
    assert (everything(flat) == 255).all()
    with pytest.raises(UsageError, match="expected a colour such as white"):
        load_data(str(tmp_path), ROOT, background="whitish-grey")


def test_training_reads_sixteen_bits_and_orientation(tmp_path: Path, digits: Any) -> None:
    exif = Image.Exif()
    exif[274] = 6
    for place, digit in enumerate(digits[0][:3]):
        Image.fromarray(digit.astype(np.uint16) * 256 + 9).save(tmp_path / f"{place}.png")
    for place, digit in enumerate(digits[0][3:6]):
        Image.fromarray(np.rot90(digit)).save(tmp_path / f"{place + 3}.png", exif=exif)
    read = sorted(image.tobytes() for image in everything(load_data(str(tmp_path), ROOT)).numpy())
    assert read == sorted(digit.tobytes() for digit in digits[0][:6])


def crops(photos: int, each: int, name: Callable[[int, int], str]) -> list[str]:
    return [name(photo, piece) for photo in range(photos) for piece in range(each)]


NAMES: list[tuple[str, list[str], Callable[[str], str]]] = [
    ("words", crops(6, 5, lambda a, b: f"photo_{a}_crop{b}.png"), lambda n: n.split("_crop")[0]),
    ("tiles", crops(9, 3, lambda a, b: f"Scene{a}-tile-{b}-64.png"), lambda n: n.split("-")[0]),
    ("two words", crops(7, 4, lambda a, b: f"x{a} crop 1 flip{b}.png"), lambda n: n.split()[0]),
    ("copies", crops(5, 4, lambda a, b: f"IMG_{a} copy ({b}).png"), lambda n: n.split()[0]),
    ("numbers", crops(20, 3, lambda a, b: f"img-{a:03}-{b}.png"), lambda n: n.rsplit("-", 1)[0]),
    ("places", crops(20, 3, lambda a, b: f"img_{a:03}_{b}_0.png"), lambda n: n[:7]),
    ("folders", crops(20, 3, lambda a, b: f"p{a}/crop_{b}.png"), lambda n: n.split("/")[0]),
]


@pytest.mark.parametrize(("names", "photo"), [n[1:] for n in NAMES], ids=[n[0] for n in NAMES])
def test_pieces_of_one_photograph_stay_together(
    tmp_path: Path, names: list[str], photo: Callable[[str], str]
) -> None:
    written = {}
    for place, name in enumerate(names):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(np.full((3, 4), place, np.uint8)).save(tmp_path / name)
        written[place] = name
    data = load_data(str(tmp_path), ROOT)
    assert data.split == "one in ten of a fixed permutation, pieces of one photograph together"
    halves = [
        {photo(written[int(image[0, 0, 0])]) for image in pixels(half)}
        for half in (data.train, data.test)
    ]
    assert not halves[0] & halves[1]
    assert len(halves[0] | halves[1]) == len({photo(name) for name in names})
    tests, each = len(data.test.images), len(names) // len({photo(name) for name in names})
    assert len(names) // 10 <= tests < len(names) // 10 + each
    again = load_data(str(tmp_path), ROOT, stream=True)
    assert torch.equal(everything(data), everything(again))


@pytest.mark.parametrize(
    "names",
    [
        crops(1, 30, lambda _, b: f"{b:03}.png"),
        crops(1, 30, lambda _, b: f"img_{b:03}.png"),
        crops(1, 30, lambda _, b: f"frame_{b:03}.png"),
        crops(10, 3, lambda a, b: f"digit_{a}_{b}.png"),  # which may be classes
        crops(30, 2, lambda a, b: f"{a}_{b}.png"),
        crops(3, 10, lambda a, b: f"class{a}/crop_{b}.png"),
        crops(30, 1, lambda a, b: f"photo_{a}_crop{b}.png"),
        crops(4, 8, lambda a, b: f"photo_{a}_crop{b}.png"),
        crops(30, 1, lambda a, _: f"backdrop{a}_outcrop.png"),
    ],
)
def test_names_that_show_no_photographs_are_split_as_ever(tmp_path: Path, names: list[str]) -> None:
    for place, name in enumerate(names):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(np.full((3, 4), place, np.uint8)).save(tmp_path / name)
    data = load_data(str(tmp_path), ROOT)
    assert data.split == "one in ten of a fixed permutation"
    order = {30: TESTED, 60: [1, 9, 29, 37, 40, 59], 32: [10, 27, 30]}
    read = sorted(int(image[0, 0, 0]) for image in pixels(data.test))
    by_name = [names.index(name) for name in sorted(names, key=lambda name: name.split("/"))]
    assert read == sorted(by_name[place] for place in order[len(names)])


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
        "the first, 000.png: --model dae --arch unet trains on pictures of any size. Give the "
        "others its size, or pass --skip-bad to go on without them"
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


def test_most_images_are_not_to_be_skipped(tmp_path: Path) -> None:
    for place in range(4):
        Image.new("L", (28, 28 + place)).save(tmp_path / f"{place}.png")
    with pytest.raises(DataError) as caught:
        load_data(str(tmp_path), ROOT)
    assert str(caught.value).endswith(
        "All must be like the first, 0.png: --model dae --arch unet trains on pictures of any "
        "size. Give the others its size"
    )
    for place in range(1, 4):
        Image.new("RGB", (28, 28)).save(tmp_path / f"{place}.png")
    fails(tmp_path, r"All must be like the first, 0\.png\. Repair them$")
    Image.new("L", (1025, 28)).save(tmp_path / "0.png")
    fails(tmp_path, r"got 1025x28: resize the images first; --model dae --arch unet trains on pic")


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
            "those of odd pictures in test/, got c, d and c",
        ),
        (
            lambda f: [picture(f / name) for name in ("train/c/a.png", "test/a.png")],
            "those of odd pictures in test/, got c and none",
        ),
        (
            lambda f: (picture(f / "train/a.png"), (f / "test").mkdir()),
            "test holds no image: expected",
        ),
        (lambda f: picture(f / "a.png"), "expected at least 2 images, got 1"),
        (
            lambda f: picture(f / "a.png", (1025, 3)),
            "a.png: expected at most 1024x1024 pixels, got 1025x3: resize the images first",
        ),
        (
            lambda f: [picture(f / name, mode="CMYK") for name in ("a.jpg", "b.jpg")],
            "none of its 2 images can be used: a.jpg is in CMYK, whose colours depend on its "
            "profile: convert it to RGB first; b.jpg",
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
    with pytest.raises(DataError, match=r"011.png is not a readable .*\. It was readable when the"):
        pixels(data.train)
    changed.unlink()
    with pytest.raises(
        DataError, match=r"011.png does not exist. It was readable when .* restore it"
    ):
        pixels(data.train)
    assert len(pixels(data.test)) == 3
