"""What a request to a verb asks for: its bundle and its options."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request

from aeonnx.errors import BundleError, RequestError
from aeonnx.runtime import Bundle
from aeonnx.runtime.labels import label_of, missing_label
from aeonnx.runtime.verbs import made_by, taken_by
from aeonnx.serving.hub import Hub

__all__ = ["Query", "able", "allowed", "classes_of", "query_of"]

_MOST_CLASSES = 1000


@dataclass(frozen=True, eq=False)
class Query:
    """The bundle and the options that a request names.

    Args:
        bundle: that runs.
        verb: that runs.
        options: by name, texts.
    """

    bundle: Bundle
    verb: str
    options: Mapping[str, str]

    def number(self, name: str, default: int, low: int, high: int) -> int:
        """A whole number.

        Raises:
            RequestError: it is none, or not in its range.
        """
        text = self.options.get(name, str(default))
        if not (text.isascii() and text.isdecimal() and len(text) < 20) or not (
            low <= int(text) <= high
        ):
            raise RequestError(
                400, f"{name}: expected a whole number from {low} to {high}, got {text[:60]!r}"
            )
        return int(text)

    def share(self, name: str) -> float | None:
        """A number from 0 to 1; None if it is not given."""
        text = self.options.get(name)
        if text is None:
            return None
        try:
            found = float(text)
        except ValueError:
            found = -1.0
        if not 0 <= found <= 1:
            raise RequestError(400, f"{name}: expected a number from 0 to 1, got {text[:60]!r}")
        return found

    def label(self, images: Any = None) -> Callable[[], dict[str, Any]]:
        """A function that returns the label that was given, or the one that is predicted.

        Args:
            images: what it is predicted from; None if there are none.

        Raises:
            RequestError: it is missing, and cannot be predicted.
            UsageError: there is no such class, or no input takes one.
        """
        if "label" in self.options:
            name, number = label_of(self.bundle, self.options["label"], "label", self.verb)
            return lambda: {name: number}
        bundle, verb = self.bundle, self.verb
        if images is None:
            if known := classes_of(bundle, verb):
                raise RequestError(400, f"label: expected one of {', '.join(known)}, got none")
            return dict
        missing = allowed(bundle, lambda: missing_label(bundle, verb, {}, "label=CLASS"))
        return dict if missing is None else lambda: {missing: bundle.predict_labels(images)}

    @property
    def part(self) -> str:
        """The part whose thread runs it."""
        return taken_by(self.bundle.manifest, self.verb)


def query_of(hub: Hub, request: Request, verb: str, names: tuple[str, ...]) -> Query:
    """What a request asks for.

    Raises:
        RequestError: an option is unknown, or no bundle can do it, or several can.
    """
    options = dict(request.query_params)
    unknown = [name for name in options if name not in (*names, "bundle")]
    if unknown:
        expected = ", ".join((*names, "bundle"))
        raise RequestError(400, f"unknown option {unknown[0][:60]!r}: expected {expected}")
    twice = [name for name in options if len(request.query_params.getlist(name)) > 1]
    if twice:
        raise RequestError(400, f"{twice[0][:60]!r}: expected this option once, got it again")
    known = able(hub, verb)
    asked = options.pop("bundle", None)
    if asked is not None and asked not in known:
        raise RequestError(404, f"bundle: expected one that can {verb}: {_listed(known)}")
    if asked is None and len(known) != 1:
        todo = f"choose one with ?bundle=: {_listed(known)}" if known else "serve one that can"
        status = 400 if known else 404
        raise RequestError(status, f"{len(known)} bundles here can {verb}: {todo}")
    return Query(known[asked or next(iter(known))], verb, options)


def able(hub: Hub, verb: str) -> dict[str, Bundle]:
    """The bundles that can run a verb on pictures or rows, by name."""
    return {name: bundle for name, bundle in hub.bundles.items() if _can(bundle, verb)}


def classes_of(bundle: Bundle, verb: str) -> list[str]:
    """The labels that a verb takes: names of classes, or else their numbers."""
    part = taken_by(bundle.manifest, verb)
    label = next((spec for spec in bundle.inputs(part) if spec.kind == "label"), None)
    if label is None:
        return []
    low, high = map(int, label.range or (0, -1))
    numbers = range(low, min(high + 1, low + _MOST_CLASSES))
    return list(bundle.manifest.classes) or [str(number) for number in numbers]


def _listed(known: Mapping[str, object]) -> str:
    return ", ".join(known) or "there is none"


def _can(bundle: Bundle, verb: str) -> bool:
    """Whether a bundle can run a verb, and takes and makes pictures or rows."""
    try:
        bundle.require(verb)
    except BundleError:
        return False
    if verb == "score":
        return bundle.inputs("scorer")[0].kind in ("image", "vector")
    return made_by(bundle.manifest, verb)[1].kind == "image"


def allowed(bundle: Bundle, run: Callable[[], Any]) -> Any:
    """The result of `run()`; what is wrong with the request becomes a refusal.

    Raises:
        RequestError: the bundle cannot do what is asked for.
    """
    try:
        return run()
    except BundleError as error:
        if type(error) is not BundleError:  # a damaged file, say
            raise
        text = str(error).replace(str(bundle.folder), bundle.folder.name)
        raise RequestError(400, text) from error
