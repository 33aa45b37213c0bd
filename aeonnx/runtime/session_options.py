"""Options of onnxruntime's sessions: ours, and those that the user passes through."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import onnxruntime as ort

from aeonnx._util.machine import usable_cores
from aeonnx.errors import UnknownNameError, UsageError

__all__ = ["NO_SPINNING", "SessionOptions", "check_options", "new_options"]

SessionOptions = Mapping[str, Any]
"""Attributes of `onnxruntime.SessionOptions`, and configuration entries: those with a dot."""

NO_SPINNING: SessionOptions = {"session.intra_op.allow_spinning": "0"}
"""The threads of a graph sleep between its runs, as those of a server should."""

_EXTERNAL_DATA = "session.model_external_initializers_file_folder_path"
_FORMAT = "session.load_model_format"
_OURS = {
    "intra_op_num_threads": "pass threads= to load instead",
    "use_per_session_threads": "each graph has its own threads, as many as threads= says",
    _EXTERNAL_DATA: "a bundle has no weights in other files",
    _FORMAT: "a bundle has graphs in ONNX's format only",
}
"""Options that this package sets itself, and what to do instead of passing them."""
_LONGEST = 1000  # characters


def new_options(
    threads: int | None, given: SessionOptions, *, from_bytes: bool
) -> ort.SessionOptions:
    """onnxruntime's options for a session.

    Args:
        threads: intra-op threads; None for one per core that this process may use.
        given: options of the user, which have been checked.
        from_bytes: whether the graph is given as bytes.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads or usable_cores()
    options.log_severity_level = 4  # logs repeat the errors, with unescaped names of the graph
    if from_bytes:
        # Otherwise external data would be searched in the working directory; bundles have none.
        options.add_session_config_entry(_EXTERNAL_DATA, os.devnull)
        # Otherwise onnxruntime would detect and load its ORT format, which nothing here checks.
        options.add_session_config_entry(_FORMAT, "ONNX")
    _apply(options, given)
    return options


def check_options(given: object) -> None:
    """Check a user's session options before any graph is opened.

    Raises:
        UnknownNameError: `onnxruntime.SessionOptions` has no such attribute; suggests the nearest.
        UsageError: `given` is not a mapping, a value has the wrong type, or an option is one that
            this package sets itself; the message says what to do instead.
    """
    if not isinstance(given, Mapping):
        raise UsageError(
            f"session_options: expected a dict such as {{'inter_op_num_threads': 2}}, got {given!r}"
        )
    _apply(ort.SessionOptions(), given)


def _apply(options: ort.SessionOptions, given: SessionOptions) -> None:
    known = [
        name for name, value in vars(ort.SessionOptions).items() if isinstance(value, property)
    ]
    for name, value in given.items():
        if name in _OURS:
            raise UsageError(f"session_options: {name} is set by aeonnx: {_OURS[name]}")
        if isinstance(name, str) and "." in name:
            _add_entry(options, name, value)
        elif name not in known:
            raise UnknownNameError("session option", str(name), {*known} - _OURS.keys())
        else:
            _set(options, name, value)


def _set(options: ort.SessionOptions, name: str, value: object) -> None:
    expected = type(getattr(options, name))
    try:
        setattr(options, name, value)
    except Exception as error:  # of pybind11 and of onnxruntime, without a common base
        raise UsageError(
            f"session_options: {name}: expected {expected.__name__}, got {value!r}"
        ) from error


def _add_entry(options: ort.SessionOptions, name: str, value: object) -> None:
    """Add a configuration entry; onnxruntime has strings only, and "1" and "0" for booleans."""
    text = str(int(value)) if isinstance(value, bool) else value
    text = str(text) if isinstance(text, int | float) else text
    # Checked here, since onnxruntime may abort the process on texts that are too long.
    if not isinstance(text, str) or len(name) > _LONGEST or len(text) > _LONGEST:
        raise UsageError(
            f"session_options: {name:.80}: expected a string, number or bool, name and value of up "
            f"to {_LONGEST} characters, got {str(value)!r:.80}"
        )
    options.add_session_config_entry(name, text)
