"""The command line: parse, import what the command needs, one call, print. No logic.

Results go to stdout, progress to stderr. Exit codes: 0 done, 1 failed, 2 usage, 3 parity or golden
mismatch, 4 environment, 130 Ctrl-C.
"""

from __future__ import annotations

from typing import Any

import click

from aeonnx import __version__
from aeonnx.cli.bench import bench
from aeonnx.cli.bundles import export, inspect, verify
from aeonnx.cli.demo import demo
from aeonnx.cli.doctor import doctor
from aeonnx.cli.train import train
from aeonnx.cli.verbs import classify, decode, denoise, encode, generate, reconstruct
from aeonnx.errors import AeonnxError

__all__ = ["cli", "main"]


class _Group(click.Group):
    """The one place where errors become exit codes, and typos get a suggestion."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except AeonnxError as error:
            click.echo(f"Error: {error}", err=True)
            ctx.exit(error.exit_code)
        except KeyboardInterrupt:
            click.echo("Stopped.", err=True)
            ctx.exit(130)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            import difflib

            near = difflib.get_close_matches(args[0], self.commands, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            ctx.fail(f"no such command {args[0]!r}.{hint} Known: {', '.join(self.commands)}.")
        return super().resolve_command(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(self.commands)  # in the order of use, not of the alphabet


@click.group(
    cls=_Group,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Start with `aeonnx demo`, or: aeonnx train -m vae; aeonnx export -m vae",
)
@click.version_option(__version__, message="aeonnx %(version)s")
def cli() -> None:
    """Autoencoders from PyTorch to ONNX graphs that are proven equal to torch.

    The graphs run with onnxruntime alone: no torch.
    """


for _command in (
    demo,
    train,
    export,
    verify,
    inspect,
    encode,
    decode,
    reconstruct,
    denoise,
    classify,
    generate,
    bench,
    doctor,
):
    cli.add_command(_command)


def main() -> None:
    """The `aeonnx` command."""
    cli(prog_name="aeonnx")
