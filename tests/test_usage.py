"""Values that options do not take: exit code 2, the option's name, and no wait for torch."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import Result

from aeonnx.cli import cli
from aeonnx.cli.groups import commands_of

Cli = Callable[..., Result]
Maker = Callable[..., Path]

OUT = ("-o", "x.npy")
COMMANDS: dict[str, tuple[str, ...]] = {
    "demo": ("--web",),
    "train": ("-m", "sdae"),
    "runs": ("{r}",),
    "export": ("-m", "vae", "--checkpoint", "{r}"),
    "verify": ("{b}",),
    "inspect": ("{b}", "--graph", "decoder"),
    "encode": ("{b}", "in.npy", *OUT),
    "decode": ("{b}", "in.npy", *OUT),
    "reconstruct": ("{b}", "in.npy", *OUT),
    "denoise": ("{b}", "in.npy", *OUT),
    "score": ("{b}", "in.npy"),
    "classify": ("{b}", "in.npy"),
    "generate": ("{b}", *OUT),
    "bench": ("{b}",),
    "doctor": (),
    "serve": ("{b}", "--port", "0"),
    "deploy triton": ("{b}", "-o", "repo"),
    "deploy kserve": ("{b}", "-o", "x.yaml", "--storage-uri", "s3://b/repo", "--name", "b"),
    "deploy ray": ("{b}", "-o", "x.yaml"),
}

HUGE = "1" + 400 * "0"
COUNT = ("0", "-1", "1.5", "nan", HUGE)
INDEX = ("-1", "1.5", str(2**63), HUGE)
ABOVE_0 = ("0", "-1", "nan", "inf", "-inf", HUGE)
SHARE = ("-1", "1", "nan", "inf")
NAME = ("unknwon", "")

VALUES: dict[str, tuple[str, ...]] = {
    "--arch": NAME,
    "--background": ("unknwon",),
    "--batch": COUNT,
    "--batch-size": COUNT,
    "--beta": ("-1", "nan", "inf"),
    "--bundle": ("nowhere", ""),
    "--clip": ABOVE_0,
    "--corruption": NAME,
    "--cpus": COUNT,
    "--corruption-level": (*ABOVE_0, "1.1"),
    "--data": ("unknwon",),
    "--denoising": ("-1", "nan", "inf"),
    "--device": NAME,
    "--dropout": SHARE,
    "--ema": SHARE,
    "--ensemble": (*COUNT, "2", "16"),
    "--epochs": COUNT,
    "--features": ("nowhere", ""),
    "--first": INDEX,
    "--from": ("unknwon", "a:b:", "module:"),
    "--graph": NAME,
    "--input": ("sigma", "sigma=much", "=", "sigma=1=2"),
    "--latents": NAME,
    "--label": ("seven", "-1", ""),
    "--labels": ("seven", "-1", ""),
    "--latent-sweep": ("1.5", "a"),
    "--name": ("", "a b", "a/b", "..", "é"),
    "--normal": NAME,
    "--columns": NAME,
    "--label-column": NAME,
    "--missing": NAME,
    "--scaler": NAME,
    "--score": NAME,
    "--step": COUNT,
    "--storage-uri": ("repo", "", "s3://", "s3://a b"),
    "--window": COUNT,
    "--size": ("64by", "axb", "64x", "x", "-1x4"),
    "--held-out": (*SHARE, "0"),
    "--host": ("nowhere.invalid", ""),
    "--hidden": ("0", "-1", "a", "1.5", HUGE),
    "--instances": COUNT,
    "--io": NAME,
    "--kl-warmup": (*SHARE, "1.1"),
    "--latent": COUNT,
    "--lr": ABOVE_0,
    "--max-batch": COUNT,
    "--max-body": COUNT,
    "--max-delay": ("-1", "nan", "inf", "a"),
    "--max-pixels": COUNT,
    "--max-queue": COUNT,
    "--max-replicas": COUNT,
    "--memory": ("", "4", "4GB", "0Gi", HUGE),
    "--metric": NAME,
    "--model": NAME,
    "--opset": (*COUNT, "12", "23"),
    "--part": NAME,
    "--patience": COUNT,
    "--pixels": NAME,
    "--port": ("-1", "65536", "99999", "1.5"),
    "--precision": NAME,
    "--pretrain-epochs": COUNT,
    "--prior": NAME,
    "--provider": NAME,
    "--replicas": COUNT,
    "--resize": NAME,
    "--save-seconds": ("-1", "nan", "inf"),
    "--schedule": NAME,
    "--seconds": ABOVE_0,
    "--seed": INDEX,
    "--state": NAME,
    "--static-batch": COUNT,
    "--stop-timeout": ABOVE_0,
    "--target": NAME,
    "--strength": ("-0.1", "1.1", "nan", "inf", "a"),
    "--temperature": ABOVE_0,
    "--threshold": ("p90", "nan", "inf", ""),
    "--truncate": ABOVE_0,
    "--overlap": ("-1", "1.5", "a", HUGE),
    "--threads": COUNT,
    "--timeout": ABOVE_0,
    "--token-file": ("nowhere", ""),
    "--tile": COUNT,
    "--triton": ("", "26", "26.13", "20.01", "26.07-py3"),
    "--variant": NAME,
    "--weight-decay": ("-1", "nan", "inf"),
    "--workers": ("-1", "1.5", HUGE),
    "-n": COUNT,
}
"""What no command takes, by option."""

WORDS = {
    "--graph": "part",
    "--hidden": "sizes",
    "--latent": "sizes",
    "--lr": "learning rate",
    "--arch": "architecture",
    "--data": "data set",
    "--pretrain-epochs": "epochs",
    "--precision": "variant",
}
"""What a message may call an option, beside its name."""

OF_ONE_MODEL = {"--beta": "vae", "--kl-warmup": "vae", "--pixels": "vae", "--state": "vae"}


def cases() -> list[tuple[str, str, str]]:
    found = []
    for name, command in commands_of(cli).items():
        context = click.Context(command)
        for parameter in command.get_params(context):
            option = parameter.opts[-1]
            if isinstance(parameter, click.Option) and _takes(parameter):
                found += [(name, option, value) for value in VALUES[option]]
    return found


def _takes(option: click.Option) -> bool:
    """Whether there are values that it does not take: any text is a path, and two may be."""
    paths = isinstance(option.type, click.Path) or option.nargs == 2
    return not option.is_flag and not paths


@pytest.mark.parametrize(("command", "option", "value"), cases())
def test_a_value_that_an_option_does_not_take(
    aeonnx: Cli, bundle_of: Maker, run_of: Maker, command: str, option: str, value: str
) -> None:
    words = [word.format(b=bundle_of(), r=run_of()) for word in COMMANDS[command]]
    if command == "train" and option in OF_ONE_MODEL:
        words = ["-m", OF_ONE_MODEL[option]]
    result = aeonnx(
        *command.split(), *words, f"{option}={value}" if option != "-n" else f"-n{value}"
    )
    assert result.exit_code == 2, result.stderr
    said = result.stderr.replace("-", " ").replace("_", " ")
    assert any(word.replace("-", " ") in said for word in (option[1:], WORDS.get(option, option)))
    assert not list(Path().iterdir())


TORCHLESS = [
    (["export", "-m", "vae", "--part", "decodr"], 2, "unknown part of vae 'decodr'. Did you mean"),
    (["export", "-m", "vea"], 2, "unknown model 'vea'. Did you mean 'vae'?"),
    (["export"], 2, "Missing option '-m' / '--model', such as vae."),
    (["export", "-m", "vae", "--precision", "fp8"], 2, "unknown precision 'fp8'. Did you mean"),
    (["export", "-m", "vae", "--opset", "99"], 2, "--opset: expected 13 to 22, got 99"),
    (["export", "-m", "vae", "--target", "tensort"], 2, "unknown target 'tensort'. Did you mean"),
    (
        ["export", "-m", "vae", "--target", "opencv", "--opset", "18"],
        2,
        "--target opencv reads opsets up to 13, got --opset 18",
    ),
    (["export", "-m", "vae", "--prior", "x"], 2, "unknown prior 'x'. Known: fitted, fitted-di"),
    (["export", "-m", "vae", "--temperature", "0"], 2, "'--temperature': 0.0 is not in the range"),
    (["export", "-m", "vae", "--io", "int8"], 2, "unknown --io 'int8'. Did you mean 'uint8'?"),
    (
        ["export", "-m", "vae"],
        1,
        "no checkpoint at runs/vae. Train one with: aeonnx train --model vae -o runs/vae",
    ),
    (["export", "-m", "vae", "--checkpoint", "a b"], 1, "train --model vae -o 'a b'\n"),
    (["verify", "nowhere"], 1, "no bundle at nowhere"),
    (["verify", "{b}", "--provider", "cdua"], 2, "unknown provider 'cdua'. Did you mean 'cuda'?"),
    (["verify", "{b}", "--against", "nowhere"], 1, "no checkpoint at nowhere. Train one with:"),
    (["inspect", "nowhere"], 1, "no bundle at nowhere"),
    (["inspect", "{b}", "--graph", "decodr"], 2, "unknown part 'decodr'. Did you mean 'decoder'?"),
    (["bench", "{b}", "--part", "decodr"], 2, "unknown part 'decodr'. Did you mean 'decoder'?"),
    (["bench", "{b}", "--checkpoint", "nowhere"], 1, "no checkpoint at nowhere. Train one with:"),
    (["bench", "{b}", "--batch", "0"], 2, "'--batch': 0 is not in the range"),
    (["demo", "--port", "99999"], 2, "'--port': 99999 is not in the range"),
    (["train", "-m", "vea"], 2, "unknown model 'vea'. Did you mean 'vae'?"),
    (["train", "-m", "vae", "--arch", "cov"], 2, "unknown architecture of vae 'cov'. Did you"),
]

PROBE = """
import json, sys
from click.testing import CliRunner
from aeonnx.cli import cli
for words in json.loads(sys.argv[1]):
    result = CliRunner().invoke(cli, words)
    loaded = sorted({"torch", "torchvision", "onnxscript"} & sys.modules.keys())
    print(json.dumps([result.exit_code, result.stdout, result.stderr, loaded]))
"""


def test_errors_that_need_no_torch_do_not_wait_for_it(bundle_of: Maker, tmp_path: Path) -> None:
    commands = [[word.format(b=bundle_of()) for word in words] for words, _, _ in TORCHLESS]
    done = subprocess.run(
        [sys.executable, "-c", PROBE, json.dumps(commands)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    lines = done.stdout.splitlines()
    for (words, code, text), line in zip(TORCHLESS, lines, strict=True):
        exit_code, stdout, stderr, loaded = json.loads(line)
        assert text in stderr, words
        assert (exit_code, stdout, loaded) == (code, "", []), words
    assert not list(tmp_path.iterdir())


def test_too_little_memory_is_told_in_words(
    aeonnx: Cli, bundle_of: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def large(*_: object, **__: object) -> None:
        raise MemoryError("cannot allocate 7 TiB")

    monkeypatch.setattr("aeonnx.runtime.verify", large, raising=False)
    result = aeonnx("verify", bundle_of())
    assert result.exit_code == 1
    assert result.stderr == ("Error: this needs more memory than there is: cannot allocate 7 TiB\n")
