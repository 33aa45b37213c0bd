"""Tables in files: names, units, missing values, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from aeonnx.errors import ImageError
from aeonnx.io.tables import name_and_unit, read_table
from tests.tables.conftest import NAMES, SENSORS, UNITS, sensors, write_csv


@given(
    arrays.arrays(
        np.float32,
        st.tuples(st.integers(1, 9), st.integers(1, 5)),
        elements=st.floats(allow_infinity=False, width=32),
    ),
    st.sampled_from(",;\t|"),
    st.booleans(),
)
def test_numbers_come_back(
    tmp_path_factory: pytest.TempPathFactory, values: Any, mark: str, named: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / "numbers.csv"
    lines = [mark.join("" if np.isnan(v) else repr(float(v)) for v in row) for row in values]
    if values.shape[1] == 1:  # an empty line is no row
        lines = [line or "NaN" for line in lines]
    head = [mark.join(f"c{place}" for place in range(values.shape[1]))] if named else []
    path.write_text("\n".join([*head, *lines]))
    table = read_table(path)
    assert table.named == named
    names = [f"c{place}" if named else str(place) for place in range(values.shape[1])]
    np.testing.assert_array_equal(table.values(names), values)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("temperature [°C]", ("temperature", "°C")),
        ("pressure (hPa)", ("pressure", "hPa")),
        ("speed[m/s]", ("speed", "m/s")),
        ("speed", ("speed", "")),
        ("f(x) rate", ("f(x) rate", "")),
        (" flow [ l/min ] ", ("flow", "l/min")),
        ("[a]", ("[a]", "")),
        ("a\x1bb", ("a\\x1bb", "")),
    ],
)
def test_units_are_told_from_names(text: str, expected: tuple[str, str]) -> None:
    assert name_and_unit(text) == expected


@pytest.mark.parametrize("text", ["", "NA", "n/a", "NaN", "null", "None", "-", "?"])
def test_missing_values(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.csv").write_text(f"a,b\n1,{text}\n3,4\n")
    values = read_table(tmp_path / "x.csv").values(["a", "b"])
    np.testing.assert_array_equal(values, [[1, np.nan], [3, 4]])


@pytest.mark.parametrize("head", ["t [°C];p\n", "", "\n\n", '"t, inside";p\n'])
def test_decimal_commas_are_read_between_semicolons(tmp_path: Path, head: str) -> None:
    path = tmp_path / "x.csv"
    path.write_text(f"{head}60,6;100678,9\n-,5;1,2e-3\n7.5;\n8;+9,\n", encoding="utf-8")
    table = read_table(path)
    assert not table.texts
    values = table.values([*table.numbers])
    expected = [[60.6, 100678.9], [-0.5, 1.2e-3], [7.5, np.nan], [8, 9]]
    np.testing.assert_array_equal(values, np.array(expected, np.float32))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\tb\n60,6\t1,5\n", "column a: expected numbers, got '60,6' in row 0 (decimal commas"),
        ('a,b\n1,"60,6"\n', "got '60,6' in row 0 (decimal commas are read between semicolons"),
        ("a;b\n1,5;1.234,5\n2;3\n", "column b: expected numbers, got '1.234,5' in row 0. To"),
        ("a;b\n1,5;2,5\n2;x, 5\n", "column b: expected numbers, got 'x, 5' in row 1. To leave"),
    ],
)
def test_other_commas_are_no_numbers(tmp_path: Path, text: str, expected: str) -> None:
    (tmp_path / "x.csv").write_text(text)
    with pytest.raises(ImageError) as caught:
        read_table(tmp_path / "x.csv").refuse_texts()
    assert expected in str(caught.value)


@pytest.mark.parametrize(("encoding", "mark"), [("utf-8", ""), ("utf-8", "\ufeff"), ("cp1252", "")])
def test_encodings_of_spreadsheets(tmp_path: Path, encoding: str, mark: str) -> None:
    (tmp_path / "x.csv").write_bytes(f"{mark}t [°C];p\r\n1.5;2\r\n".encode(encoding))
    table = read_table(tmp_path / "x.csv")
    assert dict(table.units) == {"t": "°C"}
    np.testing.assert_array_equal(table.values(["t", "p"]), [[1.5, 2]])


def test_texts_come_back_as_they_were(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("id,v\n007,1\n20261129,2\n1e3,\n x1 ,4\n")
    table = read_table(tmp_path / "x.csv")
    assert table.texts == {"id": ["007", "20261129", "1e3", "x1"]}
    np.testing.assert_array_equal(table.values(["v"]), [[1], [2], [np.nan], [4]])


def test_empty_lines_between_rows_of_one_column_are_missing_values(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("\na\n1\n\n\n2\n\n\n")
    np.testing.assert_array_equal(
        read_table(tmp_path / "x.csv").values(["a"]), [[1], [np.nan], [np.nan], [2]]
    )
    (tmp_path / "y.csv").write_text("a,b\n1,2\n\n3,4\n")
    np.testing.assert_array_equal(read_table(tmp_path / "y.csv").values(["b"]), [[2], [4]])


def test_numbers_are_those_of_tables_not_of_python(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("a,b\n1_000,2\n")
    assert read_table(tmp_path / "x.csv").texts == {"a": ["1_000"]}


def test_parquet_is_read_like_csv(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    x = sensors(50)
    x[3, 1] = np.nan
    columns = {name: x[:, place] for place, name in enumerate(SENSORS)}
    more = {"on": pyarrow.array([True, False] * 25), "count": pyarrow.array([None, *range(49)])}
    table = pyarrow.table({**columns, **more, "site": ["a"] * 50})
    parquet.write_table(table, tmp_path / "x.parquet")
    write_csv(tmp_path / "x.csv", SENSORS, x)
    found, expected = read_table(tmp_path / "x.parquet"), read_table(tmp_path / "x.csv")
    np.testing.assert_array_equal(found.values(NAMES), expected.values(NAMES))
    assert dict(found.units) == dict(zip(NAMES[:3], UNITS, strict=False))
    np.testing.assert_array_equal(found.numbers["on"][:2], [1, 0])
    assert np.isnan(found.numbers["count"][0])
    assert list(found.texts) == ["site"]
    (tmp_path / "y.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(ImageError, match=r"y\.parquet: expected a \.parquet file, got another"):
        read_table(tmp_path / "y.parquet")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"", "x.csv is empty: expected rows of numbers"),
        (b"\n\n", "x.csv is empty: expected rows of numbers"),
        (b"a,b\n", "x.csv has names of columns and no rows"),
        (b"a,b\n1,2\n3\n", "x.csv: row 1: expected 2 values, as in the first row, got 1"),
        (b"a,a\n1,2\n", "x.csv: expected columns of different names, got a twice"),
        (b"a [m],a [s]\n1,2\n", "x.csv: expected columns of different names, got a twice"),
        (b"PK\0\1", "x.csv: expected a table as text, got other bytes"),
    ],
)
def test_refused_files(tmp_path: Path, text: bytes, expected: str) -> None:
    (tmp_path / "x.csv").write_bytes(text)
    with pytest.raises(ImageError) as caught:
        read_table(tmp_path / "x.csv")
    assert expected in str(caught.value)


def test_columns_that_do_not_fit_are_named(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text('t,"a,b",site\n1,2,3\n2,3,north\n')
    table = read_table(tmp_path / "x.csv")
    assert table.texts["site"] == ["3", "north"]
    with pytest.raises(ImageError) as caught:
        table.refuse_texts()
    assert (
        "column site: expected numbers, got 'north' in row 1. To leave it out, name the others: "
        "--columns 't,\"a,b\"'"
    ) in str(caught.value)
    with pytest.raises(ImageError, match="expected the columns u, v, got the columns t, a,b"):
        table.values(["t", "u", "v"])
    with pytest.raises(ImageError, match="cannot read .*: No such file"):
        read_table(tmp_path / "y.csv")
