"""A run that was stopped is kept, gone on with by what it saved, and can be exported."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from click.testing import Result

from aeonnx import checkpoint
from aeonnx._util import files
from aeonnx.bundle import manifest
from aeonnx.checkpoint import states
from aeonnx.errors import CheckpointError, OutputError, UnknownNameError
from aeonnx.exporting import ExportOptions, export
from aeonnx.models import build
from aeonnx.training import TrainOptions, train
from tests.support import Cut, CutAfter, weights

Cli = Callable[..., Result]
RUN = Path("runs/vae")
OPTIONS = TrainOptions(
    "vae", data="digits.npz", hidden=(12,), latent_size=3, epochs=3, batch_size=40, lr=1e-3,
    seed=5, recipe={"beta": 0.5}, device="cpu", save_seconds=0.0,
)  # fmt: skip


def stop_after(steps: int, options: TrainOptions = OPTIONS) -> None:
    """Leave a run in runs/vae that was cut, 10 steps per epoch."""
    with pytest.raises(Cut):
        train(options, CutAfter(steps))


@pytest.fixture
def stopped(aeonnx: Cli, digits: Path) -> Cli:
    """The command line in a folder with digits.npz and a run that was cut in epoch 1."""
    shutil.copy(digits, "digits.npz")
    stop_after(6)
    return aeonnx


def test_the_same_command_again_is_refused_and_names_both_ways_on(stopped: Cli) -> None:
    before = {path: path.read_bytes() for path in RUN.rglob("*") if path.is_file()}
    result = stopped("train", "-m", "vae", "--data", "digits.npz", "--device", "cpu")
    assert result.exit_code == 1
    assert result.stderr == (
        "Error: runs/vae holds a run that is not finished, stopped in epoch 1 of 'train', after "
        "step 6: pass --resume to go on from it, --force to begin anew, or another -o\n"
    )
    assert {path: path.read_bytes() for path in RUN.rglob("*") if path.is_file()} == before
    expected = train(replace(OPTIONS, output=Path("whole")))
    result = stopped("train", "-m", "vae", "--resume", "--device", "cpu")
    assert result.exit_code == 0, result.output
    assert weights(RUN) == weights(Path("whole"))
    assert checkpoint.load(RUN, "vae").training == expected.training
    result = stopped("train", "-m", "vae", "--data", "digits.npz")
    assert result.exit_code == 1
    assert "runs/vae holds a checkpoint already: pass --resume" in result.stderr


def test_force_begins_anew(stopped: Cli) -> None:
    short = ("--data", "digits.npz", "--hidden", 8, "--epochs", 1, "--device", "cpu")
    result = stopped("train", "-m", "vae", *short, "--force")
    assert result.exit_code == 0, result.output
    found = states.latest(RUN)
    assert found is not None
    assert found.options.hidden == (8,)
    assert found.finished


def test_a_run_is_resumed_by_its_folder_alone(stopped: Cli) -> None:
    result = stopped("train", "--resume", "-o", RUN, "--device", "cpu", "--json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)["training"]
    assert document["options"]["beta"] == 0.5
    assert document["seed"] == 5
    assert document["weights"] == "epoch 3 of 3"
    result = stopped("train", "--resume")
    assert result.exit_code == 2
    assert (
        "Missing option '-m' / '--model', such as vae; or give -o RUN with --resume"
        in result.stderr
    )


@pytest.mark.parametrize(
    ("level", "again", "other"),
    [("0.3", ".30", "0.02-0.3"), ("0.02-0.3", "0.020-0.30", "0.3"), ("auto", "auto", "0.3")],
)
def test_the_same_command_goes_on_with_resume(
    aeonnx: Cli, digits: Path, level: str, again: str, other: str
) -> None:
    shutil.copy(digits, "digits.npz")
    recipe: dict[str, str | float] = {"corruption": "masking", "corruption_level": level}
    stop_after(6, replace(OPTIONS, model="dae", recipe=recipe))
    command = ("train", "-m", "dae", "--corruption", "masking", "--device", "cpu", "--resume")
    refused = aeonnx(*command, "--corruption-level", other)
    assert refused.exit_code == 2
    assert "--corruption-level was" in refused.stderr
    result = aeonnx(*command, "--corruption-level", again)
    assert result.exit_code == 0, result.output


@pytest.mark.shortened(3)
@pytest.mark.parametrize(
    ("given", "text"),
    [
        (("--lr", 0.5), "--lr was 0.001, is 0.5"),
        (("--hidden", "12,9"), "--hidden was 12, is 12,9"),
        (("--beta", 1), "--beta was 0.5, is 1"),
        (("--patience", 2), "--patience was none, is 2"),
        (("-m", "ae"), "--model was vae, is ae"),
        (("--epochs", 9), "--epochs was 3, is 9"),
        (("--arch", "conv"), "--arch was mlp, is conv"),
    ],
)
def test_an_option_that_is_not_the_runs_is_named_with_both_values(
    stopped: Cli, given: tuple[object, ...], text: str
) -> None:
    model = () if given[0] == "-m" else ("-m", "vae")
    result = stopped("train", *model, "--resume", "-o", RUN, *given)
    assert result.exit_code == 2
    assert f"runs/vae was trained with other options: {text}. Leave them out" in result.stderr
    same = stopped("train", *model[:2], "--resume", "-o", RUN, "--lr", 0.001, "--device", "cpu")
    assert same.exit_code == 0, same.output


def test_saved_options_hold_no_path_that_was_not_given(
    stopped: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And are found from any folder, after the tree was moved, and where data moved by --data."""
    for path in (RUN / "state").rglob("state.json"):
        assert str(tmp_path) not in path.read_text()
        assert json.loads(path.read_text())["options"]["data"] == "../../digits.npz"
    (tmp_path / "moved").mkdir()
    for name in ("runs", "digits.npz"):
        (tmp_path / name).rename(tmp_path / "moved" / name)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    run = Path("../moved/runs/vae")
    train(TrainOptions(output=run, resume=True, device="cpu"))
    (tmp_path / "moved/digits.npz").rename("other.npz")
    result = stopped("train", "--resume", "-o", run, "--device", "cpu")
    assert result.exit_code == 1
    assert result.stderr == (
        "Error: ../moved/digits.npz, which ../moved/runs/vae was trained on, is not there: say "
        "with --data where it is now\n"
    )
    result = stopped("train", "--resume", "-o", run, "--data", "other.npz", "--device", "cpu")
    assert result.exit_code == 0, result.output


def test_other_data_is_said_to_be_other_data(stopped: Cli) -> None:
    result = stopped("train", "-m", "vae", "--resume", "--data", "mnist-sample")
    assert result.exit_code == 1
    assert "Error: the data set mnist-sample changed since runs/vae was trained on it, or is" in (
        result.stderr
    )


def commands_of(error: str) -> list[list[str]]:
    """The commands that an error recommends."""
    return [
        shlex.split(line) for line in re.findall(r"aeonnx ((?:train|export) .+?)(?:\. |\n)", error)
    ]


@pytest.mark.parametrize("place", [0, 1])
def test_a_stopped_run_says_how_it_is_exported_and_the_command_works(
    stopped: Cli, place: int
) -> None:
    result = stopped("export", "-m", "vae", "--part", "decoder")
    assert result.exit_code == 1
    text = (
        "Error: no checkpoint at runs/vae yet: its run was stopped in epoch 1 of 'train', after "
        "step 6. Resume it with: aeonnx train --model vae -o runs/vae --resume. Or export its "
        "last weights: aeonnx export --model vae --checkpoint runs/vae --state last\n"
    )
    assert result.stderr.endswith(text)
    command = commands_of(text)[place]
    more = ["--device", "cpu"] if command[0] == "train" else ["--part", "decoder"]
    result = stopped(*command, *more)
    assert result.exit_code == 0, result.output


@pytest.mark.usefixtures("stopped")
def test_the_record_says_which_weights_were_exported() -> None:
    last = ExportOptions("vae", Path("b"), RUN, ("encoder",), state="last")
    assert export(last).manifest.training is not None
    record = manifest.read(Path("b")).training
    assert record is not None
    assert record.weights == "epoch 1 of 3, after step 6 of 10"
    assert record.metrics == {}
    assert record.options["beta"] == 0.5
    found = states.newest(RUN)
    assert found is not None
    kept = found.weights("last")
    for name, value in checkpoint.load(RUN, "vae", "last").model.state_dict().items():
        assert torch.equal(value, kept[name])
    with pytest.raises(UnknownNameError, match="unknown --state 'lst'. Did you mean 'last'"):
        export(replace(last, state="lst"))


def test_the_best_epoch_of_a_stopped_run(stopped: Cli) -> None:
    result = stopped("export", "-m", "vae", "--state", "best")
    assert result.exit_code == 1
    assert "runs/vae has no best epoch: it was trained without --patience" in result.stderr
    assert "Use --state last" in result.stderr
    stop_after(25, replace(OPTIONS, patience=5, force=True, epochs=4, held_out=0.1))
    found = states.newest(RUN)
    assert found is not None
    best = checkpoint.load(RUN, "vae", "best")
    assert best.training is not None
    number = found.state.position.best_epoch
    assert best.training.weights == f"epoch {number} of 4, the best"
    assert best.training.metrics == found.state.epochs[number - 1].test
    assert best.examples is not None
    assert best.examples.test.shape == (64, 1, 28, 28)
    done = train(TrainOptions(output=RUN, resume=True, device="cpu"))
    assert done.training.weights.endswith("of 4, the best")


def test_a_stage_that_was_stopped_is_named(aeonnx: Cli, digits: Path) -> None:
    pretrained = TrainOptions(
        "sae", RUN, hidden=(8,), latent_size=2, data=str(digits), epochs=2, batch_size=40,
        recipe={"pretrain_epochs": 2}, device="cpu", save_seconds=0.0,
    )  # fmt: skip
    stop_after(33, pretrained)
    record = checkpoint.load(RUN, "sae", "last").training
    assert record is not None
    assert record.weights == "pretrain 2: epoch 2 of 2, after step 3 of 10"
    assert [stage.epochs for stage in record.stages] == [2, 1, 0, 0]
    assert (
        "is not finished, stopped in epoch 2 of 'pretrain 2', after step 3"
        in aeonnx("train", "-m", "sae", "-o", RUN).stderr
    )


def test_two_trainings_do_not_write_one_run(stopped: Cli) -> None:
    with files.locked(RUN, "aeonnx train -m vae"):
        result = stopped("train", "-m", "vae", "--resume", "--device", "cpu")
    assert result.exit_code == 1
    assert re.search(
        r"Error: runs/vae is being written by another process \(process \d+, aeonnx train -m vae\)",
        result.stderr,
    )
    (RUN / ".aeonnx.lock").write_text("process 1, long dead")
    result = stopped("train", "-m", "vae", "--resume", "--device", "cpu")
    assert result.exit_code == 0, result.output
    assert not (RUN / ".aeonnx.lock").exists()


@pytest.mark.usefixtures("aeonnx")
def test_a_run_that_came_meanwhile_is_not_replaced(
    digits: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another training began and ended between the look at the folder and the lock."""
    options = replace(OPTIONS, data=str(digits), epochs=1, output=RUN)
    from aeonnx.training import api

    make_plan = api.make_plan

    def slow(*arguments: object) -> object:
        plan = make_plan(*arguments)  # type: ignore[arg-type]
        monkeypatch.undo()
        monkeypatch.chdir(here)
        train(options)
        return plan

    here = Path.cwd()
    monkeypatch.setattr(api, "make_plan", slow)
    with pytest.raises(OutputError, match="runs/vae holds a checkpoint already"):
        train(replace(options, seed=9))
    record = checkpoint.load(RUN, "vae").training
    assert record is not None
    assert record.seed == 5


@pytest.mark.usefixtures("stopped")
def test_a_reader_finds_the_old_checkpoint_or_the_new_one() -> None:
    """While checkpoints are committed one after the other."""
    train(TrainOptions(output=RUN, resume=True, device="cpu"))
    loaded = checkpoint.load(RUN, "vae")
    assert loaded.training is not None
    assert loaded.examples is not None
    examples = checkpoint.dump_examples(loaded.examples)
    torch.manual_seed(1)
    models = [build(loaded.config).state_dict() for _ in range(2)]
    going = threading.Event()
    failures: list[CheckpointError] = []

    def read() -> None:
        while not going.is_set():
            try:
                checkpoint.load(RUN, "vae")
            except CheckpointError as error:
                failures.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(60):
        training = replace(loaded.training, seed=number)
        checkpoint.save(RUN, models[number % 2], loaded.config, examples, training, b"")
    going.set()
    reader.join()
    assert failures == []
    left = [path.name for path in RUN.iterdir() if path.name.startswith(("model.", "examples."))]
    assert len(left) == 2
