"""Checkpoints and saved states that mean harm: one function per form, each on a copy of a good one.

Unlike damage by accident, which its digest shows, each names the digests of what is there.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import struct
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load, load_file, save

from tests.support import weights_file

__all__ = ["BARE", "CHECKPOINTS"]

Form = Callable[[Path], None]
"""Changes the folder of a run, or writes a file of weights."""

Header = dict[str, Any]


def edit_config(run: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change config.json."""
    path = run / "config.json"
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def name_weights(run: Path, data: bytes, what: str = "weights") -> None:
    """Put `data` in the place of the weights, with a config.json that names it."""
    digest = hashlib.sha256(data).hexdigest()
    stem = {"weights": "model", "examples": "examples"}[what]
    name = f"{stem}.{digest[:12]}.safetensors"
    (run / name).write_bytes(data)
    named = {"file": name, "sha256": digest, "bytes": len(data)}
    edit_config(run, lambda document: document.update({what: named}))


def split(data: bytes) -> tuple[Header, bytes]:
    """Header and numbers of a safetensors file."""
    (length,) = struct.unpack("<Q", data[:8])
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def joined(header: Any, numbers: bytes) -> bytes:
    """The opposite."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + numbers


def of_bytes(make: Callable[[bytes], bytes]) -> Form:
    """A form that changes the bytes of the weights."""
    return lambda run: name_weights(run, make(weights_file(run).read_bytes()))


def of_header(change: Callable[[Header], object]) -> Form:
    """A form that changes the header of the weights."""

    def make(data: bytes) -> bytes:
        header, numbers = split(data)
        change(header)
        return joined(header, numbers)

    return of_bytes(make)


def of_config(change: Callable[[dict[str, Any]], object]) -> Form:
    """A form that changes config.json."""
    return lambda run: edit_config(run, change)


def of_text(old: str, new: str) -> Form:
    """A form whose config.json has another text in some place."""

    def apply(run: Path) -> None:
        path = run / "config.json"
        path.write_text(re.sub(old, new, path.read_text(), count=1))

    return apply


def of_model(**fields: Any) -> Form:
    """A form whose model is configured otherwise."""
    return of_config(lambda document: document["model"].update(fields))


def of_training(**fields: Any) -> Form:
    """A form whose training record has other values."""
    return of_config(lambda document: document["training"].update(fields))


def of_tensors(change: Callable[[dict[str, torch.Tensor]], object]) -> Form:
    """A form with other tensors, in a whole file."""

    def make(data: bytes) -> bytes:
        tensors = load(data)
        change(tensors)
        return save(tensors)

    return of_bytes(make)


def of_examples(change: Callable[[dict[str, torch.Tensor]], object]) -> Form:
    """A form with other images."""

    def apply(run: Path) -> None:
        named = json.loads((run / "config.json").read_text())["examples"]["file"]
        tensors = load_file(run / named)
        change(tensors)
        name_weights(run, save(tensors), "examples")

    return apply


def instead(name: str, make: Callable[[Path], object]) -> Form:
    """A form with something else in the place of a file: "weights", "examples" or a name."""

    def apply(run: Path) -> None:
        document = json.loads((run / "config.json").read_text())
        path = run / (document[name]["file"] if name in document else name)
        path.unlink()
        make(path)

    return apply


def _first(tensors: dict[str, Any]) -> str:
    return sorted(tensors)[0]


def _scaled(factor: float) -> Callable[[dict[str, torch.Tensor]], None]:
    def change(tensors: dict[str, torch.Tensor]) -> None:
        for value in tensors.values():
            value.copy_(torch.sign(value) * factor)

    return change


def _cast(dtype: torch.dtype) -> Callable[[dict[str, torch.Tensor]], None]:
    def change(tensors: dict[str, torch.Tensor]) -> None:
        tensors.update({name: value.to(dtype) for name, value in tensors.items()})

    return change


def _overlapping(header: Header) -> None:
    places = [header[name] for name in sorted(header) if name != "__metadata__"]
    same = [item for item in places if item["shape"] == places[0]["shape"]]
    for item in same:
        item["data_offsets"] = places[0]["data_offsets"]


def _renamed(tensors: dict[str, torch.Tensor]) -> None:
    tensors["\x1b[31mred" + "x" * 5000] = tensors.pop(_first(tensors))


def _without_shape(header: Header) -> None:
    del header[_first(header)]["shape"]


def _field(name: str, value: Any) -> Callable[[Header], None]:
    return lambda header: header[_first(header)].update({name: value})


CHECKPOINTS: dict[str, tuple[Form, str]] = {
    "empty weights": (of_bytes(lambda _: b""), "it has 0 bytes"),
    "cut weights": (of_bytes(lambda data: data[:-100]), "its tensors have"),
    "weights cut in the header": (of_bytes(lambda data: data[:40]), "its header says that it has"),
    "seven bytes": (of_bytes(lambda data: data[:7]), "it has 7 bytes"),
    "more after the end": (of_bytes(lambda data: data + b"more"), "its tensors have"),
    "a header of 2**63 bytes": (
        of_bytes(lambda data: struct.pack("<Q", 2**63) + data[8:]),
        "its header says that it has 9,223,372,036,854,775,808 bytes",
    ),
    "a header that is no JSON": (of_bytes(lambda _: joined(b"{nonsense", b"")), "is not JSON"),
    "a header that is no UTF-8": (of_bytes(lambda _: joined(b'{"\xff": 1}', b"")), "is not JSON"),
    "a deep header": (of_bytes(lambda _: joined(b'{"a":' * 90_000, b"")), "is not JSON"),
    "a header that is a list": (
        of_bytes(lambda _: joined([], b"")),
        "its header is not a JSON object",
    ),
    "a name twice": (
        of_bytes(lambda _: joined(b'{"a": 1, "a": 2}', b"")),
        "a name appears twice",
    ),
    "no tensors": (of_bytes(lambda _: joined({}, b"")), "asks for more than its 0 arrays"),
    "overlapping tensors": (of_header(_overlapping), "its tensors overlap or leave a gap"),
    "an unknown dtype": (of_header(_field("dtype", "F8_E5M2")), "unknown type F8_E5M2"),
    "a dtype that is a number": (of_header(_field("dtype", 7)), "unknown type 7"),
    "a negative shape": (of_header(_field("shape", [-1, 20])), "shape: expected whole numbers"),
    "a shape of 2**63": (of_header(_field("shape", [2**63])), "shape: expected whole numbers"),
    "a huge shape": (of_header(_field("shape", [2**50, 2])), "its shape needs"),
    "a shape of texts": (of_header(_field("shape", ["4"])), "shape: expected whole numbers"),
    "a shape of truths": (of_header(_field("shape", [True])), "shape: expected whole numbers"),
    "no shape": (of_header(_without_shape), "expected dtype, shape and data_offsets"),
    "one offset": (of_header(_field("data_offsets", [0])), "its shape needs"),
    "offsets beyond the end": (
        of_header(_field("data_offsets", [2**40, 2**40 + 4])),
        "its shape needs",
    ),
    "bfloat16": (of_tensors(_cast(torch.bfloat16)), "expected torch.float32, got torch.bfloat16"),
    "float64": (of_tensors(_cast(torch.float64)), "expected torch.float32, got torch.float64"),
    "whole numbers": (of_tensors(_cast(torch.int32)), "expected torch.float32, got torch.int32"),
    "another name": (of_tensors(_renamed), "not in this model"),
    "NaN": (of_tensors(_scaled(float("nan"))), "NaN or infinite weights"),
    "1e38": (of_tensors(_scaled(1e38)), "outputs NaN or infinity"),
    "-3e19": (of_tensors(_scaled(-3e19)), "outputs NaN or infinity"),
    "images of another shape": (
        of_examples(lambda images: images.update(test=images["test"][:, :, :9].clone())),
        "examples: test: expected uint8 or float32 [n, 1, 28, 28], got uint8 [64, 1, 9, 28]",
    ),
    "no image": (
        of_examples(lambda images: images.update(test=images["test"][:0])),
        "examples: test: expected uint8 or float32 [n, 1, 28, 28], got uint8 [0, 1, 28, 28]",
    ),
    "images without batch": (
        of_examples(lambda images: images.update(test=images["test"][0])),
        "examples: test: expected uint8 or float32",
    ),
    "a number as images": (
        of_examples(lambda images: images.update(test=torch.ones(()))),
        "examples: test: expected uint8 or float32",
    ),
    "fewer noisy images": (
        of_examples(lambda images: images.update(noisy_test=images["test"][:3].clone())),
        "examples: noisy_test: expected uint8 or float32 [n, 1, 28, 28], got uint8 [3, 1, 28, 28]",
    ),
    "noisy images beside a number": (
        of_examples(lambda images: images.update(noisy_test=images["test"], test=torch.ones(()))),
        "expected uint8 or float32",
    ),
    "noisy images beyond the range": (
        of_examples(lambda images: images.update(noisy_test=images["test"].float())),
        "examples: noisy_test: expected values from 0 to 1",
    ),
    "images in bfloat16": (
        of_examples(_cast(torch.bfloat16)),
        "examples: test: expected uint8 or float32",
    ),
    "images out of range": (
        of_examples(lambda images: images.update(test=images["test"].float())),
        "examples: test: expected values from 0 to 1",
    ),
    "images that are no number": (
        of_examples(lambda images: images.update(train=images["train"].float() * torch.nan)),
        "examples: train: expected values from 0 to 1",
    ),
    "other examples": (
        of_examples(lambda images: images.update(more=images["test"].clone())),
        "expected images named test and train",
    ),
    "widths of 1e9": (of_model(hidden=[10**9, 10**9]), "the configuration asks for more than"),
    "widths of 1e30": (of_model(hidden=[10**30]), "the configuration asks for more than"),
    "a latent of 1e9": (of_model(latent_size=10**9), "the configuration asks for more than"),
    "100,000 layers": (of_model(hidden=[1] * 100_000), "the configuration asks for more than"),
    "widths of zero": (of_model(hidden=[0]), "expected sizes above 0"),
    "images of 1e9": (
        of_model(input_shape=[1, 10**9, 10**9]),
        "examples: test: expected uint8 or float32 [n, 1, 1000000000, 1000000000]",
    ),
    "negative images": (of_model(input_shape=[-1, -28, 28]), "expected sizes above 0"),
    "no such architecture": (of_model(arch="conw"), "arch: vae has no 'conw'"),
    "what steers a terminal": (of_model(arch="\x1b[2J"), "expected no control characters"),
    "convolutions": (of_model(arch="conv"), "does not fit vae (conv"),
    "no such model": (of_model(model="vea" * 999), "holds a checkpoint of 'veavea"),
    "classes without need": (of_model(classes=["a", "b"]), "does not fit vae (mlp"),
    "a text of 100 MB": (of_training(data="x" * 100_000_000), "at most 1,048,576 are read"),
    "infinite numbers": (
        of_text(r'"lr": [\d.]+', '"lr": 1e999'),
        "training.lr: expected a finite number",
    ),
    "a float of 401 digits": (of_text(r'"lr": [\d.]+', f'"lr": {10**400}'), "training.lr"),
    "a number of 5,000 digits": (of_text(r'"lr": [\d.]+', f'"lr": {"9" * 5000}'), "not JSON"),
    "a deep config": (of_text(r"\{", '{"a":' * 90_000), "not JSON"),
    "weights elsewhere": (
        of_config(lambda document: document["weights"].update(file="../../etc/passwd")),
        "file: expected a plain name",
    ),
    "weights called ..": (
        of_config(lambda document: document["weights"].update(file="..")),
        "config.json",
    ),
    "weights of no name": (
        of_config(lambda document: document["weights"].update(file="")),
        "file: expected a plain name",
    ),
    "weights of -1 bytes": (
        of_config(lambda document: document["weights"].update(bytes=-1)),
        "bytes: got -1",
    ),
    "weights of 1e18 bytes": (
        of_config(lambda document: document["weights"].update(bytes=10**18)),
        "bytes: got 1000000000000000000",
    ),
    "a FIFO as config.json": (instead("config.json", os.mkfifo), "it is a FIFO"),
    "a folder as config.json": (instead("config.json", os.mkdir), "it is a folder"),
    "a FIFO as weights": (instead("weights", os.mkfifo), "it is a FIFO"),
    "/dev/zero as weights": (
        instead("weights", lambda path: path.symlink_to("/dev/zero")),
        "it is a device",
    ),
    "/dev/zero as examples": (
        instead("examples", lambda path: path.symlink_to("/dev/zero")),
        "it is a device",
    ),
    "/dev/zero as config.json": (
        instead("config.json", lambda path: path.symlink_to("/dev/zero")),
        "it is a device",
    ),
    "a link to itself": (
        instead("config.json", lambda path: path.symlink_to(path)),
        "symbolic links",
    ),
}
"""By what is wrong: the form, and what is said of it."""


def _pickled(make: Callable[[dict[str, torch.Tensor]], object]) -> Callable[[Path, Path], None]:
    def write(run: Path, path: Path) -> None:
        torch.save(make(load_file(weights_file(run))), path)

    return write


def _one(change: Callable[[torch.Tensor], Any]) -> Callable[[Path, Path], None]:
    """A state_dict whose first tensor is something else."""
    return _pickled(lambda tensors: {**tensors, _first(tensors): change(tensors[_first(tensors)])})


def _quantized(value: torch.Tensor) -> torch.Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch says that these will go
        return torch.quantize_per_tensor(value, 0.1, 0, torch.qint8)


def _in_rows(value: torch.Tensor) -> torch.Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch says that these are new
        return value.reshape(1, -1).to_sparse_csr()


def _nothing(_: Path, path: Path) -> None:
    path.write_bytes(b"")


def _cut(run: Path, path: Path) -> None:
    torch.save(load_file(weights_file(run)), path)
    path.write_bytes(path.read_bytes()[:-999])


def _deep(run: Path, path: Path) -> None:
    value: object = load_file(weights_file(run))
    for _ in range(200):
        value = {"state_dict": value}
    torch.save(value, path)


def _many(run: Path, path: Path) -> None:
    """One array under names enough for a slow search."""
    value = next(iter(load_file(weights_file(run)).values()))
    torch.save({f"{number}.encoder.body.0.weight": value for number in range(20_000)}, path)


BARE: dict[str, tuple[Callable[[Path, Path], None], str]] = {
    "sparse": (_one(torch.Tensor.to_sparse), "one with the layout torch.sparse_coo"),
    "sparse rows": (_one(_in_rows), "torch.sparse_csr"),
    "meta": (_one(lambda value: value.to("meta")), "one on the device meta"),
    "quantized": (_one(_quantized), "a quantized one"),
    "deep": (_deep, "holds a dict without a state_dict"),
    "many": (_many, "does not fit vae"),
    "complex": (_one(lambda v: v.to(torch.complex64)), "expected torch.float32, got"),
    "truths": (_one(torch.Tensor.bool), "expected torch.float32, got torch.bool"),
    "spread out": (
        _one(lambda _: torch.zeros(1).expand(2**20, 2**20)),
        "expected shape [400], got [1048576, 1048576]",
    ),
    "empty": (_one(lambda _: torch.zeros(0)), "expected shape [400], got [0]"),
    "a number": (_one(lambda _: torch.ones(())), "expected shape [400], got []"),
    "infinite": (_one(lambda value: value / 0), "NaN or infinite weights"),
    "no tensor": (_one(lambda _: 7), ": missing"),
    "no text as name": (_pickled(lambda tensors: {7: next(iter(tensors.values()))}), "without a"),
    "a list": (
        _pickled(lambda tensors: list(tensors.values())),
        "holds a list without a state_dict",
    ),
    "nothing": (_nothing, "cannot load"),
    "cut": (_cut, "cannot load"),
    "a FIFO": (lambda _, path: os.mkfifo(path), "it is a FIFO"),
    "/dev/zero": (lambda _, path: path.symlink_to("/dev/zero"), "it is a device"),
}
"""Files by torch.save that are no plain state_dict: (run, path) -> None, and what is said."""
