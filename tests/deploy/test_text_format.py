"""The text format, read by protobuf itself."""

from __future__ import annotations

import pytest
from google.protobuf import text_format
from hypothesis import given
from hypothesis import strategies as st
from tritonclient.grpc import model_config_pb2 as proto

from aeonnx.deploy.text_format import Message, Word, text_of


def parsed(message: Message) -> proto.ModelConfig:
    return text_format.Parse(text_of(message), proto.ModelConfig())


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_is_read_as_it_was(text: str) -> None:
    written = text_of(
        {"name": text, "parameters": [{"key": text, "value": {"string_value": text}}]}
    )
    assert written.isascii()
    config = text_format.Parse(written, proto.ModelConfig())
    assert config.name == text
    assert config.parameters[text].string_value == text


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ('a"b\\c', 'name: "a\\042b\\134c"\n'),
        ("a\nname: b", 'name: "a\\012name: b"\n'),
        ("é", 'name: "\\303\\251"\n'),
    ],
)
def test_quotes_backslashes_lines_and_accents_are_octal(text: str, written: str) -> None:
    assert text_of({"name": text}) == written


@given(st.lists(st.integers(-1, 2**63 - 1)))
def test_numbers(dims: list[int]) -> None:
    config = parsed({"input": [{"name": "x", "dims": dims, "data_type": Word("TYPE_FP32")}]})
    (tensor,) = config.input
    assert list(tensor.dims) == dims
    assert tensor.data_type == proto.TYPE_FP32


def test_flags_empty_lists_and_messages() -> None:
    config = parsed(
        {
            "input": [{"reshape": {"shape": []}, "optional": True}, {"optional": False}],
            "dynamic_batching": {},
        }
    )
    assert config.input[0].HasField("reshape")
    assert [item.optional for item in config.input] == [True, False]
    assert config.HasField("dynamic_batching")
    assert not config.input[1].HasField("reshape")
