"""The command line, without logic of its own.

Each command parses its options, imports what it needs, makes one call and prints the result.
Results go to stdout, progress to stderr. Exit codes: 0 done, 1 failed, 2 usage, 3 parity or golden
mismatch, 4 environment, 130 Ctrl-C, 143 SIGTERM, 129 SIGHUP, 141 broken pipe.
"""

from __future__ import annotations

import io
import signal
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import click

from aeonnx import __version__
from aeonnx._util.text import printable
from aeonnx.cli import log, signals, streams
from aeonnx.cli.bench import bench
from aeonnx.cli.bundles import export, inspect, verify
from aeonnx.cli.config import NOTE, config_option
from aeonnx.cli.demo import demo
from aeonnx.cli.deploy import deploy
from aeonnx.cli.doctor import doctor
from aeonnx.cli.generate import generate
from aeonnx.cli.groups import Group, commands_of
from aeonnx.cli.runs import runs
from aeonnx.cli.score import score
from aeonnx.cli.serve import serve
from aeonnx.cli.train import train
from aeonnx.cli.verbs import classify, decode, denoise, encode, reconstruct
from aeonnx.errors import AeonnxError, UsageError

__all__ = ["cli", "main"]


class _Group(Group):
    """Turns errors into messages and exit codes."""

    def main(self, args: Any = None, *rest: Any, standalone_mode: bool = True, **extra: Any) -> Any:
        command = partial(super().main, args, *rest, standalone_mode=False, **extra)
        if not standalone_mode:
            return command()
        sys.exit(_status(command))

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:  # click would print an empty line for it
            raise click.Abort from error
        except UsageError as error:
            if NOTE in ctx.meta:
                error.add_note(ctx.meta[NOTE])
            raise


def _status(command: Callable[[], Any]) -> int:
    """Run a command, print an error if there is one, and return the exit code."""
    try:
        code = command()
        sys.stdout.flush()
    except (click.Abort, KeyboardInterrupt):
        return _stopped(signals.received() or signal.SIGINT)
    except Exception as error:
        if number := signals.received():  # a library replaced KeyboardInterrupt
            return _stopped(number)
        if isinstance(error, click.ClickException):
            shown = io.StringIO()
            error.show(shown)
            _tell(shown.getvalue().rstrip("\n"))
        elif isinstance(error, AeonnxError):
            _tell("\n".join((f"Error: {error}", *getattr(error, "__notes__", ()))))
        elif isinstance(error, MemoryError):
            _tell(f"Error: this needs more memory than there is: {error or 'try fewer rows'}")
            return 1
        else:
            raise
        return error.exit_code
    return code if isinstance(code, int) else 0  # the code of ctx.exit, which --help calls


def _stopped(number: signal.Signals) -> int:
    _tell(signals.message(number))
    return 128 + number


def _tell(text: str) -> None:
    """Print to standard error, with control characters (of a file name, say) made visible."""
    print(printable(text, keep="\n"), file=sys.stderr)


@click.group(
    cls=_Group,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Start with `aeonnx demo`, or: aeonnx train -m vae; aeonnx export -m vae",
)
@click.version_option(__version__, message="aeonnx %(version)s")
def cli() -> None:
    """Train autoencoders in PyTorch and export them as verified ONNX graphs.

    Verified: on test inputs, the outputs differ from torch's by no more than a measured
    tolerance. The graphs run with onnxruntime alone, without torch.
    """
    log.show_warnings()


for _command in (
    demo,
    train,
    runs,
    export,
    verify,
    inspect,
    encode,
    decode,
    reconstruct,
    denoise,
    score,
    classify,
    generate,
    bench,
    doctor,
    serve,
    deploy,
):
    cli.add_command(_command)

for _name, _command in commands_of(cli).items():
    _command.params.append(config_option(_name))


def main() -> None:
    """Run the `aeonnx` command."""
    streams.prepare()
    signals.prepare()
    cli(prog_name="aeonnx")
