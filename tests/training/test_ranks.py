"""Several processes through torchrun, on gloo."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from aeonnx import checkpoint
from aeonnx.checkpoint import states
from aeonnx.errors import DataError
from aeonnx.training import TrainOptions, train
from aeonnx.training.engine.distributed import Ranks
from aeonnx.training.engine.plan import make_plan
from tests.support import Command, wait_for

TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node")
SMALL = ("--hidden", "40", "--latent", "10", "--device", "cpu")


def run_two(
    command: Command, *arguments: object, processes: int = 2, restarts: int = 0
) -> subprocess.Popen[str]:
    launcher = (*TORCHRUN, str(processes), "--max-restarts", str(restarts), "-m", "aeonnx")
    return command("train", *arguments, *SMALL, launcher=launcher)


def alone(
    tmp_path: Path,
    digits: Path,
    model: str = "vae",
    epochs: int = 4,
    batch_size: int = 40,
    schedule: str | None = None,
) -> Path:
    """What one process makes of the same."""
    options = TrainOptions(
        model,
        tmp_path / "alone",
        data=str(digits),
        hidden=(40,),
        latent_size=10,
        epochs=epochs,
        batch_size=batch_size,
        schedule=schedule,
        device="cpu",
        recipe={"pretrain_epochs": 1} if model == "sdae" else {},
    )
    return train(options).output


def losses(run: Path) -> list[list[float]]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [[*line["train"].values(), *line["test"].values()] for line in lines]


@pytest.mark.parametrize("model", ["vae", pytest.param("sdae", marks=pytest.mark.slow)])
def test_two_processes_learn_what_one_does(
    command: Command, digits: Path, tmp_path: Path, model: str
) -> None:
    """400 images in batches of 57: an odd batch, and a last one of a single image."""
    flags = ("--pretrain-epochs", 1) if model == "sdae" else ()
    both = ("-m", model, "--data", digits, "--epochs", 3, "--batch-size", 57, "-o", "two")
    process = run_two(command, *both, *flags)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert errors.count("Training ") == 1  # one of them tells
    whole = alone(tmp_path, digits, model, epochs=3, batch_size=57)
    for one, two in zip(losses(whole), losses(tmp_path / "two"), strict=True):
        assert two == pytest.approx(one, rel=1e-3)
    one_record = checkpoint.load(whole, model).training
    two_record = checkpoint.load(tmp_path / "two", model).training
    assert one_record is not None
    assert two_record is not None
    assert one_record.stages == two_record.stages


@pytest.mark.slow
def test_the_number_of_processes_may_change(command: Command, digits: Path, tmp_path: Path) -> None:
    """Two processes begin, one goes on: the batch and the way stay."""
    begun = ("-m", "vae", "--data", digits, "--batch-size", 40, "--schedule", "constant")
    begun = (*begun, "-o", "run")
    process = run_two(command, *begun, "--epochs", 2)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    process = command("train", *begun, *SMALL, "--epochs", 4, "--resume")
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    whole = alone(tmp_path, digits, epochs=4, schedule="constant")
    assert losses(tmp_path / "run")[-1] == pytest.approx(losses(whole)[-1], rel=1e-3)


@pytest.mark.slow
def test_a_killed_process_recovers(command: Command, digits: Path, tmp_path: Path) -> None:
    """torchrun starts all again, and they go on from the last state."""
    run = tmp_path / "run"
    flags = ("-m", "vae", "--data", digits, "--epochs", 60, "--batch-size", 40, "-o", "run")
    process = run_two(command, *flags, "--save-seconds", "0.05", restarts=1)
    wait_for(lambda: (run / "config.json").exists(), seconds=120)  # an epoch is over
    workers = subprocess.run(
        ["/usr/bin/pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=True
    ).stdout.split()
    os.kill(int(workers[-1]), signal.SIGKILL)
    _, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors
    assert "done before, on cpu" in errors  # the restarted run did not begin anew
    assert len(losses(run)) == 60
    whole = alone(tmp_path, digits, epochs=60)
    assert losses(run)[-1] == pytest.approx(losses(whole)[-1], rel=1e-2)


@pytest.mark.slow
def test_sigterm_stops_all_once_and_they_go_on(
    command: Command, digits: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    flags = ("-m", "vae", "--data", digits, "--epochs", 150, "--batch-size", 40, "-o", "run")
    process = run_two(command, *flags, "--save-seconds", "0.05")
    wait_for(lambda: list((run / "state").glob("0*")), seconds=120)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=120)
    assert process.returncode != 0
    assert errors.count("SIGTERM: saving after this step") == 1
    found = states.newest(run)
    assert found is not None
    assert found.notes == ()
    process = run_two(command, *flags, "--resume")
    _, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors
    assert len(losses(run)) == 150


def test_more_processes_than_data_are_refused(digits: Path, tmp_path: Path) -> None:
    options = TrainOptions("ae", tmp_path / "run", data=str(digits), batch_size=1000, device="cpu")
    with pytest.raises(
        DataError, match="401 processes are more than the 400 training images: start fewer with"
    ):
        make_plan(options, Ranks(rank=0, size=401))


def test_more_processes_than_a_batch_make_no_plan(digits: Path, tmp_path: Path) -> None:
    options = TrainOptions("ae", tmp_path / "run", data=str(digits), batch_size=1, device="cpu")
    with pytest.raises(DataError, match="2 processes are more than the 1 images of a batch: start"):
        make_plan(options, Ranks(rank=0, size=2))


@pytest.mark.slow
def test_more_processes_than_a_batch_are_refused(
    command: Command, digits: Path, tmp_path: Path
) -> None:
    flags = ("-m", "ae", "--data", digits, "--batch-size", 1, "-o", "run")
    process = run_two(command, *flags)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "2 processes are more than the 1 images of a batch: start fewer with" in errors
    assert not (tmp_path / "run").exists()
