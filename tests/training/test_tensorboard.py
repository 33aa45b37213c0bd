"""TensorBoard events: a folder per run and stage, which a resumed run continues."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.event_multiplexer import EventMultiplexer

from aeonnx.training import Epoch, Trained, TrainOptions, train
from tests.support import Cut, CutAfter


@pytest.fixture
def options(digits: Path, tmp_path: Path) -> TrainOptions:
    small = {"hidden": (40,), "latent_size": 10, "batch_size": 40}
    run = tmp_path / "runs/a"
    return TrainOptions(
        "vae", run, data=str(digits), epochs=3, device="cpu", tensorboard=True, **small
    )


def runs_in(folder: Path) -> dict[str, list[str]]:
    """The runs that `tensorboard --logdir FOLDER` shows, with their scalars."""
    found = EventMultiplexer().AddRunsFromDirectory(str(folder))
    found.Reload()
    return {name: tags["scalars"] for name, tags in found.Runs().items()}


def scalars(folder: Path, name: str) -> list[tuple[int, float]]:
    events = EventAccumulator(str(folder))
    events.Reload()
    return [(event.step, event.value) for event in events.Scalars(name)]


def expected(trained: Trained, stage: str, metric: str) -> list[tuple[int, float]]:
    numbered = enumerate(trained.epochs, start=1)
    return [
        (number, pytest.approx(epoch.test[metric]))
        for number, epoch in numbered
        if epoch.stage == stage
    ]


@pytest.mark.usefixtures("drawn")
def test_one_curve_per_run_and_stage(options: TrainOptions, tmp_path: Path) -> None:
    """Charts have the same names in all runs, so that TensorBoard draws runs into one chart."""
    train(replace(options, epochs=1))
    other = replace(options, model="sae", output=tmp_path / "runs/b", hidden=(40, 20))
    trained = train(replace(other, recipe={"pretrain_epochs": 1}))
    shown = runs_in(tmp_path / "runs")
    stages = {epoch.stage for epoch in trained.epochs}
    assert len(stages) == 4
    assert set(shown) == {"a/tensorboard/train", *(f"b/tensorboard/{name}" for name in stages)}
    for names in shown.values():
        assert {"train/loss", "lr", "images_per_s"} <= set(names)
    last = tmp_path / "runs/b/tensorboard/finetune"
    assert scalars(last, "test/mse") == expected(trained, "finetune", "mse")
    events = EventAccumulator(str(last))
    events.Reload()
    assert {"loss", "reconstructions", "latents"} <= set(events.Tags()["images"])


def test_a_resumed_run_continues_its_curve(options: TrainOptions) -> None:
    """Epochs that a resume trains again are there once, with their last values."""
    kept = options.output.parent / "kept" if options.output else Path()

    class Listener(CutAfter):
        def finished_epoch(self, epoch: Epoch) -> None:
            if epoch.epoch == 1:
                shutil.copytree(options.folder / "state", kept)

    with pytest.raises(Cut):
        train(replace(options, save_seconds=0.0), Listener(25))
    folder = options.folder / "tensorboard/train"
    assert [step for step, _ in scalars(folder, "train/loss")] == [1, 2]
    shutil.rmtree(options.folder / "state")
    kept.rename(options.folder / "state")
    trained = train(replace(options, resume=True))
    assert list(runs_in(options.folder)) == ["tensorboard/train"]
    assert len(list(folder.iterdir())) == 2
    name = next(iter(trained.epochs[0].test))
    assert scalars(folder, f"test/{name}") == expected(trained, "train", name)
    train(replace(options, resume=True))  # only the pictures again
    assert scalars(folder, f"test/{name}") == expected(trained, "train", name)


def test_a_run_that_replaces_another_replaces_its_curves(options: TrainOptions) -> None:
    sae = replace(options, model="sae", hidden=(40, 20), epochs=1)
    train(replace(sae, recipe={"pretrain_epochs": 1}))
    notes = options.folder / "tensorboard/notes.txt"
    notes.write_text("mine")
    trained = train(replace(options, epochs=1, force=True))
    assert list(runs_in(options.folder)) == ["tensorboard/train"]
    folder = options.folder / "tensorboard"
    assert sorted(path.name for path in folder.iterdir()) == ["notes.txt", "train"]
    name = next(iter(trained.epochs[0].test))
    assert scalars(folder / "train", f"test/{name}") == expected(trained, "train", name)


def test_without_the_option_there_are_no_events(options: TrainOptions) -> None:
    train(replace(options, tensorboard=False, epochs=1))
    assert not (options.folder / "tensorboard").exists()
