"""The Open Inference Protocol v2 with its binary tensor extension: bytes to arrays, and back.

Specification: the REST API of the Open Inference Protocol, and "Binary Tensor Data Extension" of
Triton Inference Server.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from aeonnx.bundle import TensorSpec
from aeonnx.errors import RequestError
from aeonnx.serving.lists import Ragged, WrongValues, array_of, loads, shown

__all__ = ["DATATYPES", "Answer", "Call", "parse", "render", "tensor_metadata"]

Array = npt.NDArray[Any]

DATATYPES: Mapping[str, str] = {
    "bool": "BOOL",
    "uint8": "UINT8",
    "int32": "INT32",
    "int64": "INT64",
    "float16": "FP16",
    "float32": "FP32",
    "float64": "FP64",
}
"""The protocol's names of numpy's dtypes."""

_DATATYPES = {np.dtype(name): datatype for name, datatype in DATATYPES.items()}
_NOT_OFFERED = {"classification", "shared_memory_region"}
"""Parameters of tensors, by which Triton's clients ask for extensions."""
_KINDS: Mapping[str, tuple[tuple[type, ...], str]] = {
    "f": ((float, int, bool), "numbers"),
    "i": ((int,), "whole numbers"),
    "u": ((int,), "whole numbers"),
    "b": ((bool,), "true and false"),
}
"""Values of JSON that a kind of dtype accepts: an integer for a float, but not the reverse."""


@dataclass(frozen=True, eq=False)
class Call:
    """An inference request.

    Args:
        inputs: by name, of the specs' dtypes.
        outputs: name of each output to return, and whether as binary data.
        id: to repeat in the answer; None for none.
        timeout: seconds that the client is ready to wait; None for the server's limit.
    """

    inputs: dict[str, Array]
    outputs: tuple[tuple[str, bool], ...]
    id: str | None
    timeout: float | None


@dataclass(frozen=True)
class Answer:
    """The body of a response.

    Args:
        parts: bytes, one after the other.
        header_length: length of the JSON in front of binary data; None if all is JSON.
    """

    parts: tuple[bytes, ...]
    header_length: int | None


def parse(
    body: bytes,
    header_length: str | None,
    inputs: Sequence[TensorSpec],
    outputs: Sequence[TensorSpec],
) -> Call:
    """Parse an inference request.

    Args:
        body: the JSON, and the binary tensors behind it.
        header_length: the header Inference-Header-Content-Length; None without.
        inputs: of the model.
        outputs: of the model.

    Raises:
        RequestError: the request does not follow the protocol, or does not fit the model.
    """
    length = _length(header_length, len(body))
    if length == 0:
        return _raw(body, inputs, outputs)
    document = _object("the request", _json(body[:length] if length is not None else body))
    left = memoryview(body)[length:] if length is not None else memoryview(b"")
    parameters = _object("parameters", document.get("parameters") or {})
    reserved = next((name for name in parameters if name.startswith("triton_")), None)
    if reserved:
        raise RequestError(400, f"parameters: {reserved!r} is reserved: leave it out")
    known = {spec.name: spec for spec in inputs}
    given: dict[str, Array] = {}
    for place, entry in enumerate(_list("inputs", document.get("inputs"))):
        entry = _object(f"inputs[{place}]", entry)
        name = _name(f"inputs[{place}]", entry, known)
        if name in given:
            raise RequestError(400, f"{name}: expected one tensor of this name, got two")
        given[name], left = _tensor(known[name], entry, left)
    if len(left):
        raise RequestError(
            400,
            f"expected no bytes after the last input, got {len(left)}: binary_data_size or the "
            "header Inference-Header-Content-Length is too small",
        )
    missing = [name for name in known if name not in given]
    if missing:
        raise RequestError(400, f"expected inputs {', '.join(known)}: {', '.join(missing)} missing")
    return Call(
        given,
        _wanted(document.get("outputs"), outputs, _flag(parameters, "binary_data_output")),
        _id(document),
        _timeout(parameters),
    )


def render(
    model: str,
    version: str,
    call: Call,
    found: Mapping[str, Array],
) -> Answer:
    """The response to a call.

    Args:
        model: name of the model.
        version: that ran.
        call: the request.
        found: all outputs of the model by name.
    """
    entries, blobs = [], []
    for name, binary in call.outputs:
        value = np.ascontiguousarray(found[name])
        entry: dict[str, Any] = {
            "name": name,
            "datatype": _DATATYPES[value.dtype],
            "shape": value.shape,
        }
        if binary:
            blob = value.tobytes()
            entry["parameters"] = {"binary_data_size": len(blob)}
            blobs.append(blob)
        else:
            entry["data"] = value.reshape(-1)
        entries.append(entry)
    head: dict[str, Any] = {"model_name": model, "model_version": version, "outputs": entries}
    if call.id is not None:
        head["id"] = call.id
    header = orjson.dumps(head, option=orjson.OPT_SERIALIZE_NUMPY)
    return Answer((header, *blobs), len(header) if blobs else None)


def tensor_metadata(spec: TensorSpec) -> dict[str, Any]:
    """A tensor in the metadata of a model; -1 stands for a size that may vary."""
    shape = [size if isinstance(size, int) else -1 for size in spec.shape]
    return {"name": spec.name, "datatype": DATATYPES[spec.dtype], "shape": shape}


def _length(header: str | None, whole: int) -> int | None:
    if header is None:
        return None
    if not (header.isascii() and header.isdecimal() and len(header) < 20):
        raise RequestError(
            400, f"Inference-Header-Content-Length: expected a whole number, got {header[:40]!r}"
        )
    if int(header) > whole:
        raise RequestError(
            400,
            f"Inference-Header-Content-Length: expected at most {whole}, the length of the body, "
            f"got {header}",
        )
    return int(header)


def _json(text: bytes) -> Any:
    try:
        return loads(text)
    except orjson.JSONDecodeError as error:
        raise RequestError(
            400, f"the request is not JSON: it is wrong at byte {error.pos}"
        ) from None


def _raw(body: bytes, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec]) -> Call:
    """A request whose body is the only input, without JSON."""
    spec = inputs[0]
    if len(inputs) > 1 or any(isinstance(size, str) for size in spec.shape[1:]):
        raise RequestError(
            400,
            "a request without JSON fits models of one input of one size only: send the JSON "
            "header, and its length as Inference-Header-Content-Length",
        )
    dtype = np.dtype(spec.dtype)
    row = tuple(int(size) for size in spec.shape[1:])
    size = math.prod(row) * dtype.itemsize
    if not body or len(body) % size:
        raise RequestError(
            400,
            f"{spec.name}: expected a multiple of {size} bytes, the size of a row, got {len(body)}",
        )
    value = _boolean(spec, np.frombuffer(body, dtype.newbyteorder("<")).reshape(-1, *row))
    return Call({spec.name: value}, tuple((each.name, True) for each in outputs), None, None)


def _tensor(
    spec: TensorSpec, entry: Mapping[str, Any], left: memoryview
) -> tuple[Array, memoryview]:
    """The tensor of an entry of `inputs`, and the binary data behind it."""
    name, datatype = spec.name, DATATYPES[spec.dtype]
    if entry.get("datatype") != datatype:
        raise RequestError(
            400, f"{name}: expected datatype {datatype}, got {shown(entry.get('datatype'))}"
        )
    shape = _shape(spec, entry.get("shape"))
    parameters = _object(f"{name}: parameters", entry.get("parameters") or {})
    _refuse_extensions(name, parameters)
    size = parameters.get("binary_data_size")
    if size is None:
        return _from_json(spec, shape, entry.get("data")), left
    if "data" in entry:
        raise RequestError(400, f"{name}: expected data or binary_data_size, got both")
    dtype = np.dtype(spec.dtype).newbyteorder("<")
    expected = math.prod(shape) * dtype.itemsize
    if type(size) is not int or size != expected:
        raise RequestError(
            400,
            f"{name}: expected binary_data_size {expected} for {datatype} {list(shape)}, got "
            f"{shown(size)}",
        )
    if size > len(left):
        raise RequestError(
            400,
            f"{name}: expected {size} bytes of binary data, got {len(left)}: the body is too short",
        )
    return _boolean(spec, np.frombuffer(left[:size], dtype).reshape(shape)), left[size:]


def _boolean(spec: TensorSpec, value: Array) -> Array:
    """Refuse bytes that are no booleans: numpy and onnxruntime would each take them differently."""
    if spec.dtype == "bool" and (value.view(np.uint8) > 1).any():
        raise RequestError(400, f"{spec.name}: expected bytes of 0 or 1 for BOOL, got others")
    return value


def _shape(spec: TensorSpec, shape: Any) -> tuple[int, ...]:
    """The shape of an entry, which fits the model's: so its product is a size that is possible."""
    expected = [size if isinstance(size, int) else -1 for size in spec.shape]
    sizes = shape if isinstance(shape, list) else None
    if (
        sizes is None
        or len(sizes) != len(expected)
        or any(type(size) is not int or not 0 < size < 2**31 for size in sizes)
        or any(want not in (-1, size) for want, size in zip(expected, sizes, strict=True))
    ):
        raise RequestError(
            400,
            f"{spec.name}: expected shape {expected}, where -1 is any size above 0, got "
            f"{shown(shape)}",
        )
    return tuple(sizes)


def _from_json(spec: TensorSpec, shape: tuple[int, ...], data: Any) -> Array:
    expected = f"{spec.name}: expected data of {math.prod(shape)} numbers, flat or {list(shape)}"
    if spec.dtype == "float16":
        raise RequestError(400, f"{spec.name}: FP16 has no JSON form: send it as binary data")
    if not isinstance(data, list):
        raise RequestError(400, f"{expected}, got {shown(data)}")
    dtype = np.dtype(spec.dtype)
    kinds, named = _KINDS[dtype.kind]
    wide = {"f": np.float64, "b": np.bool_}.get(dtype.kind, np.int64)
    try:
        found = array_of(data, kinds, wide)
    except Ragged:
        raise RequestError(400, f"{expected}, got lists of several lengths") from None
    except WrongValues:
        raise RequestError(
            400, f"{spec.name}: expected {named} for {DATATYPES[spec.dtype]}"
        ) from None
    except OverflowError:
        raise RequestError(400, _limits(spec)) from None
    if found.size != math.prod(shape) or (found.ndim > 1 and found.shape != shape):
        raise RequestError(400, f"{expected}, got {list(found.shape)}")
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        if found.min() < limits.min or found.max() > limits.max:
            raise RequestError(400, _limits(spec))
    with np.errstate(over="ignore"):  # becomes infinite, which the check of values refuses
        return found.astype(dtype).reshape(shape)


def _limits(spec: TensorSpec) -> str:
    limits = np.iinfo(spec.dtype)
    return f"{spec.name}: expected numbers from {limits.min} to {limits.max}"


def _wanted(
    asked: Any, outputs: Sequence[TensorSpec], default: bool | None
) -> tuple[tuple[str, bool], ...]:
    """Name of each output to return, and whether as binary data."""
    known = {spec.name: spec for spec in outputs}
    found: dict[str, bool] = {}
    entries = _list("outputs", [] if asked is None else asked) or [{"name": name} for name in known]
    for place, entry in enumerate(entries):
        entry = _object(f"outputs[{place}]", entry)
        name = _name(f"outputs[{place}]", entry, known)
        if name in found:
            raise RequestError(400, f"outputs: expected {name} once, got it twice")
        parameters = _object(f"{name}: parameters", entry.get("parameters") or {})
        _refuse_extensions(name, parameters)
        own = _flag(parameters, "binary_data")
        found[name] = bool(default if own is None else own)
        if known[name].dtype == "float16" and not found[name]:
            raise RequestError(400, f"{name}: FP16 has no JSON form: ask for binary_data")
    return tuple(found.items())


def _refuse_extensions(name: str, parameters: Mapping[str, Any]) -> None:
    for other in sorted(_NOT_OFFERED & parameters.keys()):
        raise RequestError(400, f"{name}: {other} is not offered: leave it out")


def _name(where: str, entry: Mapping[str, Any], known: Mapping[str, TensorSpec]) -> str:
    name = entry.get("name")
    if not isinstance(name, str) or name not in known:
        raise RequestError(
            400, f"{where}: expected a name, one of {', '.join(known)}, got {shown(name)}"
        )
    return name


def _id(document: Mapping[str, Any]) -> str | None:
    found = document.get("id")
    if found is None or (isinstance(found, str) and len(found) <= 1000):
        return found or None
    raise RequestError(400, f"id: expected a text of at most 1000 characters, got {shown(found)}")


def _timeout(parameters: Mapping[str, Any]) -> float | None:
    """The parameter `timeout`, in microseconds."""
    found = parameters.get("timeout")
    if found is None or found == 0:
        return None
    if type(found) is not int or found < 0:
        raise RequestError(400, f"timeout: expected microseconds, got {shown(found)}")
    return found / 1e6


def _flag(parameters: Mapping[str, Any], name: str) -> bool | None:
    found = parameters.get(name)
    if found is None or isinstance(found, bool):
        return found
    raise RequestError(400, f"{name}: expected true or false, got {shown(found)}")


def _object(where: str, found: Any) -> dict[str, Any]:
    if isinstance(found, dict):
        return found
    raise RequestError(400, f"{where}: expected a JSON object, got {shown(found)}")


def _list(where: str, found: Any) -> list[Any]:
    if isinstance(found, list):
        return found
    raise RequestError(400, f"{where}: expected a JSON list, got {shown(found)}")
