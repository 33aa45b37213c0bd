"""Requests and responses of the Open Inference Protocol: bytes to arrays and back."""

from __future__ import annotations

import json
import tracemalloc
from functools import reduce
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from aeonnx.bundle import TensorSpec
from aeonnx.errors import RequestError
from aeonnx.serving.protocol import DATATYPES, parse, render
from tests.serving.damage import damaged

X = TensorSpec("x", ("batch", 2, 3))
ANY = TensorSpec("x", ("batch", 3, "height", "width"))
LABEL = TensorSpec("label", ("batch",), "int64", kind="label")
OUT = (TensorSpec("y", ("batch", 4)), TensorSpec("map", ("batch", "height")))


def request(*inputs: dict[str, Any], **more: Any) -> bytes:
    return json.dumps({"inputs": [*inputs], **more}).encode()


def entry(name: str = "x", shape: Any = (1, 2, 3), datatype: Any = "FP32", **more: Any) -> Any:
    return {"name": name, "shape": [*shape], "datatype": datatype, **more}


@st.composite
def tensors(draw: st.DrawFn) -> np.ndarray:
    dtype = draw(st.sampled_from([*DATATYPES]))
    shape = draw(hnp.array_shapes(min_dims=1, max_dims=4, max_side=4))
    return draw(hnp.arrays(dtype, shape))


@given(tensors(), st.booleans(), st.booleans())
def test_a_tensor_arrives_as_it_was_sent(value: np.ndarray, binary: bool, answer: bool) -> None:
    """By either form, in both directions, to the bit; JSON has no NaN and no FP16."""
    spec = TensorSpec("x", ("batch", *value.shape[1:]), str(value.dtype))
    plain = spec.dtype != "float16" and bool(np.isfinite(value).all())
    if not plain and not binary:
        return
    blob = value.tobytes()
    sent: dict[str, Any] = entry(shape=value.shape, datatype=DATATYPES[spec.dtype])
    sent |= {"parameters": {"binary_data_size": len(blob)}} if binary else {"data": value.tolist()}
    head = request(sent, parameters={"binary_data_output": answer})
    if spec.dtype == "float16" and not answer:
        with pytest.raises(RequestError, match="x: FP16 has no JSON form: ask for binary_data"):
            parse(head + blob, str(len(head)), [spec], [spec])
        return
    call = parse(head + blob, str(len(head)), [spec], [spec]) if binary else None
    call = call or parse(head, None, [spec], [spec])
    assert call.inputs["x"].dtype == value.dtype
    assert call.inputs["x"].tobytes() == blob
    found = render("m", "32", call, {"x": value})
    (output,) = json.loads(found.parts[0])["outputs"]
    assert (output["name"], output["shape"]) == ("x", [*value.shape])
    if answer:
        assert output["parameters"] == {"binary_data_size": len(blob)}
        assert found.parts[1] == blob
        assert found.header_length == len(found.parts[0])
    else:
        assert found.header_length is None
        if plain:
            assert np.array(output["data"], value.dtype).tobytes() == blob


def test_nested_and_flat_data_are_the_same() -> None:
    nested = parse(request(entry(data=[[[1, 2, 3], [4, 5, 6]]])), None, [X], OUT)
    flat = parse(request(entry(data=[1, 2, 3, 4, 5, 6])), None, [X], OUT)
    np.testing.assert_array_equal(nested.inputs["x"], flat.inputs["x"])
    assert nested.inputs["x"].shape == (1, 2, 3)


def test_a_request_without_json_is_rows_of_the_only_input() -> None:
    value = np.arange(12, dtype=np.float32).reshape(2, 2, 3)
    call = parse(value.tobytes(), "0", [X], OUT)
    np.testing.assert_array_equal(call.inputs["x"], value)
    assert call.outputs == (("y", True), ("map", True))


def test_outputs_are_chosen_by_name_and_form() -> None:
    def wanted(**more: Any) -> tuple[tuple[str, bool], ...]:
        return parse(request(entry(data=[0] * 6), **more), None, [X], OUT).outputs

    binary = {"parameters": {"binary_data": True}}
    assert wanted() == (("y", False), ("map", False))
    assert wanted(outputs=[]) == (("y", False), ("map", False))
    assert wanted(parameters={"binary_data_output": True}) == (("y", True), ("map", True))
    assert wanted(outputs=[{"name": "map"}]) == (("map", False),)
    assert wanted(outputs=[{"name": "map", **binary}, {"name": "y"}]) == (
        ("map", True),
        ("y", False),
    )
    json_map = {"name": "map", "parameters": {"binary_data": False}}
    assert wanted(outputs=[json_map, {"name": "y"}], parameters={"binary_data_output": True}) == (
        ("map", False),
        ("y", True),
    )


def test_id_and_timeout_are_read() -> None:
    call = parse(
        request(entry(data=[0] * 6), id="a7", parameters={"timeout": 1500}), None, [X], OUT
    )
    assert (call.id, call.timeout) == ("a7", 0.0015)


GOOD = entry(data=[0] * 6)
DEEP = reduce(lambda inner, _: [inner], range(500), 1)
"""Deeper than what orjson writes: it reads 1024 levels."""
WRONG: dict[str, tuple[bytes, str]] = {
    "no JSON": (b"{", "the request is not JSON: "),
    "a list": (b"[]", "the request: expected a JSON object, got []"),
    "nothing": (b"", "the request is not JSON: "),
    "deep": (b'{"inputs":' + b"[" * 5000 + b"]" * 5000 + b"}", "the request is not JSON: "),
    "NaN": (request(entry(data=[float("nan")] * 6)), "the request is not JSON: "),
    "no inputs": (b"{}", "inputs: expected a JSON list, got nothing"),
    "empty": (request(), "expected inputs x: x missing"),
    "unknown": (request(GOOD | {"name": "z"}), 'inputs[0]: expected a name, one of x, got "z"'),
    "nameless": (request({}), "inputs[0]: expected a name, one of x, got nothing"),
    "twice": (request(GOOD, GOOD), "x: expected one tensor of this name, got two"),
    "a number": (b'{"inputs":[3]}', "inputs[0]: expected a JSON object, got 3"),
    "dtype": (request(GOOD | {"datatype": "FP64"}), 'x: expected datatype FP32, got "FP64"'),
    "dtype list": (request(GOOD | {"datatype": [1]}), "x: expected datatype FP32, got [1]"),
    "rank": (
        request(GOOD | {"shape": [6]}),
        "x: expected shape [-1, 2, 3], where -1 is any size above 0, got [6]",
    ),
    "size": (
        request(GOOD | {"shape": [1, 3, 2]}),
        "x: expected shape [-1, 2, 3], where -1 is any size above 0, got [1,3,2]",
    ),
    "zero": (request(GOOD | {"shape": [0, 2, 3]}), "x: expected shape [-1, 2, 3]"),
    "negative": (request(GOOD | {"shape": [-1, 2, 3]}), "x: expected shape [-1, 2, 3]"),
    "a true size": (request(GOOD | {"shape": [True, 2, 3]}), "x: expected shape [-1, 2, 3]"),
    "a float size": (request(GOOD | {"shape": [1.0, 2, 3]}), "x: expected shape [-1, 2, 3]"),
    "a huge size": (request(GOOD | {"shape": [2**40, 2, 3]}), "x: expected shape [-1, 2, 3]"),
    "no shape": (request({"name": "x", "datatype": "FP32"}), "x: expected shape [-1, 2, 3]"),
    "no data": (request(entry()), "x: expected data of 6 numbers, flat or [1, 2, 3], got nothing"),
    "a deep shape": (
        request(GOOD | {"shape": DEEP}),
        'x: expected shape [-1, 2, 3], where -1 is any size above 0, got [[["..."]]]',
    ),
    "a deep name": (request({"name": {"a": DEEP}}), "inputs[0]: expected a name, one of x, got"),
    "deep data": (request(entry(data=DEEP)), "x: expected data of 6 numbers, flat or [1, 2, 3], g"),
    "few": (request(entry(data=[1])), "x: expected data of 6 numbers, flat or [1, 2, 3], got [1]"),
    "ragged": (
        request(entry(data=[[1], [1, 2]])),
        "x: expected data of 6 numbers, flat or [1, 2, 3], got lists of several lengths",
    ),
    "otherwise nested": (
        request(entry(data=[[1, 2], [3, 4], [5, 6]])),
        "x: expected data of 6 numbers, flat or [1, 2, 3], got [3, 2]",
    ),
    "texts": (request(entry(data=["1"] * 6)), "x: expected numbers for FP32"),
    "nulls": (request(entry(data=[None] * 6)), "x: expected numbers for FP32"),
    "objects": (request(entry(data=[{}] * 6)), "x: expected numbers for FP32"),
    "both": (
        request(GOOD | {"parameters": {"binary_data_size": 24}}),
        "x: expected data or binary_data_size, got both",
    ),
    "short": (
        request(entry(parameters={"binary_data_size": 24})),
        "x: expected 24 bytes of binary data, got 0: the body is too short",
    ),
    "another size": (
        request(entry(parameters={"binary_data_size": 20})),
        "x: expected binary_data_size 24 for FP32 [1, 2, 3], got 20",
    ),
    "a negative size": (
        request(entry(parameters={"binary_data_size": -24})),
        "x: expected binary_data_size 24 for FP32 [1, 2, 3], got -24",
    ),
    "a true number": (
        request(entry(parameters={"binary_data_size": True})),
        "x: expected binary_data_size 24 for FP32 [1, 2, 3], got true",
    ),
    "parameters": (request(GOOD, parameters=3), "parameters: expected a JSON object, got 3"),
    "reserved": (
        request(GOOD, parameters={"triton_x": 1}),
        "parameters: 'triton_x' is reserved: leave it out",
    ),
    "an id": (request(GOOD, id=3), "id: expected a text of at most 1000 characters, got 3"),
    "a long id": (request(GOOD, id="a" * 1001), "id: expected a text of at most 1000 characters"),
    "timeout": (
        request(GOOD, parameters={"timeout": -1}),
        "timeout: expected microseconds, got -1",
    ),
    "flag": (
        request(GOOD, parameters={"binary_data_output": 1}),
        "binary_data_output: expected true or false, got 1",
    ),
    "an output": (
        request(GOOD, outputs=[{"name": "q"}]),
        'outputs[0]: expected a name, one of y, map, got "q"',
    ),
    "outputs": (request(GOOD, outputs="y"), 'outputs: expected a JSON list, got "y"'),
    "an output twice": (
        request(GOOD, outputs=[{"name": "y"}, {"name": "y"}]),
        "outputs: expected y once, got it twice",
    ),
    "shared memory": (
        request(GOOD | {"parameters": {"shared_memory_region": "r"}}),
        "x: shared_memory_region is not offered: leave it out",
    ),
    "shared memory for an output": (
        request(GOOD, outputs=[{"name": "y", "parameters": {"shared_memory_region": "r"}}]),
        "y: shared_memory_region is not offered: leave it out",
    ),
    "classes": (
        request(GOOD, outputs=[{"name": "y", "parameters": {"classification": 3}}]),
        "y: classification is not offered: leave it out",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_requests_are_refused_in_words(case: str) -> None:
    body, text = WRONG[case]
    with pytest.raises(RequestError) as error:
        parse(body, None, [X], OUT)
    assert error.value.status == 400
    assert str(error.value)[: len(text)] == text


@pytest.mark.parametrize(
    ("header", "text"),
    [
        ("x", "Inference-Header-Content-Length: expected a whole number, got 'x'"),
        ("-1", "Inference-Header-Content-Length: expected a whole number, got '-1'"),
        ("1e3", "Inference-Header-Content-Length: expected a whole number, got '1e3'"),
        ("٣", "Inference-Header-Content-Length: expected a whole number, got '٣'"),
        ("9" * 30, "Inference-Header-Content-Length: expected a whole number, got"),
        ("9999", "Inference-Header-Content-Length: expected at most "),
        ("10", "the request is not JSON: "),
    ],
)
def test_wrong_lengths_of_the_header_are_refused(header: str, text: str) -> None:
    with pytest.raises(RequestError) as error:
        parse(request(GOOD), header, [X], OUT)
    assert str(error.value)[: len(text)] == text


def test_bytes_behind_the_last_input_are_refused() -> None:
    head = request(GOOD)
    with pytest.raises(RequestError, match="expected no bytes after the last input, got 3"):
        parse(head + b"abc", str(len(head)), [X], OUT)


def test_whole_numbers_are_not_rounded_or_wrapped() -> None:
    sent = entry("label", (2,), "INT64")
    assert parse(request(sent | {"data": [1, 2]}), None, [LABEL], OUT).inputs["label"].tolist() == [
        1,
        2,
    ]
    for data, text in (
        ([1.5, 2], "label: expected whole numbers for INT64"),
        ([True, False], "label: expected whole numbers for INT64"),
        ([2**63] * 2, "label: expected numbers from -9223372036854775808 to 9223372036854775807"),
    ):
        with pytest.raises(RequestError, match=text):
            parse(request(sent | {"data": data}), None, [LABEL], OUT)


def test_booleans_are_0_or_1() -> None:
    mask = TensorSpec("mask", ("batch",), "bool")
    head = request(entry("mask", (2,), "BOOL", parameters={"binary_data_size": 2}))
    found = parse(head + b"\0\1", str(len(head)), [mask], OUT).inputs["mask"]
    assert found.tolist() == [False, True]
    with pytest.raises(RequestError, match="mask: expected bytes of 0 or 1 for BOOL, got others"):
        parse(head + b"\0\2", str(len(head)), [mask], OUT)


def test_a_request_without_json_needs_one_input_of_one_size() -> None:
    for specs in ([X, LABEL], [ANY]):
        with pytest.raises(RequestError, match="a request without JSON fits models of one input"):
            parse(bytes(24), "0", specs, OUT)
    for size in (0, 23, 25):
        with pytest.raises(RequestError, match=f"x: expected a multiple of 24 bytes, .* {size}$"):
            parse(bytes(size), "0", [X], OUT)


@pytest.mark.parametrize("text", ["a" * 10**5, ["a" * 10**5]])
def test_a_long_text_among_numbers_needs_no_memory(text: Any) -> None:
    """numpy alone would make each number a text of this length: 2 GB here."""
    sent = request(entry(data=[text] + [0] * 5000))
    tracemalloc.start()
    with pytest.raises(RequestError, match="x: expected "):
        parse(sent, None, [X], OUT)
    assert tracemalloc.get_traced_memory()[1] < 10**7
    tracemalloc.stop()


@settings(max_examples=1000)
@given(st.data())
def test_a_mutated_request_is_answered_or_refused(data: st.DataObject) -> None:
    value = np.arange(12, dtype=np.float32)
    head = request(
        entry(shape=(2, 2, 3), parameters={"binary_data_size": 48}),
        id="a",
        outputs=[{"name": "y", "parameters": {"binary_data": True}}],
        parameters={"timeout": 5},
    )
    drawn = data.draw(st.randoms(use_true_random=False))
    body = damaged(head + value.tobytes(), drawn)
    length = data.draw(st.sampled_from([str(len(head)), None, "0", str(len(body)), "7"]))
    call, refused = None, None
    try:
        call = parse(body, length, [X], OUT)
    except RequestError as error:
        refused = error
    if call is None:
        assert refused
        assert refused.status == 400
        assert len(str(refused)) < 1000
    else:
        assert call.inputs["x"].shape[1:] == (2, 3)
        assert call.inputs["x"].dtype == np.float32
