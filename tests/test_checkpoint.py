from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from aeonnx import checkpoint
from aeonnx.errors import CheckpointError
from tests.support import weights_file


def test_missing_names_the_command_that_makes_one(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"Train one with: aeonnx train --model vae -o"):
        checkpoint.load(tmp_path / "none", "vae")
    with pytest.raises(CheckpointError, match=r"it has no config\.json"):
        checkpoint.load(tmp_path, "vae")


def test_truncated_weights_are_refused(run_copy: Path) -> None:
    path = weights_file(run_copy)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(
        CheckpointError, match=r"model\.\w+\.safetensors \(\d+ bytes\) is truncated"
    ):
        checkpoint.load(run_copy, "vae")


def test_another_models_checkpoint_is_refused(run_copy: Path) -> None:
    with pytest.raises(
        CheckpointError, match="holds a checkpoint of 'vae', not of 'ae': pass --model vae"
    ):
        checkpoint.load(run_copy, "ae")


def test_wrong_shapes_are_named(run_copy: Path) -> None:
    config = json.loads((run_copy / "config.json").read_text())
    config["model"]["hidden"] = [300]
    (run_copy / "config.json").write_text(json.dumps(config))
    with pytest.raises(
        CheckpointError,
        match=r"network\.0\.weight: expected shape \[300, 20\], got \[400, 20\]",
    ):
        checkpoint.load(run_copy, "vae")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ('{"format": "other"}', 'expected "format": "aeonnx-checkpoint"'),
        ('{"format": "aeonnx-checkpoint", "version": 9}', "format version 9, this aeonnx reads"),
        (
            '{"format": "aeonnx-checkpoint", "version": 1}',
            "missing examples, model, training, weights",
        ),
    ],
)
def test_damaged_config_is_refused(run_copy: Path, text: str, message: str) -> None:
    (run_copy / "config.json").write_text(text)
    with pytest.raises(CheckpointError, match=message):
        checkpoint.load(run_copy, "vae")


def test_plain_state_dicts_are_accepted(run_of: Callable[..., Path], tmp_path: Path) -> None:
    run = run_of("vae", "conv")
    state = load_file(weights_file(run))
    torch.save(state, tmp_path / "model.pth")
    save_file(state, tmp_path / "model.safetensors")
    expected = checkpoint.load(run, "vae")
    for name in ("model.pth", "model.safetensors"):
        loaded = checkpoint.load(tmp_path / name, "vae")
        assert loaded.config == expected.config
        assert loaded.checkpoint_id == expected.checkpoint_id
        assert loaded.examples is None


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (exec, ("raise SystemExit('the pickle ran')",))


def test_pickled_objects_are_never_loaded(tmp_path: Path) -> None:
    torch.save(Evil(), tmp_path / "model.pth")
    with pytest.raises(CheckpointError, match=r"cannot load .* safely: .*save the weights alone"):
        checkpoint.load(tmp_path / "model.pth", "vae")


def test_a_whole_module_is_refused(tmp_path: Path) -> None:
    torch.save(torch.nn.Linear(2, 2), tmp_path / "model.pth")
    with pytest.raises(CheckpointError, match="weights_only=True"):
        checkpoint.load(tmp_path / "model.pth", "vae")


def test_a_trainers_checkpoint_is_taken_with_a_line_that_says_so(
    run_of: Callable[..., Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = run_of("vae", "conv")
    state = {f"module.{name}": value for name, value in load_file(weights_file(run)).items()}
    torch.save({"epoch": 3, "model": state}, tmp_path / "model.pth")
    loaded = checkpoint.load(tmp_path / "model.pth", "vae")
    assert loaded.checkpoint_id == checkpoint.load(run, "vae").checkpoint_id
    said = "taken from 'model'; without the prefix 'module.'"
    assert caplog.messages == [f"{tmp_path / 'model.pth'}: {said}"]


def test_a_dict_of_other_things_is_refused(tmp_path: Path) -> None:
    torch.save({"epoch": 3, "model": {"w": 1}}, tmp_path / "model.pth")
    with pytest.raises(CheckpointError, match="holds a dict without a state_dict. Accepted are"):
        checkpoint.load(tmp_path / "model.pth", "vae")


def test_a_foreign_state_dict_names_what_differs(tmp_path: Path) -> None:
    torch.save({"fc1.weight": torch.ones(4, 4)}, tmp_path / "model.pth")
    with pytest.raises(CheckpointError, match=r"does not fit vae .*: missing; .*\.\.\."):
        checkpoint.load(tmp_path / "model.pth", "vae")


@pytest.mark.parametrize("name", ["model.pth", "model.safetensors"])
def test_garbage_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\x00\x01garbage" * 9)
    with pytest.raises(CheckpointError, match=r"model\.(pth|safetensors)"):
        checkpoint.load(tmp_path / name, "vae")


def test_weights_that_are_not_numbers_are_named(
    run_of: Callable[..., Path], tmp_path: Path
) -> None:
    state = load_file(weights_file(run_of()))
    state["decoder.network.0.bias"][0] = float("nan")
    save_file(state, tmp_path / "model.safetensors")
    with pytest.raises(
        CheckpointError, match=r"decoder\.network\.0\.bias: NaN or infinite weights"
    ):
        checkpoint.load(tmp_path / "model.safetensors", "vae")


def test_latent_id_follows_the_weights(run_of: Callable[..., Path]) -> None:
    same = [checkpoint.load(run_of(), "vae").checkpoint_id for _ in range(2)]
    other = checkpoint.load(run_of("vae", "mlp", 1), "vae").checkpoint_id
    assert same[0] == same[1] != other
