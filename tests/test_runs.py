"""`aeonnx runs`: compares what the folders of runs hold, and leaves out what cannot be read."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from PIL import Image

Cli = Callable[..., Result]
Maker = Callable[..., Path]


def change(run: Path, edit: Callable[[dict[str, Any]], object]) -> Path:
    """Edit the state.json of all states of a run, with their digests."""
    for path in (run / "state").glob("*/state.json"):
        document = json.loads(path.read_text())
        edit(document)
        path.write_text(json.dumps(document))
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        sums = (path.parent / "SHA256SUMS").read_text().splitlines()
        lines = [f"{digest}  state.json" if line.endswith("state.json") else line for line in sums]
        (path.parent / "SHA256SUMS").write_text("\n".join(lines) + "\n")
    return run


def retrained(document: dict[str, Any]) -> None:
    """Another learning rate, and an epoch more with better metrics."""
    first = document["epochs"][0]
    better = {name: value / 2 for name, value in first["test"].items()}
    document["epochs"].append({**first, "epoch": 2, "test": better})
    document["last"] |= {"lr": 0.25, "metrics": better, "weights": "epoch 2 of 3"}
    document["options"] |= {"lr": 0.25, "epochs": 3}
    document["finished"] = False


@pytest.fixture
def two(run_of: Maker, tmp_path: Path) -> tuple[Path, Path]:
    """A run of `vae` in runs/a, and one in runs/b/10 with another learning rate."""
    one = shutil.copytree(run_of(), tmp_path / "runs/a")
    other = shutil.copytree(run_of(), tmp_path / "runs/b/10")
    return one, change(other, retrained)


def trained(run: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((run / "config.json").read_text())["training"]
    return document


def test_a_table_of_runs_and_of_what_differs(aeonnx: Cli, two: tuple[Path, Path]) -> None:
    result = aeonnx("runs")
    assert result.exit_code == 0, result.stderr
    assert result.stderr == ""
    runs, differing = result.stdout.split("\n\nOptions that differ:\n")
    head, first, second = (line.split() for line in runs.splitlines())
    assert head[:6] == ["run", "model", "arch", "state", "epochs", "seconds"]
    assert head[6:] == list(trained(two[0])["metrics"])
    assert first[:5] == ["runs/a", "vae", "mlp", "finished", "1"]
    assert second[:5] == ["runs/b/10", "vae", "mlp", "unfinished", "2"]
    values = list(trained(two[0])["metrics"].values())
    assert [float(text) for text in first[6:]] == pytest.approx(values, rel=1e-4)
    assert [float(text) for text in second[6:]] == pytest.approx(
        [value / 2 for value in values], rel=1e-4
    )
    assert [line.split() for line in differing.splitlines()] == [
        ["run", "lr", "epochs"],
        ["runs/a", "0.003", "1"],
        ["runs/b/10", "0.25", "3"],
    ]


def test_the_document(aeonnx: Cli, two: tuple[Path, Path], run_of: Maker) -> None:
    """Options have the names of the command line; those of other models are compared too."""
    other = run_of("dae", "conv")
    document = json.loads(aeonnx("runs", "runs", other, "--json").stdout)
    first, second, third = document["runs"]
    assert [run["folder"] for run in document["runs"]] == ["runs/a", "runs/b/10", str(other)]
    assert first["metrics"] == trained(two[0])["metrics"]
    assert second["weights"] == "epoch 2 of 3"
    assert len(second["history"]) == second["epochs"] == 2
    assert second["seconds"] == pytest.approx(2 * first["seconds"])
    assert first["options"]["batch-size"] == trained(two[0])["batch_size"]
    assert third["options"]["corruption"] == "gaussian"
    assert {"corruption", "beta", "lr", "latent"} <= set(document["differing"])
    assert "seed" not in document["differing"]
    assert (document["unreadable"], document["plot"]) == ([], None)


@pytest.mark.parametrize("width", [80, 60])
def test_numbers_are_whole_on_a_narrow_terminal(
    aeonnx: Cli, two: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setattr("aeonnx.cli.tables._FILE_WIDTH", width)
    result = aeonnx("runs")
    assert max(map(len, result.stdout.splitlines())) <= width
    assert "…" not in result.stdout
    words = result.stdout.replace(",", " ").split()
    for value in trained(two[0])["metrics"].values():
        assert f"{value:.5g}" in words


def test_a_run_without_states_is_read_from_its_checkpoint(
    aeonnx: Cli, two: tuple[Path, Path]
) -> None:
    whole = json.loads(aeonnx("runs", "runs/a", "--json").stdout)["runs"][0]
    shutil.rmtree(two[0] / "state")
    copied = json.loads(aeonnx("runs", "runs/a", "--json").stdout)["runs"][0]
    assert copied == {**whole, "finished": None}


def test_a_run_without_a_checkpoint_is_read_from_its_states(
    aeonnx: Cli, two: tuple[Path, Path]
) -> None:
    (two[1] / "config.json").unlink()
    assert "runs/b/10" in aeonnx("runs").stdout


def damage(run: Path, what: str) -> None:
    shutil.rmtree(run / "state")
    if what == "metrics.jsonl is gone":
        (run / "metrics.jsonl").unlink()
    elif what == "metrics.jsonl":
        (run / "metrics.jsonl").write_text('{"stage": "train"}\n')
    elif what == "a link to itself":
        (run / "config.json").unlink()
        (run / "config.json").symlink_to("config.json")
    elif what == "too large":
        os.truncate(run / "config.json", 1 << 30)
    else:
        (run / "config.json").write_bytes(what.encode())


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("{}", 'config.json: expected "format": "aeonnx-checkpoint"'),
        ("\0", "config.json: not JSON"),
        ("[" * 100_000, "config.json: not JSON"),
        ("metrics.jsonl", "metrics.jsonl: line 1: top level: missing epoch, held_out"),
        ("metrics.jsonl is gone", "metrics.jsonl: No such file or directory"),
        ("a link to itself", "runs/b holds no run"),
        ("too large", "config.json"),
    ],
)
def test_what_cannot_be_read_is_named_and_stops_nothing(
    aeonnx: Cli, two: tuple[Path, Path], what: str, reason: str
) -> None:
    damage(two[1], what)
    folders = ("runs/a", "runs/b", "nowhere")
    result = aeonnx("runs", *folders)
    assert result.exit_code == 0
    assert result.stdout.splitlines()[1].startswith("runs/a")
    first, second = result.stderr.splitlines()
    assert first.startswith("Left out: ")
    assert reason in first
    assert second == "Left out: nowhere does not exist"
    document = json.loads(aeonnx("runs", *folders, "--json").stdout)
    assert [len(document[key]) for key in ("runs", "unreadable")] == [1, 2]


def test_no_run_at_all(aeonnx: Cli) -> None:
    result = aeonnx("runs")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "Error: no run could be read:\n  runs does not exist\n"
    Path("runs").mkdir()
    Path("file").touch()
    result = aeonnx("runs", "runs", "file")
    assert "runs holds no run: a run is a folder that `aeonnx train` wrote" in result.stderr
    assert "file is not a folder" in result.stderr


def test_a_run_is_listed_once_and_in_the_order_of_numbers(
    aeonnx: Cli, two: tuple[Path, Path]
) -> None:
    shutil.copytree(two[1], "runs/b/9")
    Path("runs/b/hidden").symlink_to("..")
    document = json.loads(aeonnx("runs", "runs/b", "runs", "runs/a/.", "--json").stdout)
    folders = [run["folder"] for run in document["runs"]]
    assert folders == ["runs/b/9", "runs/b/10", "runs/a"]


def test_the_plot(aeonnx: Cli, two: tuple[Path, Path], run_of: Maker) -> None:
    Path("runs/$x_1").symlink_to(two[0])
    shutil.copytree(two[0], "_a")
    result = aeonnx("runs", "runs/a", "_a", "runs/b", run_of("dae", "conv"), "-o", "all.png")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.endswith("\nall.png\n")
    one = aeonnx("runs", "-o", "one.png", "--metric", "negative_elbo", "--json")
    assert json.loads(one.stdout)["plot"] == "one.png"
    with Image.open("all.png") as many, Image.open("one.png") as single:
        assert many.size[0] > 2 * single.size[0]
        assert len(single.convert("RGB").getcolors(1 << 20) or ()) > 10


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["--metric", "psrn"], 2, "unknown metric 'psrn'."),
        (["--metric", "held_out"], 2, "unknown metric 'held_out'."),
        (["-o", "x.jpg"], 2, "-o: expected a .png file, got x.jpg"),
        (["-o", "there.png"], 1, "there.png exists already: pass --force"),
        (["--force"], 2, "--force needs -o"),
    ],
)
@pytest.mark.usefixtures("two")
def test_mistakes_are_told_in_words(aeonnx: Cli, words: list[str], code: int, text: str) -> None:
    Path("there.png").write_text("mine")
    result = aeonnx("runs", *words)
    assert text in result.stderr
    assert (result.exit_code, result.stdout) == (code, "")
    assert Path("there.png").read_text() == "mine"


@pytest.mark.usefixtures("two")
def test_torch_is_not_needed(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['torch'] = None; sys.modules['onnxruntime'] = None\n"
        "from aeonnx.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "runs", "-o", "x.png"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "runs/b/10" in done.stdout
    assert (tmp_path / "x.png").is_file()
