"""The stored graphs of the tools are what onnx writes for their texts."""

from __future__ import annotations

import numpy as np
import onnxruntime as ort
import pytest
from onnx import checker, load_model_from_string, parser

from aeonnx.tools import graphs

STORED = {name: getattr(graphs, name) for name in graphs.__all__ if name.isupper()}


@pytest.mark.parametrize("name", STORED)
def test_the_bytes_are_those_of_the_text(name: str) -> None:
    model = parser.parse_model(STORED[name].text)
    checker.check_model(model, full_check=True)
    data = model.SerializeToString(deterministic=True)
    assert load_model_from_string(STORED[name].data) == model, f"onnx writes {data.hex()}"


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_the_product_is_a_product(dtype: type[np.generic]) -> None:
    graph = graphs.MATMUL if dtype is np.float32 else graphs.MATMUL_FLOAT16
    session = ort.InferenceSession(graph.data, providers=["CPUExecutionProvider"])
    a, b = np.ones((2, 3), dtype), np.full((3, 4), 2, dtype)
    (c,) = session.run(["c"], {"a": a, "b": b})
    assert c.dtype == dtype
    np.testing.assert_array_equal(c, np.full((2, 4), 6))
