"""State dicts as people have them, into modules of their own."""

from __future__ import annotations

import argparse
import logging
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file, save_model
from torch import Tensor, nn

from aeonnx.checkpoint import load_weights
from aeonnx.errors import CheckpointError


def network(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.ReLU(), nn.Linear(3, 2))


def renamed(prefix: str, state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}{name}": value for name, value in state.items()}


def amid(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """As names are where submodules were wrapped."""
    return {name.replace(".", "._orig_mod.", 1): value for name, value in state.items()}


def typed(dtype: torch.dtype, state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {k: v.to(dtype) if v.is_floating_point() else v for k, v in state.items()}


def same(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return state


FORMS: dict[str, tuple[Callable[[dict[str, Tensor]], Any], str]] = {
    "bare": (same, ""),
    "data parallel": (lambda s: renamed("module.", s), "without the prefix 'module.'"),
    "compiled": (lambda s: renamed("_orig_mod.", s), "without the prefix '_orig_mod.'"),
    "compiled inside": (amid, "without the prefix '_orig_mod.'"),
    "model": (lambda s: renamed("model.", s), "without the prefix 'model.'"),
    "all three": (
        lambda s: renamed("module._orig_mod.model.", s),
        "without the prefix '_orig_mod.', 'module.', 'model.'",
    ),
    "all three, otherwise": (
        lambda s: renamed("model.module._orig_mod.", s),
        "without the prefix '_orig_mod.', 'module.', 'model.'",
    ),
    "lightning": (
        lambda s: {
            "epoch": 3,
            "state_dict": renamed("model.", s) | {"loss.weight": torch.ones(3)},
            "optimizer_states": [{"state": {0: {"exp_avg": torch.ones(3)}}}],
            "hyper_parameters": {"lr": 1e-3},
        },
        "taken from 'state_dict'; without the prefix 'model.'; ignoring other entries ('loss')",
    ),
    "model_state_dict": (
        lambda s: {"model_state_dict": s, "best": np.float64(0.5), "step": np.int64(7)},
        "taken from 'model_state_dict'",
    ),
    "arguments beside it": (
        lambda s: {"model": s, "args": argparse.Namespace(lr=1e-3, out=Path("x"))},
        "taken from 'model'",
    ),
    "an average alone": (lambda s: {"ema": {"shadow": s}}, "taken from 'ema.shadow'"),
    "an average too": (
        lambda s: {"ema": {k: v + 1 for k, v in s.items()}, "model": s},
        "taken from 'model'; 'ema' would fit too",
    ),
    "half": (lambda s: typed(torch.float16, s), "float16 converted to float32"),
    "bfloat16": (lambda s: typed(torch.bfloat16, s), "bfloat16 converted to float32"),
    "float64": (lambda s: typed(torch.float64, s), "float64 converted to float32"),
    "without counters": (
        lambda s: {k: v for k, v in s.items() if not k.endswith("num_batches_tracked")},
        "",
    ),
}
"""By name: what is saved of a state dict, and what is said when it is read."""


_BARE = ("bare", "data parallel", "compiled", "compiled inside", "all three", "half", "bfloat16")
"""A .safetensors file holds tensors alone."""


@pytest.mark.parametrize(
    ("form", "suffix"),
    [
        *((form, suffix) for form in FORMS for suffix in (".pth", ".ckpt")),
        *((form, ".safetensors") for form in _BARE),
    ],
)
def test_every_form_gives_the_weights(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, form: str, suffix: str
) -> None:
    make, said = FORMS[form]
    original, module = network(0), network(1)
    saved = make(original.state_dict())
    path = tmp_path / f"weights{suffix}"
    if suffix != ".safetensors":
        torch.save(saved, path)
    else:
        save_file(saved, path)
    with caplog.at_level(logging.WARNING, "aeonnx"):
        notes = load_weights(module, path)
    assert "; ".join(notes) == said
    assert caplog.messages == ([f"{path}: {said}"] if said else [])
    exact = 0.0 if form not in ("half", "bfloat16") else 1e-2
    for name, value in original.state_dict().items():
        torch.testing.assert_close(module.state_dict()[name], value, rtol=exact, atol=exact)
    assert module[0].weight.dtype == torch.float32  # type: ignore[index]
    module.eval()(torch.ones(2, 4))


@settings(max_examples=40)
@given(
    entries=st.lists(st.sampled_from(["state_dict", "model", "ema", "run"]), max_size=3),
    wrappers=st.lists(
        st.sampled_from(["module.", "_orig_mod.", "model.", "net.", "vae."]), max_size=4
    ),
    inner=st.sampled_from(["", "_orig_mod.", "module."]),
)
def test_any_nesting_gives_the_weights(
    tmp_path_factory: pytest.TempPathFactory, entries: list[str], wrappers: list[str], inner: str
) -> None:
    original, module = network(0), network(1)
    saved: Any = {
        "".join(wrappers) + name.replace(".", f".{inner}", 1): value
        for name, value in original.state_dict().items()
    }
    for entry in entries:
        saved = {entry: saved, "epoch": 3}
    path = tmp_path_factory.getbasetemp() / "nested.pth"
    torch.save(saved, path)
    notes = load_weights(module, path)
    assert torch.equal(module[3].weight, original[3].weight)  # type: ignore[index]
    assert bool(notes) == bool(entries or wrappers or inner)


@pytest.mark.parametrize("wrapper", ["", "module.", "_orig_mod."])
def test_a_module_may_have_a_wrappers_name(tmp_path: Path, wrapper: str) -> None:
    original = nn.ModuleDict({"module": network(0)})
    module = nn.ModuleDict({"module": network(1)})
    torch.save(renamed(wrapper, original.state_dict()), tmp_path / "w.pth")
    notes = load_weights(module, tmp_path / "w.pth")
    assert bool(notes) == bool(wrapper)
    states = (original.state_dict(), module.state_dict())
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())


def test_the_average_can_be_asked_for(tmp_path: Path) -> None:
    original, module = network(0), network(1)
    state = original.state_dict()
    torch.save({"model": network(2).state_dict(), "ema": renamed("module.", state)}, tmp_path / "w")
    load_weights(module, tmp_path / "w", entry="ema")
    assert torch.equal(module[0].weight, original[0].weight)  # type: ignore[index]
    with pytest.raises(CheckpointError, match=r"no weights under 'average'. There are: 'ema', 'mo"):
        load_weights(module, tmp_path / "w", entry="average")


def test_two_that_fit_alike_are_not_chosen_from(tmp_path: Path) -> None:
    state = network(0).state_dict()
    torch.save(renamed("teacher.", state) | renamed("student.", state), tmp_path / "w")
    with pytest.raises(
        CheckpointError,
        match=r"several state dicts that fit: 'teacher', 'student'. Say which with "
        r"load_weights\(module, path, entry='teacher'\)",
    ):
        load_weights(network(1), tmp_path / "w")
    load_weights(network(1), tmp_path / "w", entry="student")


def test_weights_saved_on_a_gpu_are_read_without_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = network(1)
    with monkeypatch.context() as patch:
        patch.setattr("torch.serialization.location_tag", lambda _: "cuda:3")
        torch.save(network(0).state_dict(), tmp_path / "w.pth")
    assert load_weights(module, tmp_path / "w.pth") == ("saved on cuda:3, read into memory",)
    assert torch.equal(module[0].weight, network(0)[0].weight)  # type: ignore[index]


def test_shared_weights_that_a_file_has_once_are_whole(tmp_path: Path) -> None:
    def tied(seed: int) -> nn.Module:
        torch.manual_seed(seed)
        module = nn.ModuleDict({"first": nn.Linear(3, 3), "second": nn.Linear(3, 3)})
        module["second"].weight = module["first"].weight  # type: ignore[assignment]
        return module

    original, module = tied(0), tied(1)
    save_model(original, str(tmp_path / "w.safetensors"))
    load_weights(module, tmp_path / "w.safetensors")
    assert torch.equal(module["second"].weight, original["first"].weight)  # type: ignore[index,arg-type]


def test_old_names_of_weight_norm_are_torchs_affair(tmp_path: Path) -> None:
    norm = nn.utils.parametrizations.weight_norm
    original, module = norm(nn.Linear(3, 2)), norm(nn.Linear(3, 2))
    state = original.state_dict()
    old = {
        "bias": state["bias"],
        "weight_g": state["parametrizations.weight.original0"],
        "weight_v": state["parametrizations.weight.original1"],
    }
    torch.save(old, tmp_path / "w.pth")
    load_weights(module, tmp_path / "w.pth")
    assert torch.equal(module.weight, original.weight)


def test_a_lazy_layer_and_one_without_numbers_get_them(tmp_path: Path) -> None:
    original = nn.Linear(4, 3)
    torch.save(original.state_dict(), tmp_path / "w.pth")
    with torch.device("meta"):
        empty = nn.Linear(4, 3)
    lazy = nn.LazyLinear(3)
    for module in (empty, lazy):
        load_weights(module, tmp_path / "w.pth")
        assert torch.equal(module.weight, original.weight)


@pytest.mark.shortened(1)
@pytest.mark.parametrize("configured", [False, True])
def test_what_was_done_is_logged(tmp_path: Path, configured: bool) -> None:
    torch.save({"model": nn.Linear(2, 2).state_dict()}, tmp_path / "w.pth")
    code = (
        f"import logging, torch; {'logging.basicConfig();' if configured else ''}"
        "from aeonnx.checkpoint import load_weights; "
        "load_weights(torch.nn.Linear(2, 2), 'w.pth')"
    )
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env={"PYTHONPATH": root, "PATH": ""},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    said = "WARNING:aeonnx.checkpoint._into:w.pth: taken from 'model'\n"
    assert done.stderr == (said if configured else "")
    assert done.stdout == ""
