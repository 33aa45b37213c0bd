"""The command `aeonnx doctor`."""

from __future__ import annotations

import click

from aeonnx.cli.options import json_option

__all__ = ["doctor"]


@click.command(epilog="Example: aeonnx doctor --provider cuda")
@click.option(
    "--provider",
    default="auto",
    show_default=True,
    help="Execution provider that has to run, such as cuda; auto accepts any.",
)
@json_option(
    "an object with `versions`, `cuda`, `cpu`, `driver`, `gpus`, `libraries`, `providers`, "
    "`requested`, `telemetry` and `problems` (texts)"
)
def doctor(provider: str, as_json: bool) -> None:
    """Check what runs on this machine, what is missing, and how to fix it.

    Runs a small graph on every execution provider of the installed onnxruntime, each in a process
    of its own. Exits with 4 if the one named by --provider does not run, or if none does.
    """
    from aeonnx.cli import diagnosis
    from aeonnx.tools.doctor import examine

    found = examine(None if provider == "auto" else provider)
    diagnosis.print_diagnosis(found, as_json=as_json)
    found.require_runnable()
