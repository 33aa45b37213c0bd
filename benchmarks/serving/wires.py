"""What goes over the wire: the same rows in the form that each server takes."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.message import Message

import numpy as np

from serving.target import Array, Target

__all__ = ["Call", "Wire", "binary", "lists", "plain"]

_LENGTH = "Inference-Header-Content-Length"


@dataclass(frozen=True)
class Call:
    """A POST.

    Args:
        path: of the URL.
        body: bytes.
        headers: all but the usual ones.
    """

    path: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)

    def raw(self) -> bytes:
        """The bytes of the request."""
        lines = [f"POST {self.path} HTTP/1.1", "Host: 127.0.0.1"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        lines += [f"Content-Length: {len(self.body)}", "", ""]
        return "\r\n".join(lines).encode() + self.body


@dataclass(frozen=True)
class Wire:
    """A way to ask.

    Args:
        call: of rows.
        values: of the first output in an answer, from its body and headers.
    """

    call: Callable[[Array], Call]
    values: Callable[[bytes, Message], Array]


def plain() -> Wire:
    """One row as a list, as handlers take it that one writes oneself."""

    def call(rows: Array) -> Call:
        body = json.dumps({"row": rows.ravel().tolist()}).encode()
        return Call("/predict", body, {"Content-Type": "application/json"})

    return Wire(call, lambda body, _: np.array(json.loads(body)["row"], np.float32))


def lists(target: Target, model: str) -> Wire:
    """The Open Inference Protocol in JSON."""

    def call(rows: Array) -> Call:
        tensor = {**_tensor(target, rows), "data": rows.ravel().tolist()}
        body = json.dumps({"inputs": [tensor]}).encode()
        return Call(f"/v2/models/{model}/infer", body, {"Content-Type": "application/json"})

    def values(body: bytes, _: Message) -> Array:
        return np.array(json.loads(body)["outputs"][0]["data"], np.float32)

    return Wire(call, values)


def binary(target: Target, model: str) -> Wire:
    """The Open Inference Protocol with binary tensors both ways."""

    def call(rows: Array) -> Call:
        tensor = {**_tensor(target, rows), "parameters": {"binary_data_size": rows.nbytes}}
        head = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
        headers = {"Content-Type": "application/octet-stream", _LENGTH: str(len(head))}
        return Call(f"/v2/models/{model}/infer", head + rows.tobytes(), headers)

    def values(body: bytes, headers: Message) -> Array:
        return np.frombuffer(body[int(headers[_LENGTH]) :], np.float32)

    return Wire(call, values)


def _tensor(target: Target, rows: Array) -> dict[str, object]:
    return {"name": target.input, "datatype": "FP32", "shape": list(rows.shape)}
