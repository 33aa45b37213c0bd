"""`aeonnx doctor`."""

from __future__ import annotations

import click

from aeonnx.cli.options import json_option

__all__ = ["doctor"]


@click.command(epilog="Example: aeonnx doctor --provider cuda")
@click.option(
    "--provider",
    default="auto",
    show_default=True,
    help="Execution provider that has to run, such as cuda; auto is content with any.",
)
@json_option
def doctor(provider: str, as_json: bool) -> None:
    """Say what runs on this machine, what is missing, and what mends it.

    Every execution provider of the installed onnxruntime is given a graph to run, in a process of
    its own. Exits with 4 if the one that is asked for does not run.
    """
    from aeonnx.cli import diagnosis
    from aeonnx.tools.doctor import examine

    found = examine(None if provider == "auto" else provider)
    diagnosis.print_diagnosis(found, as_json=as_json)
    found.require_runnable()
