"""`--json` of every command: one document on stdout, with the keys that `--help` names."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import numpy as np
import pytest
from click.testing import Result

import aeonnx as package
from aeonnx.cli import cli
from aeonnx.cli.groups import commands_of
from aeonnx.runtime import verify

Cli = Callable[..., Result]
Maker = Callable[..., Path]

OUT = ("-o", "x.npy")
COMMANDS: dict[str, tuple[str, ...]] = {
    "demo": (),
    "train": ("-m", "vae", "--epochs", "1", "--device", "cpu"),
    "runs": ("{r}",),
    "export": ("-m", "vae", "--part", "decoder", "--checkpoint", "{r}"),
    "verify": ("{b}",),
    "inspect": ("{b}",),
    "inspect --graph": ("{b}", "--graph", "decoder"),
    "inspect --html": ("{b}", "--html", "x.html"),
    "encode": ("{b}", "in.npy", *OUT),
    "decode": ("{b}", "z.npy", *OUT),
    "reconstruct": ("{b}", "in.npy", *OUT),
    "denoise": ("{d}", "in.npy", *OUT),
    "score": ("{b}", "in.npy"),
    "classify": ("{s}", "in.npy"),
    "generate": ("{b}", *OUT),
    "bench": ("{b}", "--part", "decoder", "--batch", "1", "--seconds", "0.01"),
    "doctor": (),
    "deploy triton": ("{b}", *("-o", "repo")),
    "deploy kserve": ("{b}", "--storage-uri", "s3://b/repo", "-o", "x.yaml", "--name", "b"),
    "deploy ray": ("{b}", "-o", "x.yaml"),
}


def command_of(name: str) -> str:
    """The words of the command, without those of options."""
    return name.partition(" --")[0]


def help_of(name: str) -> str:
    """The help of --json."""
    (option,) = (item for item in commands_of(cli)[name].params if "--json" in item.opts)
    assert isinstance(option, click.Option)
    return option.help or ""


def test_every_command_has_json() -> None:
    lines = {"serve"}  # whose stdout is a log, a line of JSON for each request
    assert {command_of(name) for name in COMMANDS} | lines == set(commands_of(cli))


@pytest.fixture
def quick_demo(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, run_of: Maker, bundle_of: Maker
) -> None:
    """The demo with a run and a bundle that are there already."""
    bundle = shutil.copytree(bundle_of(), tmp_path / "aeonnx-demo" / "bundle")
    run: Any = SimpleNamespace(output=run_of())
    exported = SimpleNamespace(output=bundle, report=verify(package.load(bundle)))
    monkeypatch.setattr("aeonnx.tools.demo.train_vae", lambda *_: run)
    monkeypatch.setattr("aeonnx.tools.demo.export_encoder_and_decoder", lambda *_: exported)


@pytest.mark.usefixtures("quick_demo")
@pytest.mark.parametrize("name", COMMANDS)
def test_the_document_has_the_keys_that_the_help_names(
    aeonnx: Cli, bundle_of: Maker, run_of: Maker, name: str
) -> None:
    command = command_of(name)
    np.save("in.npy", np.zeros((2, 1, 28, 28), np.uint8))
    np.save("z.npy", np.zeros((2, 20), np.float32))
    places = {"b": bundle_of(), "d": bundle_of("dae"), "s": bundle_of("sdae")}
    places["r"] = run_of()
    words = [word.format(**places) for word in COMMANDS[name]]
    result = aeonnx(*command.split(), *words, "--json")
    assert result.exit_code == 0, result.stderr
    document = json.loads(result.stdout)
    assert result.stdout.isascii()
    said = help_of(command)
    assert said.startswith("Print one JSON document to stdout instead of text: ")
    if name == "inspect":
        assert "the manifest" in said
        assert document["format"] == "aeonnx-bundle"
        return
    for key in document[0] if isinstance(document, list) else document:
        assert f"`{key}`" in said, key


@pytest.mark.parametrize(
    "name", ["encode", "decode", "reconstruct", "score", "classify", "generate"]
)
def test_two_documents_on_stdout_are_refused(aeonnx: Cli, name: str) -> None:
    sources = [] if name == "generate" else ["in.npy"]
    result = aeonnx(name, "b", *sources, "-o", "-", "--json")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "Error: --json prints to stdout, and so does -o -: give -o a file" in result.stderr


def test_a_server_prints_no_document(aeonnx: Cli) -> None:
    result = aeonnx("demo", "--web", "--json")
    assert result.exit_code == 2
    assert "--json and --web do not go together" in result.stderr


def test_what_was_written_is_what_the_document_says(aeonnx: Cli, bundle_of: Maker) -> None:
    result = aeonnx("generate", bundle_of(), "-n", 3, "-o", "x.npy", "--json")
    document = json.loads(result.stdout)
    written = np.load(document["output"])
    assert (str(written.dtype), list(written.shape)) == (document["dtype"], document["shape"])
    assert document["provider"] == "CPUExecutionProvider"


def test_errors_stay_text_on_stderr(aeonnx: Cli) -> None:
    result = aeonnx("generate", "nowhere", *OUT, "--json")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("Error: no bundle at nowhere")
