"""Match the names in state dicts to those of a module: prefixes of wrappers are removed.

torch.compile puts `_orig_mod.` before the names, DataParallel and DistributedDataParallel put
`module.`, a Lightning module the attribute that its author chose: `model.`, `net.`, `vae.`.
Wrappers may be nested in any order, and trainers save the state dict in a dict with their own
state.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aeonnx.checkpoint import _tensors as tensors
from aeonnx.checkpoint._plain import StateDict
from aeonnx.errors import CheckpointError

__all__ = ["Fitted", "fitted", "nearest"]

_WRAPPERS = {"_orig_mod", "module", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"}
# If several state dicts fit, the first of these wins: trained weights before averages of them.
_USUAL = ("", "state_dict", "model_state_dict", "model", "net", "network", "weights", "params")
_PROBED = 64  # names of the module whose prefix is searched for
_NEAR = 0.6  # cutoff of difflib.get_close_matches


@dataclass(frozen=True)
class Fitted:
    """The state dict of a file that fits a module best.

    Args:
        values: values by the module's own names; entries that it lacks keep theirs.
        notes: changes made to the names, one phrase each.
    """

    values: Mapping[str, Any]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Candidate:
    label: str  # keys of the dicts and the prefix, joined by dots: the `entry` that selects it
    notes: tuple[str, ...]
    values: Mapping[str, Any]
    missing: int

    @property
    def rank(self) -> tuple[int, int]:
        steps = self.label.split(".") if self.label else []
        usual = [_USUAL.index(step) if step in _USUAL else len(_USUAL) for step in steps]
        return self.missing, max(usual, default=0)


def fitted(
    path: Path, found: Sequence[StateDict], expected: Collection[str], entry: str | None = None
) -> Fitted:
    """Choose the state dict that contains most of the names of a module.

    Args:
        path: path of the file, for messages.
        found: the state dicts in the file, at least one.
        expected: names in the module's own state dict.
        entry: the one to choose, keys of dicts and prefix joined by dots: "ema",
            "state_dict.teacher"; None for the best match.

    Raises:
        CheckpointError: there is no such entry, or two fit equally well.
    """
    candidates = [item for state in found for item in _candidates(state, expected)]
    if entry is not None:
        labels = [item.label for item in candidates]
        candidates = [item for item in candidates if item.label == entry]
        if not candidates:
            shown = ", ".join(sorted({repr(label) for label in labels})) or "none"
            raise CheckpointError(f"{path}: no weights under {entry!r}. There are: {shown}")
    candidates.sort(key=lambda item: item.rank)
    best, *others = candidates
    fit = [item for item in others if item.missing == 0 == best.missing]
    if fit and fit[0].rank == best.rank:
        raise CheckpointError(
            f"{path} holds several state dicts that fit: "
            f"{', '.join(repr(item.label) for item in (best, *fit))}. Say which with "
            f"load_weights(module, path, entry={best.label!r})"
        )
    others_fit = f"{_quoted(item.label for item in fit)} would fit too" if fit else ""
    return Fitted(best.values, tuple(filter(None, (*best.notes, others_fit))))


def nearest(name: str, names: Collection[str]) -> str:
    """A hint for a missing name: the most similar one in the file, in brackets; "" if none is."""
    near = difflib.get_close_matches(name, names, n=1, cutoff=_NEAR) if len(names) < 1000 else []
    return f" (the file has {tensors.shown(near[0])})" if near else ""


def _candidates(state: StateDict, expected: Collection[str]) -> list[_Candidate]:
    """One candidate per prefix under which the dict has names of the module."""
    plain, removed = _unwrapped(state.values)
    known = {_without_wrappers(name): name for name in expected}
    # The module's own names may contain those of wrappers: then nothing is removed.
    if len(known) != len(expected) or state.values.keys() == set(expected):
        plain, removed, known = dict(state.values), [], {name: name for name in expected}
    made = []
    for prefix in _prefixes(plain, list(known)):
        inside = {
            name.removeprefix(prefix): value
            for name, value in plain.items()
            if name.startswith(prefix)
        }
        values = {known.get(name, name): value for name, value in inside.items()}
        outside = {name.split(".")[0] for name in plain if not name.startswith(prefix)}
        gone = [*removed, *([prefix] if prefix else [])]
        notes = (
            f"taken from {state.entry!r}" if state.entry else "",
            f"without the prefix {_quoted(gone)}" if gone else "",
            f"ignoring other entries ({_quoted(sorted(outside)[:6])})" if outside else "",
        )
        label = ".".join(filter(None, (state.entry, prefix.rstrip("."))))
        missing = len(set(expected) - values.keys())
        made.append(_Candidate(label, tuple(filter(None, notes)), values, missing))
    return made


def _unwrapped(values: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The values with the wrappers' prefixes removed from their names, and these prefixes."""
    plain = {_without_wrappers(name): value for name, value in values.items()}
    if len(plain) != len(values):
        return dict(values), []
    steps = {step for name in values for step in name.split(".")[:-1]}
    return plain, [f"{step}." for step in sorted(steps & _WRAPPERS)]


def _without_wrappers(name: str) -> str:
    *steps, last = name.split(".")
    return ".".join([*(step for step in steps if step not in _WRAPPERS), last])


def _prefixes(names: Collection[str], known: Sequence[str]) -> list[str]:
    """The prefixes under which `names` contains a known name; [""] if there is none."""
    for wanted in sorted(known, key=len, reverse=True)[:_PROBED]:
        ends = f".{wanted}"
        found = [name[: -len(wanted)] for name in names if name.endswith(ends) or name == wanted]
        if found:
            return found[:_PROBED]
    return [""]


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(repr(tensors.shown(name)) for name in names)
