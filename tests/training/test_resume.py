"""Runs that are stopped, killed or damaged go on exactly, or say why not."""

from __future__ import annotations

import errno
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from PIL import Image
from safetensors.torch import load as load_tensors

from aeonnx import checkpoint
from aeonnx._util.files import _staging
from aeonnx.checkpoint import states
from aeonnx.errors import CheckpointError, OutputError, UsageError
from aeonnx.training import TrainOptions, train
from aeonnx.training.engine.signals import Stop
from tests.support import Command, Cut, CutAfter, Quiet, Shared, wait_for, weights, weights_file

SMALL: dict[str, object] = {"hidden": (40,), "latent_size": 10, "batch_size": 40}
FLAGS = ("--hidden", "40", "--latent", "10", "--batch-size", "40", "--device", "cpu")


@pytest.fixture
def options(digits: Path, tmp_path: Path) -> TrainOptions:
    run = tmp_path / "run"
    return TrainOptions("vae", run, data=str(digits), epochs=4, device="cpu", **SMALL)


def folders_of_states(run: Path) -> list[Path]:
    return sorted(path for path in (run / "state").iterdir() if path.name.isdecimal())


def newest_number(run: Path) -> int:
    numbers = [path.name for path in (run / "state").glob("*") if path.name.isdecimal()]
    return max(map(int, numbers), default=0)


@pytest.mark.shortened(2)
@pytest.mark.parametrize(
    ("model", "change"),
    [
        ("ae", {}),
        ("ae", {"schedule": "one-cycle", "clip": 0.1, "weight_decay": 0.01}),
        ("dae", {"arch": "conv", "hidden": (4, 8)}),
        ("vae", {"patience": 2, "recipe": {"kl_warmup": 0.5, "pixels": "binary"}}),
        ("vae", {"precision": "fp16"}),
        ("sae", {"recipe": {"pretrain_epochs": 1}}),
        ("sdae", {"recipe": {"pretrain_epochs": 1}}),
        ("dae", {"stream": True, "workers": 1}),
    ],
)
def test_a_run_cut_at_any_step_goes_on_to_the_same_bits(
    options: TrainOptions, tmp_path: Path, model: str, change: dict[str, object]
) -> None:
    """Weights, metrics and history are those of a run that nothing happened to."""
    whole = replace(options, model=model, **change)
    expected = train(replace(whole, output=tmp_path / "whole"))
    steps = 10 * len(expected.epochs)
    cut = random.Random(f"{model}{change}").randrange(1, steps)
    with pytest.raises(Cut):
        train(replace(whole, save_seconds=0.0), CutAfter(cut))
    resumed = train(replace(whole, resume=True))
    assert weights(resumed.output) == weights(expected.output)
    assert resumed.training == expected.training
    assert [epoch.train for epoch in resumed.epochs] == [epoch.train for epoch in expected.epochs]


def test_twice_the_epochs_is_the_same_as_going_on(options: TrainOptions, tmp_path: Path) -> None:
    steady = replace(options, schedule="constant")
    train(steady)
    longer = replace(steady, epochs=8)
    resumed = train(replace(longer, resume=True))
    expected = train(replace(longer, output=tmp_path / "whole"))
    assert weights(resumed.output) == weights(expected.output)
    assert resumed.training == expected.training


def test_a_finished_run_stays_as_it_is(options: TrainOptions) -> None:
    before = train(options)
    again = train(replace(options, resume=True))
    assert again.training == before.training
    assert again.epochs == before.epochs


@pytest.mark.shortened(1)
@pytest.mark.parametrize(
    ("number", "code", "name"),
    [
        (signal.SIGTERM, 143, "SIGTERM"),
        pytest.param(signal.SIGINT, 130, "SIGINT", marks=pytest.mark.slow),
        (signal.SIGHUP, 129, "SIGHUP"),
    ],
)
def test_a_signal_saves_and_resume_goes_on(
    command: Command,
    options: TrainOptions,
    tmp_path: Path,
    number: signal.Signals,
    code: int,
    name: str,
    shared: Shared,
    aeonnx: Callable[..., Result],
) -> None:
    arguments = ("train", "-m", "vae", "--data", options.data, "--epochs", 40, *FLAGS, "-o", "run")
    process = command(*arguments, "--save-seconds", "0.2")
    wait_for(lambda: (tmp_path / "run/state").is_dir() and folders_of_states(tmp_path / "run"))
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == code, errors
    assert f"{name}: saving after this step; a second signal quits at once" in errors
    assert "Error: stopped in epoch" in errors
    assert "saved in run: --resume goes on" in errors
    found = states.newest(tmp_path / "run")
    assert found is not None
    assert found.state.position.step > 0
    result = aeonnx("train", "-m", "vae", "-o", "run", "--device", "cpu", "--resume")
    assert result.exit_code == 0, result.output
    whole = shared("whole", lambda folder: train(replace(options, epochs=40, output=folder)))
    assert weights(tmp_path / "run") == weights(whole)


def test_a_signal_to_all_processes_of_a_job_saves_too(
    command: Command, options: TrainOptions, tmp_path: Path
) -> None:
    """As systemd and Slurm send it: the processes that read images must not die before the step."""
    reading = ("--stream", "--workers", 2, "--epochs", 400, "--save-seconds", "0.2")
    process = command("train", "-m", "vae", "--data", options.data, *reading, *FLAGS, "-o", "run")
    wait_for(lambda: (tmp_path / "run/state").is_dir() and folders_of_states(tmp_path / "run"))
    os.killpg(process.pid, signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 143, errors
    assert "saved in run: --resume goes on" in errors


def test_a_second_signal_quits_at_once() -> None:
    """The handler puts the default back and sends itself the signal."""
    code = (
        "import signal, os, time\n"
        "from aeonnx.training.engine.signals import on_signals\n"
        "with on_signals(print) as stop:\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    print('still here', stop.signal.name, stop.exit_code, flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    print('not here')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGTERM
    assert "still here SIGTERM 143" in done.stdout
    assert "not here" not in done.stdout


def test_what_ignores_a_hangup_goes_on_ignoring_it() -> None:
    """As under nohup."""
    code = (
        "import signal, os\n"
        "from aeonnx.training.engine.signals import on_signals\n"
        "signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "with on_signals(print) as stop:\n"
        "    os.kill(os.getpid(), signal.SIGHUP)\n"
        "    print('asked to stop:', stop.signal)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "asked to stop: None\n"


def test_a_terminal_that_is_gone_is_no_obstacle_to_saving() -> None:
    def told(_: str) -> None:
        raise OSError(errno.EIO, "Input/output error")

    stop = Stop(told)
    stop.handle(signal.SIGHUP, None)
    assert stop.signal == signal.SIGHUP
    assert stop.exit_code == 129


@pytest.mark.slow
def test_kill_9_at_random_moments_loses_nothing(
    command: Command, options: TrainOptions, tmp_path: Path
) -> None:
    """Killed again and again while it saves after every step, the run still ends as it should."""
    run = tmp_path / "run"
    flags = (*FLAGS, "-o", run, "--save-seconds", 0)
    moments = random.Random(7)
    newest = 0
    for attempt in range(4):
        more = ("--resume",) if attempt else ()
        process = command(
            "train", "-m", "vae", "--data", options.data, "--epochs", 40, *flags, *more
        )
        wanted = newest + moments.randrange(2, 12)
        wait_for(lambda wanted=wanted: run.is_dir() and newest_number(run) >= wanted)
        time.sleep(moments.uniform(0, 0.05))
        process.kill()
        process.communicate()
        found = states.newest(run)
        assert found is not None, "the last good state was lost"
        assert found.notes == ()
        assert newest_number(run) >= wanted
        newest = newest_number(run)
    done = train(replace(options, epochs=40, resume=True))
    expected = train(replace(options, epochs=40, output=tmp_path / "whole"))
    assert weights(run) == weights(expected.output)
    assert done.training == expected.training
    assert not list(run.rglob(".*"))


def test_a_damaged_newest_state_falls_back_to_the_one_before(
    options: TrainOptions, tmp_path: Path
) -> None:
    with pytest.raises(Cut):
        train(replace(options, save_seconds=0.0), CutAfter(13))
    newest = folders_of_states(options.output)[-1]
    tensors = newest / "state.safetensors"
    tensors.write_bytes(tensors.read_bytes()[:-100])
    said: list[str] = []

    class Listener(Quiet):
        def warned(self, text: str) -> None:
            said.append(text)

    resumed = train(replace(options, resume=True), Listener())
    said = [line for line in said if "Try more --epochs" not in line]  # of so short a training
    assert len(said) == 1
    assert (
        f"{newest} is damaged (state.safetensors: it is not a whole safetensors file: its"
        in said[0]
    )
    assert "resuming from the one before" in said[0]
    expected = train(replace(options, output=tmp_path / "whole"))
    assert weights(resumed.output) == weights(expected.output)


@pytest.mark.parametrize("name", ["state.json", "state.safetensors", "SHA256SUMS"])
@pytest.mark.parametrize("how", ["truncated", "changed", "missing"])
def test_every_damage_to_a_state_is_seen(
    options: TrainOptions, shared: Shared, name: str, how: str
) -> None:
    whole = shared("one-epoch", lambda to: train(replace(options, epochs=1, output=to)))
    shutil.copytree(whole, options.folder)
    for folder in folders_of_states(options.output):
        path, content = folder / name, (folder / name).read_bytes()
        changed = content[:30] + bytes([content[30] ^ 1]) + content[31:]
        path.write_bytes({"truncated": content[:20], "changed": changed, "missing": b""}[how])
        if how == "missing":
            path.unlink()
    with pytest.raises(
        CheckpointError, match=r"every saved state in .* is damaged: .*is damaged .*--force"
    ):
        train(replace(options, resume=True, epochs=1))


def test_a_full_disk_keeps_the_last_good_state(
    options: TrainOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = 0

    def full(path: Path) -> None:
        nonlocal written
        written += path.name == "state.safetensors"
        if written == 3:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(_staging, "flush", full)
    with pytest.raises(OutputError, match=r"cannot write .*state/\d+: the disk is full: free some"):
        train(replace(options, save_seconds=0.0))
    monkeypatch.undo()
    found = states.newest(options.output)
    assert found is not None
    assert found.state.position.step == 2
    resumed = train(replace(options, resume=True))
    expected = train(replace(options, output=tmp_path / "whole"))
    assert weights(resumed.output) == weights(expected.output)


@pytest.mark.skipif(
    subprocess.run(["/usr/bin/unshare", "-rm", "true"], check=False, capture_output=True).returncode
    != 0,
    reason="needs a mount namespace of its own, for a small disk",
)
def test_a_disk_that_is_really_full(options: TrainOptions, tmp_path: Path) -> None:
    """A disk with room for two states and a half; on a larger one, what was saved goes on."""
    (tmp_path / "disk").mkdir()
    state_bytes = 4 * 4 * 66_000  # weights, two moments, average
    train_it = f"{sys.executable} -m aeonnx train -m vae --data {options.data} {' '.join(FLAGS)} "
    train_it += "--epochs 2 -o disk/run --save-seconds 0"
    script = f"""
        mount -t tmpfs -o size=16m none disk
        head -c $((16 * 1048576 - {5 * state_bytes // 2})) /dev/zero > disk/filler
        {train_it}
        echo "code $?"
        cp -r disk/run larger
    """
    done = subprocess.run(
        ["/usr/bin/unshare", "-rm", "sh", "-c", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    codes = [line for line in done.stdout.splitlines() if line.startswith("code")]
    assert codes == ["code 1"], done.stderr
    assert "the disk is full: free some space" in done.stderr
    resumed = train(replace(options, epochs=2, output=tmp_path / "larger", resume=True))
    expected = train(replace(options, epochs=2, output=tmp_path / "whole"))
    assert weights(resumed.output) == weights(expected.output)


def test_a_damaged_checkpoint_is_made_again_by_resume(options: TrainOptions) -> None:
    train(options)
    before = weights(options.output)
    weights_file(options.output).write_bytes(before[:-9])
    with pytest.raises(CheckpointError, match="truncated or was changed"):
        checkpoint.load(options.output, "vae")
    train(replace(options, resume=True))
    assert weights(options.output) == before


def test_other_options_are_named(options: TrainOptions) -> None:
    train(options)
    other = replace(
        options, resume=True, lr=0.5, batch_size=20, recipe={"beta": 2.0}, latent_size=11
    )
    with pytest.raises(UsageError) as caught:
        train(other)
    text = str(caught.value)
    assert "was trained with other options: --latent was 10, is 11; --batch-size was 40" in text
    assert "--batch-size was 40, is 20; --lr was 0.003, is 0.5; --beta was 1, is 2." in text
    assert text.endswith("Leave them out to go on as it was, or train anew with --force")
    with pytest.raises(UsageError, match=r"--model was vae, is ae"):
        train(replace(options, model="ae", resume=True))


def test_epochs_are_part_of_a_schedule(options: TrainOptions) -> None:
    train(options)
    with pytest.raises(UsageError, match="--epochs was 4, is 8"):
        train(replace(options, epochs=8, resume=True))


def test_fewer_epochs_than_are_done_are_refused(options: TrainOptions) -> None:
    steady = replace(options, schedule="constant")
    train(steady)
    with pytest.raises(UsageError, match="epochs: 4 are done already, got 2"):
        train(replace(steady, epochs=2, resume=True))


def test_data_that_changed_is_refused(options: TrainOptions, tmp_path: Path) -> None:
    images = np.load(options.data)["x_train"]
    np.save(tmp_path / "images.npy", images)
    own = replace(options, data=str(tmp_path / "images.npy"))
    train(own)
    images[3, 3, 3] ^= 1
    np.save(tmp_path / "images.npy", images)
    with pytest.raises(CheckpointError, match=r"the data set images\.npy changed since .*run was"):
        train(replace(own, resume=True))


def test_nothing_to_resume_is_said(aeonnx: Callable[..., Result]) -> None:
    result = aeonnx("train", "-m", "vae", "--resume", "-o", "new")
    assert result.exit_code == 1
    assert "Error: nothing to resume in new: it holds no saved state. Leave --resume out" in (
        result.output
    )
    assert not Path("new").exists()


def test_a_new_run_over_an_old_one_does_not_go_back_to_it(options: TrainOptions) -> None:
    train(options)
    with pytest.raises(Cut):
        train(replace(options, force=True, seed=5, save_seconds=0.0), CutAfter(3))
    found = states.newest(options.output)
    assert found is not None
    assert found.state.options.seed == 5
    assert len(folders_of_states(options.output)) <= 2
    resumed = train(replace(options, seed=5, resume=True))
    assert resumed.training.seed == 5


def test_states_hold_no_pickle(options: TrainOptions) -> None:
    train(options)
    saved = {
        path.name: path.read_bytes() for path in folders_of_states(options.output)[-1].iterdir()
    }
    assert set(saved) == {"state.json", "state.safetensors", "SHA256SUMS"}
    json.loads(saved["state.json"])
    assert load_tensors(saved["state.safetensors"])


def test_the_background_is_a_runs_own(aeonnx: Callable[..., Result], tmp_path: Path) -> None:
    folder = tmp_path / "stickers"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for place in range(12):
        pixels = rng.integers(0, 256, (4, 4, 4), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{place}.png")
    common = ("train", "-m", "ae", "--hidden", "4", "--latent", "2", "--device", "cpu")
    words = ("--data", folder, "--schedule", "constant", "-o", "run")
    result = aeonnx(*common, *words, "--epochs", 1, "--background", "whitish")
    assert (result.exit_code, Path("run").exists()) == (2, False)
    assert "--background: expected a colour such as white or #20a0ff, got 'whitish'" in (
        result.output
    )
    result = aeonnx(*common, *words, "--epochs", 1, "--background", "white")
    assert result.exit_code == 0, result.output
    assert checkpoint.load(Path("run"), "ae").config.input_shape == (3, 4, 4)
    result = aeonnx("train", "-o", "run", "--resume", "--background", "black", "--device", "cpu")
    assert "--background was white, is black" in result.output
    result = aeonnx("train", "-o", "run", "--resume", "--epochs", 2, "--device", "cpu")
    assert result.exit_code == 0, result.output
    result = aeonnx(
        "export", "--part", "encoder", "-m", "ae", "--checkpoint", "run", "-o", "bundle"
    )
    assert result.exit_code == 0, result.output
    result = aeonnx("encode", "bundle", folder, "-o", "z.npy", "--background", "white")
    assert result.exit_code == 0, result.output
