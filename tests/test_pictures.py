"""Every picture of the corpus, read as docs/pictures.md says or refused in its words."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from aeonnx.errors import ImageError, UsageError
from aeonnx.io import decode, frames, jpeg, png
from aeonnx.io.pictures import (
    LARGEST_FILE,
    Treatment,
    colour_of,
    load_picture,
    picture_of,
    read_picture,
)
from tests import pictures_png
from tests.pictures import Picture, make
from tests.support import Shared

HEIGHT, WIDTH = 12, 10
FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WebP", "GIF", "")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Picture]]:
    folder = tmp_path_factory.mktemp("pictures")
    return folder, make(folder, HEIGHT, WIDTH)


def outcome(read: Callable[[], np.ndarray]) -> np.ndarray | str:  # type: ignore[type-arg]
    try:
        return read()
    except ImageError as error:
        return str(error)


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_every_picture_is_read_or_refused_as_the_table_says(
    corpus: tuple[Path, dict[str, Picture]], kind: str, channels: int
) -> None:
    folder, pictures = corpus
    of_kind = [picture for picture in pictures.values() if picture.format == kind]
    assert len(of_kind) >= 3
    for picture in of_kind:
        if channels not in picture.wanted:
            continue
        path, expected = folder / picture.name, picture.wanted[channels]
        found = outcome(lambda path=path: read_picture(path, (channels, HEIGHT, WIDTH)))
        if isinstance(expected, str):
            assert isinstance(found, str), picture
            assert expected in found
            assert found.startswith(str(path))
        else:
            np.testing.assert_array_equal(found, expected, err_msg=picture.name)


def test_each_orientation_puts_the_marked_corner_where_exif_says() -> None:
    """Exif 2.32, table 6: where the first stored row and column are to be seen."""
    stored = np.array([[1, 2, 3], [4, 5, 6]], np.uint8)
    seen = {
        1: [[1, 2, 3], [4, 5, 6]],
        2: [[3, 2, 1], [6, 5, 4]],
        3: [[6, 5, 4], [3, 2, 1]],
        4: [[4, 5, 6], [1, 2, 3]],
        5: [[1, 4], [2, 5], [3, 6]],
        6: [[4, 1], [5, 2], [6, 3]],
        7: [[6, 3], [5, 2], [4, 1]],
        8: [[3, 6], [2, 5], [1, 4]],
    }
    for orientation, rows in seen.items():
        stream = BytesIO()
        exif = Image.Exif()
        exif[274] = orientation
        Image.fromarray(stored).save(stream, "PNG", exif=exif)
        assert picture_of(stream.getvalue(), "x").colour.tolist() == rows


@given(
    st.lists(st.tuples(*[st.integers(0, 255)] * 4), min_size=1, max_size=6),
    st.tuples(*[st.integers(0, 255)] * 3),
)
def test_transparent_pixels_are_composed_over_the_background(
    tmp_path_factory: pytest.TempPathFactory,
    pixels: list[tuple[int, ...]],
    background: tuple[int, int, int],
) -> None:
    path = tmp_path_factory.mktemp("x") / "x.png"
    Image.fromarray(np.array([pixels], np.uint8)).save(path)
    how = Treatment(background=background)
    read = read_picture(path, (3, 1, len(pixels)), how)
    for place, (*colour, alpha) in enumerate(pixels):
        exact = [alpha * v + (255 - alpha) * b for v, b in zip(colour, background, strict=True)]
        assert read[:, 0, place].tolist() == [round(value / 255) for value in exact]
    red, green, blue = read.astype(int)
    luma = (19595 * red + 38470 * green + 7471 * blue + 32768) >> 16
    np.testing.assert_array_equal(read_picture(path, (1, 1, len(pixels)), how)[0], luma)


def test_errors_name_the_options_where_there_are_some(
    corpus: tuple[Path, dict[str, Picture]],
) -> None:
    folder, _ = corpus
    offered = Treatment(offered=True)
    with pytest.raises(ImageError, match="flatten it first, or pass --background white$"):
        read_picture(folder / "png-rgba-8.png", (3, HEIGHT, WIDTH), offered)
    with pytest.raises(ImageError, match="flatten it first$"):
        read_picture(folder / "png-rgba-8.png", (3, HEIGHT, WIDTH))
    with pytest.raises(
        ImageError,
        match="expected 10x13 pixels, got 10x12: resize it first, or pass --resize fit, crop or "
        "stretch$",
    ):
        read_picture(folder / "png-rgb-8.png", (3, HEIGHT + 1, WIDTH), offered)
    with pytest.raises(ImageError, match="got 10x12: resize it first$"):
        read_picture(folder / "png-rgb-8.png", (3, HEIGHT + 1, WIDTH))


def test_colours_have_names_or_numbers() -> None:
    assert colour_of("white") == (255, 255, 255)
    assert colour_of("#20a0ff") == (32, 160, 255)
    with pytest.raises(UsageError, match="expected a colour such as white or #20a0ff, got 'blah'"):
        colour_of("blah")
    with pytest.raises(UsageError, match="resize: expected fit, crop, stretch, got 'squeeze'"):
        Treatment("squeeze")


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_resizing_crops_fits_or_stretches(tmp_path: Path, channels: int) -> None:
    """A picture of three equal bands, twice as wide as high."""
    bands = np.repeat(np.array([10, 100, 200], np.uint8), 20)[None].repeat(30, axis=0)
    rgba = np.dstack([bands, bands, bands, np.full_like(bands, 255)])
    Image.fromarray(rgba).save(tmp_path / "x.png")

    def read(resize: str, size: int = 30) -> np.ndarray:  # type: ignore[type-arg]
        how = Treatment(resize, (250, 250, 250))
        found = read_picture(tmp_path / "x.png", (channels, size, size), how)
        assert (found.dtype, found.shape) == (np.uint8, (channels, size, size))
        if channels in (2, 4):
            assert (found[-1] == 255).all()
        return found[0]

    assert read("crop")[:, [0, 2, 15, 27]].tolist() == [[10, 10, 100, 200]] * 30
    assert read("stretch")[:, [0, 5, 15, 25]].tolist() == [[10, 10, 100, 200]] * 30
    fitted = read("fit")
    assert (fitted[:7] == 250).all()
    assert (fitted[23:] == 250).all()
    assert fitted[8:22, [2, 15, 27]].tolist() == [[10, 100, 200]] * 14
    np.testing.assert_array_equal(read("fit", 60)[15:45], bands)


def test_a_picture_of_the_right_size_is_not_touched(
    corpus: tuple[Path, dict[str, Picture]],
) -> None:
    folder, pictures = corpus
    for resize in ("fit", "crop", "stretch"):
        found = read_picture(folder / "png-rgb-8.png", (3, HEIGHT, WIDTH), Treatment(resize))
        np.testing.assert_array_equal(found, pictures["png-rgb-8.png"].wanted[3])


def test_only_regular_files_are_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.png")
    (tmp_path / "zero.png").symlink_to("/dev/zero")
    (tmp_path / "folder.png").mkdir()
    for name, what in (("x", "a FIFO"), ("zero", "a device"), ("folder", "a folder")):
        with pytest.raises(ImageError, match=f"cannot read .*{name}.png: it is {what}"):
            load_picture(tmp_path / f"{name}.png")
    with pytest.raises(ImageError, match="does not exist"):
        load_picture(tmp_path / "none.png")
    with pytest.raises(ImageError, match="File name too long"):
        load_picture(tmp_path / ("x" * 300))
    with (tmp_path / "large.png").open("wb") as stream:
        stream.truncate(LARGEST_FILE + 1)
    with pytest.raises(ImageError, match="at most 1,073,741,824"):
        load_picture(tmp_path / "large.png")


def test_a_model_of_other_channels_takes_no_picture(tmp_path: Path) -> None:
    Image.new("L", (3, 2), 7).save(tmp_path / "x.png")
    with pytest.raises(ImageError, match="has 1 to 4 channels, and the model takes 5: give it"):
        read_picture(tmp_path / "x.png", (5, 2, 3))


def test_a_link_to_a_picture_is_read(tmp_path: Path) -> None:
    Image.new("L", (3, 2), 7).save(tmp_path / "x.png")
    (tmp_path / "link.png").symlink_to("x.png")
    assert load_picture(tmp_path / "link.png").colour.tolist() == [[7, 7, 7]] * 2


def test_large_pictures_are_refused_before_they_are_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decode, "MOST_PIXELS", 100)
    for suffix in ("png", "bmp", "tif", "webp", "gif", "jpg"):
        path = tmp_path / f"x.{suffix}"
        Image.new("L", (10, 10)).save(path)
        assert load_picture(path).colour.shape[:2] == (10, 10)
        Image.new("L", (10, 11)).save(path)
        with pytest.raises(ImageError, match="has 10x11 pixels: expected at most 100, resize it"):
            load_picture(path)


def test_pillow_has_no_say_in_what_is_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("L", (12, 12)).save(tmp_path / "x.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)  # it warns at more, which is an error here
    assert load_picture(tmp_path / "x.png").colour.shape == (12, 12)


def test_a_picture_of_another_size_is_not_decoded(
    corpus: tuple[Path, dict[str, Picture]], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, pictures = corpus
    monkeypatch.setattr(decode, "from_pillow", lambda _: pytest.fail("decoded"))
    monkeypatch.setattr(png, "check_pixels", lambda _: pytest.fail("inflated"))
    seen = set()
    for name, picture in pictures.items():
        if isinstance(picture.wanted.get(4), np.ndarray):
            with pytest.raises(ImageError, match=f"expected 11x12 pixels, got {WIDTH}x{HEIGHT}: "):
                read_picture(folder / name, (4, 12, 11))
            seen.add(picture.format)
    assert seen == {*FORMATS} - {""}


def gif_of(frames: int) -> bytes:
    rng = np.random.default_rng(0)
    first, *others = (
        Image.fromarray(rng.integers(0, 256, (3, 4), dtype=np.uint8)) for _ in range(frames)
    )
    stream = BytesIO()
    first.save(stream, "GIF", save_all=True, append_images=others)
    return stream.getvalue()


def test_frames_are_counted_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "MOST_FRAMES", 5)
    monkeypatch.setattr(decode, "MOST_FRAMES", 5)
    tiff = BytesIO()
    one = Image.new("L", (3, 2))
    one.save(tiff, "TIFF", save_all=True, append_images=[one] * 7)
    for data in (gif_of(8), tiff.getvalue()):
        with pytest.raises(ImageError, match="x holds more than 5 pictures: expected one"):
            picture_of(data, "x")
    assert frames.gif_frames(gif_of(3)) == 3
    loop = bytearray(tiff.getvalue())
    start = int.from_bytes(loop[4:8], "little")
    following = start + 2 + 12 * int.from_bytes(loop[start : start + 2], "little")
    loop[following : following + 4] = loop[4:8]
    assert frames.tiff_frames(bytes(loop)) == 1
    monkeypatch.setattr(frames, "_MOST_BLOCKS", 1)
    with pytest.raises(ImageError, match="more than 1 blocks"):
        picture_of(gif_of(2), "x")


def test_chunks_and_markers_without_end_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(png, "_MOST_CHUNKS", 3)
    monkeypatch.setattr(jpeg, "_MOST_MARKERS", 3)
    text = pictures_png.chunk(b"tEXt", b"Title\0x")
    with pytest.raises(ImageError, match="more than 3 chunks"):
        picture_of(pictures_png.png(np.zeros((2, 3, 1), int), 8, before=text), "x")
    stream = BytesIO()
    Image.new("L", (3, 2)).save(stream, "JPEG")
    with pytest.raises(ImageError, match="more than 3 markers"):
        picture_of(stream.getvalue(), "x")
    monkeypatch.setattr(jpeg, "_MOST_MARKERS", 1000)
    monkeypatch.setattr(jpeg, "_MOST_SCANS", 3)
    stream = BytesIO()
    Image.new("RGB", (30, 20)).save(stream, "JPEG", progressive=True)
    with pytest.raises(ImageError, match="more than 3 scans"):
        picture_of(stream.getvalue(), "x")


@given(st.data())
def test_damaged_pictures_are_refused_or_read(shared: Shared, data: st.DataObject) -> None:
    folder = shared("pictures", lambda folder: (folder.mkdir(), make(folder, HEIGHT, WIDTH)))
    path = data.draw(st.sampled_from(sorted(folder.iterdir())))
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        if content:
            place = data.draw(st.integers(0, len(content) - 1))
            content[place] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content))) :]
    with suppress(ImageError):
        found = picture_of(bytes(content), "x")
        assert found.colour.dtype == np.uint8


def test_pictures_are_read_in_many_threads_without_a_warning(
    corpus: tuple[Path, dict[str, Picture]],
) -> None:
    folder, pictures = corpus
    failed: list[object] = []

    def read() -> None:
        for picture in pictures.values():
            expected = picture.wanted.get(4)
            if isinstance(expected, np.ndarray):
                found = read_picture(folder / picture.name, (4, HEIGHT, WIDTH))
                if not np.array_equal(found, expected):
                    failed.append(picture)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
@pytest.mark.parametrize(
    ("bits", "kind", "told"),
    [(16, 3, "16-bit floats"), (32, 3, "32-bit floats"), (64, 3, "64-bit floats"),
     (24, 3, "24-bit floats"), (32, 1, "32 bits per channel"), (32, 2, "32 bits per channel")],
)  # fmt: skip
def test_a_tiff_of_another_depth_is_refused_with_it(
    tmp_path: Path, mode: str, bits: int, kind: int, told: str
) -> None:
    count, file = len(mode), BytesIO()
    kinds = (kind,) * count
    Image.new(mode, (4, 4)).save(file, "TIFF", tiffinfo={258: (8,) * count, 339: kinds})
    data = bytearray(file.getvalue())
    if count == 1:
        place = data.index(b"\x02\x01\x03\x00\x01\x00\x00\x00\x08\x00") + 8
    else:
        place = data.index(b"\x08\x00" * count)
    data[place : place + 2 * count] = bits.to_bytes(2, "little") * count
    path = tmp_path / "hdr.tif"
    path.write_bytes(data + bytes(16 * count * bits))
    with pytest.raises(ImageError) as caught:
        load_picture(path)
    assert str(caught.value) == f"{path} has {told}: expected 8 or 16 bits per channel"
