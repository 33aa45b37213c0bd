"""Arrays on disk: what numpy writes is read, and nothing that others write does harm."""

from __future__ import annotations

import os
import random
import struct
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from aeonnx.errors import AeonnxError, ImageError
from aeonnx.io import npy, npz
from aeonnx.io.readers import open_images, read_images
from aeonnx.io.rows import Rows, open_latents
from aeonnx.training.data import load_data

SHAPE = (1, 4, 5)


def header(text: str, version: int = 1, values: bytes = bytes(80)) -> bytes:
    """A .npy with that header."""
    size = struct.pack("<H" if version == 1 else "<I", len(text))
    return npy.MAGIC + bytes([version, 0]) + size + text.encode("latin-1") + values


def plain(descr: str = "|u1", order: str = "False", shape: str = "(4, 4, 5)") -> str:
    return f"{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}\n"


DTYPES = st.one_of(
    arrays.boolean_dtypes(),
    arrays.integer_dtypes(endianness="?"),
    arrays.unsigned_integer_dtypes(endianness="?"),
    arrays.floating_dtypes(endianness="?", sizes=(16, 32, 64)),
    arrays.complex_number_dtypes(endianness="?", sizes=(64, 128)),
    arrays.unicode_string_dtypes(endianness="?", max_len=5),
    arrays.byte_string_dtypes(max_len=5),
)


@given(
    array=arrays.arrays(DTYPES, arrays.array_shapes(min_dims=0, max_dims=5, min_side=0)),
    fortran=st.booleans(),
    version=st.sampled_from([(1, 0), (2, 0), (3, 0)]),
    packed=st.booleans(),
)
def test_what_numpy_writes_is_read(
    tmp_path_factory: pytest.TempPathFactory,
    array: Any,
    fortran: bool,
    version: tuple[int, int],
    packed: bool,
) -> None:
    folder = tmp_path_factory.mktemp("x")
    array = np.asfortranarray(array) if fortran else array
    with (folder / "x.npy").open("wb") as stream:
        np.lib.format.write_array(stream, array, version)
    (np.savez_compressed if packed else np.savez)(folder / "x.npz", a=array, b=array)
    file = npy.open_array(folder / "x.npy")
    with npz.read_archive(folder / "x.npz", "x.npz") as archive:
        assert archive.names == {"a", "b"}
        found = [file.mapped(), archive.read("a")]
    if array.ndim:
        found.append(
            np.concatenate([*file.batches(2), np.empty((0, *array.shape[1:]), array.dtype)])
        )
    for one in found:
        assert (one.dtype.newbyteorder("="), one.shape) == (
            array.dtype.newbyteorder("="),
            array.shape,
        )
        assert one.tobytes() == array.astype(one.dtype).tobytes()


@pytest.mark.parametrize(
    "text",
    [
        "{'descr': '<f4', 'fortran_order': False, 'shape': (20,)}",
        '{"shape":(20,),"fortran_order":False,"descr":"<f4"}',
        "  {'shape': ( 20 , ) , 'descr' : '<f4' ,\n'fortran_order': False , }  \n",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (20L,), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (5, 4L), }",
    ],
)
def test_headers_of_other_writers_are_read(tmp_path: Path, text: str) -> None:
    values = np.arange(20, dtype="<f4")
    (tmp_path / "x.npy").write_bytes(header(text, values=values.tobytes()))
    found = npy.open_array(tmp_path / "x.npy").mapped()
    assert found.shape in ((20,), (5, 4))
    np.testing.assert_array_equal(found.ravel(), values)


FORM = "its header is not of the form that numpy writes"
NO_SHAPE = "its header declares a shape that no array can have"
HOSTILE = [
    ("2**63", plain(shape=f"({2**63},)"), NO_SHAPE),
    ("2**62 squared", plain(shape=f"({2**62}, {2**62}, 0)"), NO_SHAPE),
    ("2**62 of 8", plain("<f8", shape=f"({2**62},)"), NO_SHAPE),
    ("10**400", plain(shape=f"({10**400},)"), NO_SHAPE),
    ("many axes", plain(shape=f"({'1, ' * 33})"), NO_SHAPE),
    ("many digits", plain(shape=f"({'9' * 60_000},)"), NO_SHAPE),
    ("negative", plain(shape="(-1,)"), FORM),
    ("a number", plain(shape="80"), FORM),
    ("a product", plain(shape="(8*10,)"), FORM),
    ("a float", plain(shape="(80.0,)"), FORM),
    ("true", plain(shape="(True,)"), FORM),
    ("nested", plain(shape=f"{'(' * 9000}80{')' * 9000}"), FORM),
    ("a call", plain(shape="(__import__('os').getpid(),)"), FORM),
    ("unterminated", plain()[:-8], FORM),
    ("indented", "\n    x\n  y\n" + plain(), FORM),
    ("blanks", plain(shape=f"(4,{' ' * 60_000}x)"), FORM),
    ("quotes", plain().replace("'", "'''"), FORM),
    ("order", plain(order="1"), FORM),
    ("a key twice", plain().replace("{", "{'descr': '|u1', "), FORM),
    ("a key more", plain().replace("{", "{'more': 1, "), FORM),
    ("a key less", "{'descr': '|u1', 'shape': (4, 4, 5)}", FORM),
    ("a list", "['descr', 'fortran_order', 'shape']", FORM),
    ("nothing", "", FORM),
    ("objects", plain("|O"), "holds Python objects (pickles), which are never loaded"),
    ("records", plain().replace("'|u1'", "[('a', '<f4')]"), "are records of several fields"),
    ("a subarray", plain().replace("'|u1'", "('<f4', (2,))"), "are records of several fields"),
    ("no type", plain("|q7"), "its elements are of numpy's type '|q7'"),
    ("long double", plain("<f16"), "its elements are of numpy's type '<f16'"),
    ("times", plain("<M8[ns]"), "its elements are of numpy's type '<M8[ns]'"),
    ("void", plain("|V4"), "its elements are of numpy's type '|V4'"),
    ("width 0", plain("|S0"), "its elements are of numpy's type '|S0'"),
    ("wide texts", plain("<U999999999"), "its elements are of numpy's type"),
    ("short", plain(shape="(81,)"), "its header says uint8 [81], 81 bytes, and it has 80"),
    ("long", plain(shape="(79,)"), "its header says uint8 [79], 79 bytes, and it has 80"),
    ("nearly all", plain(shape=f"({2**62},)"), "bytes, and it has 80"),
]


@pytest.mark.parametrize(
    ("text", "reason"), [case[1:] for case in HOSTILE], ids=[c[0] for c in HOSTILE]
)
@pytest.mark.parametrize("version", [1, 2, 3])
def test_hostile_headers_are_refused(tmp_path: Path, text: str, reason: str, version: int) -> None:
    path = tmp_path / "x.npy"
    path.write_bytes(header(text, version))
    readers: tuple[Callable[[], object], ...] = (
        lambda: open_images([path], SHAPE),
        lambda: open_latents(path, Rows("z", (20,))),
        lambda: load_data(str(path), Path("/nowhere")),
    )
    for read in readers:
        with pytest.raises(AeonnxError) as caught:
            read()
        assert str(caught.value).startswith(f"{path} is not a readable array: ")
        assert reason in str(caught.value)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is empty"),
        (npy.MAGIC, "it ends in its header"),
        (npy.MAGIC + b"\1\0", "it ends in its header"),
        (npy.MAGIC + b"\1\0\xff\xff{", "it ends in its header"),
        (npy.MAGIC + b"\2\0\xff\xff\xff\xff{", "its header has 4,294,967,295 bytes"),
        (npy.MAGIC + b"\x09\7", "it is of version 9.7 of numpy's format"),
        (b"hello, this is none", "it is not in numpy's format"),
        (b"text", "it is not in numpy's format"),
        (b"\x93NOMPY\1\0", "it is not in numpy's format"),
    ],
)
def test_files_that_are_no_arrays_are_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "x.npy"
    path.write_bytes(content)
    with pytest.raises(ImageError, match=f"x.npy is not a readable array: {reason}"):
        open_images([path], SHAPE)


def test_two_thousand_damaged_arrays_are_read_or_refused(tmp_path: Path) -> None:
    """Every byte of head, directory and values may be another, and the file shorter or longer."""
    draw = random.Random(13)
    rows = np.arange(80, dtype=np.uint8).reshape(4, 4, 5)
    sources = []
    for save in (np.save, np.savez, np.savez_compressed):
        for values in (rows, rows / 255, np.asfortranarray(rows.astype(">f4") / 255)):
            stream = BytesIO()
            save(stream, values)  # type: ignore[operator]
            sources.append(stream.getvalue())
    tokens = [b"(", b")", b",", b"'", b"{", b"9" * 20, b"-1", b"True", b"\n  ", b"'|O'", b"2**63"]
    outcomes = {"read": 0, "refused": 0}
    for number in range(2_000):
        content = bytearray(draw.choice(sources))
        for _ in range(draw.choice([1, 1, 2, 4])):
            place = draw.randrange(min(len(content), draw.choice([12, 128, len(content)])))
            content[place : place + draw.choice([0, 1, 1, 1, 4])] = draw.choice(
                [bytes([draw.randrange(256)])] * 4 + [draw.choice(tokens), b"\xff\xff\xff\x7f"]
            )
        if draw.random() < 0.1:
            del content[draw.randrange(len(content)) :]
        path = tmp_path / f"{number % 7}.{draw.choice(['npy', 'npz'])}"
        path.write_bytes(content)
        for read in (
            lambda path=path: read_images(path, SHAPE),
            lambda path=path: list(open_latents(path, Rows("z", (5,))).batches(9)),
            lambda path=path: load_data(str(path), Path("/nowhere")),
        ):
            try:
                read()
                outcomes["read"] += 1
            except AeonnxError:
                outcomes["refused"] += 1
    assert min(outcomes.values()) > 200, outcomes


def archive(path: Path, members: dict[str, bytes], **options: Any) -> Path:
    with zipfile.ZipFile(path, "w", **options) as stream:
        for name, content in members.items():
            stream.writestr(name, content)
    return path


GOOD = header(plain())


def test_archives_are_looked_at_before_they_are_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.npz"

    def refused(reason: str) -> None:
        for read in (lambda: read_images(path, SHAPE), lambda: load_data(str(path), Path("/none"))):
            with pytest.raises(AeonnxError, match=reason):
                read()

    archive(path, {"x.npy": GOOD, "x": GOOD})
    refused("x.npz is not a readable array: it has two arrays named x")
    archive(path, {"x.npy": GOOD}, compression=zipfile.ZIP_LZMA)
    refused("array x is not a readable array: it is compressed in a way that numpy does not write")
    archive(path, {"x.npy": GOOD})
    content = bytearray(path.read_bytes())
    for flags in (content.index(b"PK\3\4") + 6, content.index(b"PK\1\2") + 8):
        content[flags] |= 1
    path.write_bytes(content)
    refused("array x is not a readable array: it is encrypted: save it without a password")
    archive(path, {"data.npy": GOOD, "indices.npy": GOOD, "format.npy": GOOD, "shape.npy": GOOD})
    refused(r"x.npz holds a sparse matrix: expected arrays, save matrix.toarray\(\)")
    archive(path, {"x.npy": header(plain(shape=f"({10**15}, 4, 5)"))})
    refused("its header says uint8 .*, 20,000,000,000,000,000 bytes, and it has 80")
    archive(path, {"x.npy": b"hello"})
    refused("array x is not a readable array: it is not in numpy's format")
    monkeypatch.setattr(npy, "_MUCH", 50)
    monkeypatch.setattr(npy, "available_memory", lambda: 79)
    archive(path, {"x.npy": GOOD})
    refused("array x is not a readable array: its 80 bytes do not fit in memory")
    monkeypatch.setattr(npy, "available_memory", lambda: 80)
    assert read_images(path, SHAPE).shape == (4, *SHAPE)


def test_only_regular_files_are_arrays(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.npy")
    os.mkfifo(tmp_path / "x.npz")
    for name in ("x.npy", "x.npz"):
        with pytest.raises(ImageError, match=f"cannot read .*{name}: it is a FIFO"):
            open_images([tmp_path / name], SHAPE)
        with pytest.raises(ImageError, match=f"cannot read .*{name}: it is a FIFO"):
            open_latents(tmp_path / name, Rows("z", (5,)))
        with pytest.raises(AeonnxError, match=f"cannot read .*{name}: it is a FIFO"):
            load_data(str(tmp_path / name), Path("/nowhere"))


@given(
    dtype=st.sampled_from(["u1", "<f2", ">f4", "<f8"]),
    form=st.sampled_from(["[N,C,H,W]", "[N,H,W]", "[C,H,W]", "[H,W]", "[N,D]", "[D]"]),
    channels=st.integers(1, 3),
    count=st.integers(2, 5),
    fortran=st.booleans(),
    seed=st.integers(0, 99),
)
def test_verbs_get_the_values_that_training_got(
    tmp_path_factory: pytest.TempPathFactory,
    dtype: str,
    form: str,
    channels: int,
    count: int,
    fortran: bool,
    seed: int,
) -> None:
    """To the bit, whatever form and dtype the array on disk has."""
    folder = tmp_path_factory.mktemp("x")
    shape = {"[N,C,H,W]": (channels, 3, 4), "[C,H,W]": (channels, 3, 4)}.get(form, (1, 3, 4))
    if "D" in form:
        shape = (1, 1, 12)
    rows = np.random.default_rng(seed).integers(0, 256, (count, *shape))
    rows = (rows if dtype == "u1" else rows / 255).astype(dtype)
    axes = {"[N,H,W]": (3, 4), "[H,W]": (3, 4), "[N,D]": (12,), "[D]": (12,)}.get(form, shape)
    trained = rows.reshape(count, *axes)
    stored = trained if form.startswith("[N") else trained[0]
    stored = np.asfortranarray(stored) if fortran else stored
    np.save(folder / "trained.npy", trained)
    np.save(folder / "x.npy", stored)
    np.savez(folder / "x.npz", x=stored, y=np.zeros(count, int))
    data = load_data(str(folder / "trained.npy"), Path("/nowhere"))
    assert data.shape == shape
    expected = sorted(
        half.images.read(np_places(len(half.images))).numpy()[place].tobytes()
        for half in (data.train, data.test)
        for place in range(len(half.images))
    )
    for name in ("x.npy", "x.npz"):
        found = read_images(folder / name, shape)
        assert found.dtype == (np.uint8 if dtype == "u1" else np.float32)
        if form.startswith("[N"):
            assert sorted(row.tobytes() for row in found) == expected
        else:
            assert found.shape == (1, *shape)
            assert found.tobytes() in expected


def np_places(count: int) -> Any:
    import torch

    return torch.arange(count)


def test_an_archive_gives_the_arrays_that_training_took(tmp_path: Path) -> None:
    rows = np.arange(80, dtype=np.uint8).reshape(4, 4, 5)
    for names in ({"x_train": rows[:3], "x_test": rows[3:]}, {"x": rows, "extra": rows[:1]}):
        np.savez(tmp_path / "x.npz", **names)
        np.testing.assert_array_equal(read_images(tmp_path / "x.npz", SHAPE)[:, 0], rows)
    np.savez(tmp_path / "x.npz", a=rows, b=rows)
    with pytest.raises(ImageError, match="expected one array of images .*, got a, b"):
        read_images(tmp_path / "x.npz", SHAPE)
    np.savez(tmp_path / "x.npz", x_train=rows, x_test=rows / 255)
    found = read_images(tmp_path / "x.npz", SHAPE)  # pixels become floats, not floats pixels
    np.testing.assert_array_equal(found[:4], found[4:])
    assert found.max() <= 1


@pytest.mark.parametrize(
    ("array", "text"),
    [
        (np.zeros((3, 4, 5, 1), np.uint8), r"save array.transpose\(0, 3, 1, 2\)$"),
        (np.zeros((4, 5, 1), np.uint8), r"save array.transpose\(2, 0, 1\)$"),
        (
            np.zeros((16, 20), np.uint8),
            r"expected \[n, 1, 4, 5\] or \[n, 4, 5\], got \[16, 20\]. The sizes match: "
            r"save array.reshape\(-1, 1, 4, 5\)$",
        ),
        (np.zeros((4, 6), np.uint8), r"expected \[n, 1, 4, 5\] or \[n, 4, 5\], got \[4, 6\]$"),
        (np.zeros((0, 4, 5), np.uint8), "holds no rows: give at least one"),
        (np.zeros((2, 4, 5), np.uint16), r"save \(array >> 8\).astype\('uint8'\)"),
        (np.zeros((2, 4, 5), np.int64), r"save array.astype\('uint8'\) if its values are 0 to 255"),
        (np.zeros((2, 4, 5), bool), r"save array \* numpy.uint8\(255\)"),
        (np.zeros((2, 4, 5), complex), "save its real part, or its absolute value"),
        (np.full((2, 4, 5), 1 + 1e-7, np.float32), "got 1.0000001 to 1.0000001: clip them"),
        (np.full((2, 4, 5), 200.0), "got 200 to 200: divide by 255 first"),
        (np.linspace(-1, 1, 40).reshape(2, 4, 5), r"if they are scaled to \[-1, 1\], save"),
        (np.full((2, 4, 5), np.nan), "got nan in row 0: remove the row, or replace the value"),
        (np.full((2, 4, 5), np.inf), "expected finite numbers, got inf in row 0: remove the row"),
        (np.full((2, 4, 5), 1e300), "expected finite numbers, got inf in row 0: remove the row"),
    ],
)
def test_arrays_that_are_no_images_are_told_what_they_look_like(
    tmp_path: Path, array: Any, text: str
) -> None:
    np.save(tmp_path / "x.npy", array)
    with pytest.raises(ImageError, match=text):
        read_images(tmp_path / "x.npy", SHAPE)


def test_the_advice_works(tmp_path: Path) -> None:
    """What a message says to save is read then, as it was meant."""
    rows = np.arange(40, dtype=np.uint8).reshape(2, 4, 5)
    for array, advice in (
        (rows[:, :, :, None], lambda array: array.transpose(0, 3, 1, 2)),
        (rows.reshape(2, 20), lambda array: array.reshape(-1, 1, 4, 5)),
        (rows.astype(np.uint16) << 8, lambda array: (array >> 8).astype("uint8")),
        (rows.astype(int), lambda array: array.astype("uint8")),
    ):
        np.save(tmp_path / "x.npy", array)
        with pytest.raises(ImageError):
            read_images(tmp_path / "x.npy", SHAPE)
        np.save(tmp_path / "x.npy", advice(array))
        np.testing.assert_array_equal(read_images(tmp_path / "x.npy", SHAPE)[:, 0], rows)
    np.save(tmp_path / "x.npy", (np.linspace(-1, 1, 40).reshape(2, 4, 5) + 1) / 2)
    assert read_images(tmp_path / "x.npy", SHAPE).shape == (2, *SHAPE)


def test_latents_are_floats_of_the_right_length(tmp_path: Path) -> None:
    z = np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32)
    for stored in (z, z.astype(np.float64), np.asfortranarray(z).astype(">f4"), z[:1], z[0]):
        np.save(tmp_path / "z.npy", stored)
        np.savez(tmp_path / "z.npz", features=stored, names=np.array(["a"]))
        for name in ("z.npy", "z.npz"):
            found = np.concatenate(list(open_latents(tmp_path / name, Rows("z", (5,))).batches(2)))
            np.testing.assert_array_equal(found, z[: len(found)])
            assert found.dtype == np.float32
    for wrong in (z.astype(int), z[:, :4], z[None], np.float32(3)):
        np.save(tmp_path / "z.npy", wrong)
        with pytest.raises(ImageError, match=r"expected latents, a .npy or .npz array of floats"):
            open_latents(tmp_path / "z.npy", Rows("z", (5,), what="latents"))
    np.savez(tmp_path / "z.npz", a=z, b=z)
    with pytest.raises(ImageError, match="expected one array of latents .named z, .* got a, b"):
        open_latents(tmp_path / "z.npz", Rows("z", (5,), what="latents"))
