"""A saved state that means harm is passed over as damaged, or refused in words."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load, save

from aeonnx.errors import AeonnxError, CheckpointError, OutputError, UsageError
from aeonnx.training import TrainOptions, train
from tests.support import Cut, CutAfter

_SECONDS = 10  # of a busy machine

Document = dict[str, Any]
Tensors = dict[str, torch.Tensor]


def rewritten(
    state: Path,
    change: Callable[[Document], object] = lambda _: None,
    change_tensors: Callable[[Tensors], object] = lambda _: None,
) -> None:
    """Change a state, with sums that name what is there."""
    document = json.loads((state / "state.json").read_text())
    change(document)
    (state / "state.json").write_text(json.dumps(document))
    tensors = load((state / "state.safetensors").read_bytes())
    change_tensors(tensors)
    (state / "state.safetensors").write_bytes(save(tensors))
    names = ("state.json", "state.safetensors")
    sums = {name: hashlib.sha256((state / name).read_bytes()).hexdigest() for name in names}
    (state / "SHA256SUMS").write_text("".join(f"{sums[name]}  {name}\n" for name in names))


def field(path: str, value: Any) -> Callable[[Path], None]:
    """A form with another value of a field, such as "position.step"."""
    *way, last = path.split(".")

    def change(document: Document) -> None:
        for name in way:
            document = document[name]
        document[last] = value

    return lambda state: rewritten(state, change)


def tensor(change: Callable[[Tensors], object]) -> Callable[[Path], None]:
    """A form with other tensors."""
    return lambda state: rewritten(state, change_tensors=change)


def instead(name: str, make: Callable[[Path], object]) -> Callable[[Path], None]:
    """A form with something else in the place of a file."""

    def apply(state: Path) -> None:
        (state / name).unlink()
        make(state / name)

    return apply


def _one(name: str, make: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[Path], None]:
    return tensor(lambda tensors: tensors.update({name: make(tensors[name])}))


BIAS = "model.decoder.network.0.bias"
FORMS: dict[str, tuple[Callable[[Path], None], str]] = {
    "negative epoch": (field("position.epoch", -1), "position.epoch: expected 1 or more, got -1"),
    "negative step": (field("position.step", -5), "position.step: expected 0 or more, got -5"),
    "step of 1e12": (field("position.step", 10**12), "position.step: expected 0 or more"),
    "step beyond the epoch": (field("position.step", 10**6), "step 1000000 is beyond the 10"),
    "negative stage": (field("position.stage", -1), "position.stage: expected 0 or more"),
    "no such stage": (field("position.stage", 7), "position.stage: got 7"),
    "epoch ahead of the history": (field("position.epoch", 3), "epochs: expected those before"),
    "best epoch ahead": (field("position.best_epoch", 9), "best_epoch: expected an epoch before"),
    "sums of other names": (field("position.sums", {"x": 1.0}), "sums: expected those of"),
    "no sums": (field("position.sums", None), "sums: expected those of 3 steps"),
    "sums of other losses": (
        field("position.sums", {"images": 1.0, "x": 1.0, "skipped": 0.0, "stop": 0.0}),
        "the saved sums are of images, x, skipped, stop",
    ),
    "endless seconds": (field("position.seconds", 1e308 * 10), "not JSON"),
    "negative seconds": (field("position.seconds", -1.0), "seconds: expected 0 or more"),
    "epochs of 1e18": (field("options.epochs", 10**18), "options.epochs: got 1000000000000000000"),
    "no epochs": (field("options.epochs", 0), "options.epochs: got 0"),
    "batch size of 0": (field("options.batch_size", 0), "batch size: expected 1 or more, got 0"),
    "negative learning rate": (field("options.lr", -1.0), "learning rate: expected a number above"),
    "seed of 1e30": (field("options.seed", 10**30), "seed: expected up to"),
    "negative seed": (field("options.seed", -1), "seed: expected 0 or more, got -1"),
    "no such schedule": (field("options.schedule", "cosin"), "unknown schedule 'cosin'"),
    "no such precision": (field("options.precision", "fp31"), "unknown precision 'fp31'"),
    "no such option": (field("options.recipe", {"betta": 1.0}), "ae takes no --betta"),
    "another model": (field("options.model", "vae"), "options: expected the model"),
    "no such model": (
        lambda state: rewritten(
            state, lambda d: (d["options"].update(model="x"), d["model"].update(model="x"))
        ),
        "unknown model 'x'",
    ),
    "widths of 1e9": (
        lambda state: rewritten(
            state,
            lambda d: (d["options"].update(hidden=[10**9]), d["model"].update(hidden=[10**9])),
        ),
        "the configuration asks for more than",
    ),
    "images of 1e9": (field("model.input_shape", [1, 10**9, 10**9]), "cannot be built"),
    "images of another shape": (field("model.input_shape", [1, 28, 29]), "expected shape [812]"),
    "another data set": (field("fingerprint", "0" * 64), "changed since"),
    "data that is not there": (field("options.data", "no/where"), "which"),
    "a name with a NUL": (field("options.data", "a\0b"), "expected no control characters"),
    "a file elsewhere": (field("examples.file", "../../x"), "file: expected a plain name"),
    "a run of no text": (field("run", 7), "run: expected a text, got 7"),
    "a text of 100 MB": (field("run", "x" * 100_000_000), "are read"),
    "other scaler": (field("scaler", {"scale": 0.0}), "fp16 scaler has other entries"),
    "missing weights": (tensor(lambda t: t.pop(BIAS)), "decoder.network.0.bias: missing"),
    "weights of another shape": (_one(BIAS, lambda v: v[:3].clone()), "shape [8], got [3]"),
    "weights of another type": (_one(BIAS, torch.Tensor.double), "expected torch.float32, got"),
    "weights of NaN": (_one(BIAS, lambda v: v * torch.nan), "NaN or infinite numbers"),
    "unknown tensors": (tensor(lambda t: t.update(more=torch.ones(2))), "more: unknown"),
    "no random state": (tensor(lambda t: t.pop("random.cpu")), "random.cpu: missing"),
    "a random state of 3 bytes": (
        _one("random.cpu", lambda v: v[:3].clone()),
        "its random state is invalid",
    ),
    "a random state of floats": (_one("random.cpu", torch.Tensor.float), "random state is invalid"),
    "moments of another shape": (
        _one("optimizer.0.exp_avg", lambda v: v[:1].clone()),
        "the saved moments of AdamW do not fit the trained parameters",
    ),
    "moments of no parameter": (
        tensor(lambda t: t.update({"optimizer.x.step": torch.ones(())})),
        "the saved moments of AdamW do not",
    ),
    "an average that is not kept": (
        tensor(
            lambda t: t.update(
                {k.replace("model.", "average.module.", 1): v.clone() for k, v in t.items()
                 if k.startswith("model.")} | {"average.n_averaged": torch.tensor(3)}
            )
        ),
        "the saved state has an average",
    ),
    "best weights without a record": (
        tensor(
            lambda t: t.update(
                {k.replace("model.", "best.", 1): v.clone() for k, v in t.items()
                 if k.startswith("model.")}
            )
        ),
        "best weights: expected if and only if",
    ),
    "a FIFO as state.json": (instead("state.json", os.mkfifo), "it is a FIFO"),
    "a FIFO as sums": (instead("SHA256SUMS", os.mkfifo), "it is a FIFO"),
    "/dev/zero as tensors": (
        instead("state.safetensors", lambda path: path.symlink_to("/dev/zero")),
        "it is a device",
    ),
    "empty tensors": (instead("state.safetensors", Path.touch), "it has 0 bytes"),
}  # fmt: skip


@pytest.fixture(scope="module")
def stopped(digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was cut in the middle of its second epoch."""
    run = tmp_path_factory.mktemp("stopped") / "run"
    options = TrainOptions(
        "ae", run, hidden=(8,), latent_size=2, data=str(digits), epochs=4, batch_size=40,
        device="cpu", save_seconds=0.0,
    )  # fmt: skip
    with pytest.raises(Cut):
        train(options, CutAfter(13))
    return run


@pytest.mark.parametrize("form", FORMS)
def test_a_hostile_state_is_refused(stopped: Path, digits: Path, tmp_path: Path, form: str) -> None:
    run = shutil.copytree(stopped, tmp_path / "run")
    older, newest = sorted(path for path in (run / "state").iterdir() if path.is_dir())
    shutil.rmtree(older)
    apply, text = FORMS[form]
    apply(newest)
    began = time.monotonic()
    resume = TrainOptions(output=run, resume=True, device="cpu")
    if form != "data that is not there":
        resume = TrainOptions(output=run, resume=True, device="cpu", data=str(digits))
    with pytest.raises(AeonnxError) as caught:
        train(resume)
    assert text in str(caught.value)
    assert str(caught.value).isprintable()
    assert time.monotonic() - began < _SECONDS


def test_one_that_is_damaged_is_passed_over(stopped: Path, digits: Path, tmp_path: Path) -> None:
    run = shutil.copytree(stopped, tmp_path / "run")
    _, newest = sorted(path for path in (run / "state").iterdir() if path.is_dir())
    FORMS["negative step"][0](newest)
    trained = train(TrainOptions(output=run, resume=True, device="cpu", data=str(digits)))
    assert trained.training.weights == "epoch 4 of 4"


@pytest.mark.usefixtures("drawn")
def test_links_and_folders_of_others_in_a_run_are_left_alone(
    stopped: Path, digits: Path, tmp_path: Path
) -> None:
    """A run from elsewhere whose pictures are links, and whose states lie beside a photo album."""
    run = shutil.copytree(stopped, tmp_path / "run")
    secret = tmp_path / "secret"
    secret.write_text("mine")
    for name in ("loss.png", "latents.png", "config.json", "metrics.jsonl"):
        (run / name).unlink(missing_ok=True)
        (run / name).symlink_to(secret)
    album = run / "state" / "002019"
    album.mkdir()
    (album / "photo.jpg").write_text("mine too")
    (run / "state" / "002020").symlink_to(album)
    train(TrainOptions(output=run, resume=True, device="cpu", data=str(digits)))
    assert secret.read_text() == "mine"
    assert (album / "photo.jpg").read_text() == "mine too"
    assert not (run / "loss.png").is_symlink()


def test_states_are_not_written_through_a_link(stopped: Path, digits: Path, tmp_path: Path) -> None:
    run = shutil.copytree(stopped, tmp_path / "run")
    album = (run / "state").rename(tmp_path / "album")
    (album / "2019").mkdir()
    (run / "state").symlink_to(album)
    with pytest.raises(OutputError, match=r"run/state is a link, and states are written to a"):
        train(TrainOptions(output=run, resume=True, device="cpu", data=str(digits)))
    assert (album / "2019").is_dir()


def test_an_export_of_a_hostile_state_is_refused_too(stopped: Path, tmp_path: Path) -> None:
    from aeonnx import checkpoint

    run = shutil.copytree(stopped, tmp_path / "run")
    older, newest = sorted(path for path in (run / "state").iterdir() if path.is_dir())
    shutil.rmtree(older)
    FORMS["widths of 1e9"][0](newest)
    with pytest.raises(CheckpointError, match="the configuration asks for more than"):
        checkpoint.load(run, "ae", "last")
    with pytest.raises(UsageError, match="--state needs a run's folder"):
        checkpoint.load(newest / "state.json", "ae", "last")
