"""Load weights of any origin into any module."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from aeonnx.checkpoint import _tensors as tensors
from aeonnx.checkpoint._fit import fitted, nearest
from aeonnx.checkpoint._plain import StateDict, read_state_dicts
from aeonnx.checkpoint._weights import odd
from aeonnx.errors import CheckpointError

__all__ = ["cast", "load_weights", "say"]

_COUNTER = "num_batches_tracked"  # of batch norms: unused in inference, and missing in old files
_SHOWN = 6
_LOG = logging.getLogger(__name__)


def load_weights(
    module: nn.Module, path: str | os.PathLike[str], entry: str | None = None
) -> tuple[str, ...]:
    """Load a state dict from a file into a module, without running code from the file.

    Accepts .pt, .pth, .ckpt and .safetensors: a bare state dict or one in a trainer's checkpoint
    (Lightning's `state_dict`, `model`, `model_state_dict`, `ema`), under the module's names or
    with `module.`, `_orig_mod.` and prefixes such as `model.` before them, of any float dtype and
    from any device. Changes to names and dtypes are logged as one warning.

    Args:
        module: the module to load into; it keeps its dtypes and devices.
        path: path of the file.
        entry: which state dict to load if the file holds several: keys of dicts and prefix joined
            by dots, such as "ema" or "state_dict.teacher"; None for the best match.

    Returns:
        The changes that loading needed, one phrase each, such as removed prefixes and converted
        dtypes.

    Raises:
        CheckpointError: the file cannot be read safely, or its names, shapes or dtypes differ from
            the module's; the message lists the differences and the most similar names.
    """
    path = Path(path)
    found = read_state_dicts(path)
    own = module.state_dict()
    chosen = fitted(path, found, own, entry)
    shared = _shared(own, chosen.values)
    dtypes = {name: value.dtype for name, value in own.items() if isinstance(value, Tensor)}
    ready, types = cast({**chosen.values, **shared}, dtypes)
    parameters = {name for name, _ in module.named_parameters(remove_duplicate=False)}
    problems = list(_mismatches(own, ready, parameters))
    if problems:
        raise _unfit(path, module, problems)
    on_meta = any(isinstance(value, Tensor) and value.is_meta for value in own.values())
    told = module.load_state_dict(ready, strict=False, assign=on_meta)
    missing = [name for name in told.missing_keys if not name.endswith(_COUNTER)]
    unexpected = [name for name in told.unexpected_keys if not name.endswith(_COUNTER)]
    problems = [f"{name}: missing{nearest(name, unexpected)}" for name in missing]
    problems += [f"{tensors.shown(name)}: not in this module" for name in unexpected]
    if problems:
        raise _unfit(path, module, problems)
    notes = (*chosen.notes, *types, *_moved(found))
    say(path, notes)
    return notes


def say(path: Path, notes: tuple[str, ...]) -> None:
    """Log the changes made to weights as a warning."""
    if notes:
        _LOG.warning("%s: %s", path, "; ".join(notes))


def cast(
    values: Mapping[str, Any], wanted: Mapping[str, torch.dtype]
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Convert floating-point tensors to the wanted dtypes; also return a note per conversion."""
    ready: dict[str, Any] = dict(values)
    types: dict[str, None] = {}
    for name, value in values.items():
        dtype = wanted.get(name)
        if dtype is None or odd(value) or value.dtype == dtype:
            continue
        if value.is_floating_point() and dtype.is_floating_point:
            types[f"{_name(value.dtype)} converted to {_name(dtype)}"] = None
            ready[name] = value.to(dtype)
    return ready, tuple(types)


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _shared(own: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Values of tied weights that the file stores under one name only, as .safetensors must."""

    def place(value: Any) -> tuple[int, tuple[int, ...]] | None:
        if not isinstance(value, Tensor) or is_lazy(value) or not value.data_ptr():
            return None
        return value.data_ptr(), tuple(value.shape)

    places = {name: place(value) for name, value in own.items()}
    homes = {at: values[name] for name, at in places.items() if at and name in values}
    return {name: homes[at] for name, at in places.items() if name not in values and at in homes}


def _mismatches(
    own: Mapping[str, Any], values: Mapping[str, Any], parameters: set[str]
) -> Iterator[str]:
    """Arrays whose type, shape, dtype or values do not fit the module, one line each."""
    for name, value in values.items():
        wanted = own.get(name)
        if not isinstance(wanted, Tensor):  # extra state, or a name that the module lacks
            continue
        if kind := odd(value):
            yield f"{name}: expected a plain array of numbers, got {kind}"
        elif is_lazy(wanted):
            continue
        elif value.shape != wanted.shape:
            got = tensors.few(tuple(value.shape))
            yield f"{name}: expected shape {list(wanted.shape)}, got {got}"
        elif value.dtype != wanted.dtype:
            yield f"{name}: expected {wanted.dtype}, got {value.dtype}"
        # Buffers may be infinite: attention masks are.
        elif name in parameters and not bool(torch.isfinite(value).all()):
            yield f"{name}: NaN or infinite weights"


def _moved(found: list[StateDict]) -> tuple[str, ...]:
    devices = found[0].devices
    return (f"saved on {', '.join(devices)}, read into memory",) if devices else ()


def _unfit(path: Path, module: nn.Module, problems: list[str]) -> CheckpointError:
    shown = "; ".join(problems[:_SHOWN])
    more = f"; and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
    return CheckpointError(
        f"{path} does not fit this {type(module).__name__}: {shown}{more}. Build the module as it "
        "was trained, or give its own weights"
    )
