"""Manifests with one value that is none of the format's: each is refused."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from typing import Any

__all__ = ["EDITS"]

Document = dict[str, Any]
Edit = Callable[[Document, random.Random], bytes]

_RAW = "RAW-VALUE"
_CONTROLS = ("\0", "a\0b", "\x1b[2J", "\x7f", "\x85", "\n", "\ud800")
_FILES = ("", ".", "..", "./a", "a/./b", "a//b", "a/", "../a", "a/../b", "/etc/passwd", "a\\b")
_NUMBERS = ("1e999", "-1e999", "1" + "0" * 400, "NaN", "Infinity", "true", "null", '"1"', "[]")
_NO_LISTS = ("1", "0.5", "null", '"1"', "true", "{}", '{"0": 1}', "[]", "[[1]]", "1e999")
_NO_FLAGS = ("0", "1", "null", '"true"', "[]", "[true]", "{}", "1e999")
_WHOLE = ("uint8", "int32", "int64", "bool")
_SIZES = ("0", "-1", "1.5", "9007199254740992", "18446744073709551616", '"rows"', *_NUMBERS)


def _with(
    change: Callable[[Document, random.Random], object],
    raw: Sequence[str] = (),
) -> Edit:
    """An edit; `RAW-VALUE` becomes one of the texts, which `json` would not write."""

    def edit(document: Document, rng: random.Random) -> bytes:
        change(document, rng)
        text = json.dumps(document)
        return text.replace(f'"{_RAW}"', rng.choice(raw) if raw else "").encode()

    return edit


def _variant(document: Document, rng: random.Random) -> Document:
    part = rng.choice(sorted(document["parts"]))
    found: Document = rng.choice(list(document["parts"][part].values()))
    return found


def _spec(document: Document, rng: random.Random) -> Document:
    found: Document = rng.choice(_variant(document, rng)[rng.choice(("inputs", "outputs"))])
    return found


def _golden(document: Document, rng: random.Random, kind: str = "") -> Document:
    stored = _variant(document, rng)["golden"][0][kind or rng.choice(("inputs", "outputs"))]
    found: Document = rng.choice(list(stored.values()))
    return found


def _other_size(holder: Document, rng: random.Random) -> None:
    holder["shape"][rng.randrange(len(holder["shape"]))] = _RAW


def _other_tolerance(document: Document, rng: random.Random) -> None:
    tolerance = _golden(document, rng, "outputs")["tolerance"]
    tolerance[rng.randrange(len(tolerance))] = _RAW


def _other_rows(tolerance: list[float], rng: random.Random) -> None:
    """One too few or too many, or far more."""
    more = rng.choice((-1, 1, 100_000))
    tolerance[:] = tolerance[:more] if more < 0 else tolerance + [0.5] * more


def _one_more_row(stored: Document) -> None:
    stored["shape"][0] += 1
    if stored.get("tolerance"):
        stored["tolerance"].append(0.5)


_NEVER = ("-1", "1.5", "9007199254740992", '"rows"', "1e999", "true", "[]")
_SCALED = ("height", "height/8", "8*height", "999999999*batch", "batch/999999999", "height/0")


def _axis(document: Document, rng: random.Random) -> Document:
    axes: Document = _variant(document, rng)["axes"]
    found: Document = axes[rng.choice(sorted(axes))]
    return found


def _scaled_size(document: Document, rng: random.Random) -> None:
    """A size that follows an axis, which the variant does not name."""
    variant = _variant(document, rng)
    spec = rng.choice((*variant["inputs"], *variant["outputs"]))
    spec["shape"][rng.randrange(len(spec["shape"]))] = rng.choice(_SCALED)


def _without(holder: Document, name: str) -> None:
    del holder[name]


def _renamed(document: Document, rng: random.Random) -> None:
    parts = document["parts"]
    parts[rng.choice(_CONTROLS)] = parts.pop(rng.choice(sorted(parts)))


def _without_fp32(document: Document, rng: random.Random) -> None:
    variants = document["parts"][rng.choice(sorted(document["parts"]))]
    variants["fp16"] = variants.pop("fp32")


EDITS: Sequence[Edit] = (
    _with(lambda it, rng: _golden(it, rng, "outputs").update(tolerance=_RAW), _NO_LISTS),
    _with(lambda it, rng: _other_tolerance(it, rng), (*_NUMBERS, "0", "-1", "1e400", "[1]")),
    _with(lambda it, rng: _other_rows(_golden(it, rng, "outputs")["tolerance"], rng)),
    _with(lambda it, rng: _spec(it, rng).update(range=[0, _RAW]), _NUMBERS[:6]),
    _with(lambda it, rng: _spec(it, rng).update(missing=_RAW), _NO_FLAGS),
    _with(lambda it, rng: _spec(it, rng).update(missing=True, dtype=rng.choice(_WHOLE))),
    _with(lambda it, rng: _variant(it, rng).update(bytes=_RAW), _SIZES),
    _with(lambda it, rng: _other_size(_golden(it, rng), rng), _SIZES),
    _with(lambda it, rng: _other_size(_spec(it, rng), rng), _SIZES),
    _with(lambda it, rng: _axis(it, rng).update({rng.choice(("multiple", "min")): _RAW}), _SIZES),
    _with(lambda it, rng: _axis(it, rng).update({rng.choice(("max", "margin")): _RAW}), _NEVER),
    _with(lambda it, rng: _axis(it, rng).update(multiple=2**52, min=2**52)),
    _with(lambda it, rng: _axis(it, rng).update(margin=2**53)),
    _with(lambda it, rng: _variant(it, rng).update(axes={})),
    _with(lambda it, rng: _scaled_size(it, rng)),
    _with(lambda it, rng: _spec(it, rng).update(kind=rng.choice(("picture", "", *_CONTROLS)))),
    _with(lambda it, rng: _variant(it, rng).update(bytes=rng.choice((1, 2**31 + 1, 2**52)))),
    _with(lambda it, rng: _variant(it, rng).update(file=rng.choice((*_FILES, *_CONTROLS)))),
    _with(lambda it, rng: _golden(it, rng).update(file=rng.choice((*_FILES, *_CONTROLS)))),
    _with(lambda it, rng: _variant(it, rng).update(sha256="0" * 64)),
    _with(lambda it, rng: _golden(it, rng).update(sha256=rng.choice(("", "0" * 64, "G" * 64)))),
    _with(lambda it, rng: _golden(it, rng).update(dtype=rng.choice(("float8", "string", "")))),
    _with(lambda it, rng: _spec(it, rng).update(dtype=rng.choice(("int8", "string", "")))),
    _with(lambda it, rng: _spec(it, rng).update(name=rng.choice((*_CONTROLS, "", "X", "other")))),
    _with(lambda it, rng: _one_more_row(_golden(it, rng))),
    _with(lambda it, rng: _variant(it, rng).update({rng.choice(("inputs", "outputs")): []})),
    _with(lambda it, rng: _variant(it, rng).update(golden=[{"inputs": {}, "outputs": {}}])),
    _with(lambda it, rng: it.update(model=rng.choice(_CONTROLS))),
    _with(lambda it, _: it.update(parts={})),
    _with(lambda it, rng: it["parts"].update({rng.choice(sorted(it["parts"])): {}})),
    _with(lambda it, _: it.update(version=3)),
    _with(lambda it, _: it.update(format="zip")),
    _with(lambda it, rng: _without(it, rng.choice(("format", "version", "parts")))),
    _with(lambda it, rng: _without(_variant(it, rng), rng.choice(("file", "sha256", "bytes")))),
    _with(_renamed),
    _with(_without_fp32),
    lambda it, rng: json.dumps(it)[: rng.randrange(1, 2000)].encode(),
    lambda it, _: json.dumps(it).encode() + b" " * 2**24,
    lambda *_: b"[" * 1_000_000,
    lambda it, _: json.dumps(it).replace("{", '{"a\xff": 1,', 1).encode("latin-1"),
)
