"""The command `aeonnx deploy ray`."""

from __future__ import annotations

from typing import Any

import click

from aeonnx.cli.inputs import PATH_NAME
from aeonnx.cli.options import (
    COUNT,
    PATH,
    POSITIVE,
    THREADS,
    bundles_argument,
    force_option,
    json_option,
    max_batch_option,
    refuse_two_documents,
)

__all__ = ["ray"]


@click.command(epilog="Example: aeonnx deploy ray dist/vae dist/dae -o serve.yaml --replicas 4")
@bundles_argument
@click.option(
    "-o", "--output", type=PATH_NAME, required=True, help="File to write, or - for stdout."
)
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address that each machine listens on; 0.0.0.0 for all of a machine, which others reach.",
)
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    default=8000,
    show_default=True,
    help="Port that each machine listens on.",
)
@click.option(
    "--replicas", type=COUNT, default=1, show_default=True, help="Number of replicas (processes)."
)
@click.option(
    "--max-replicas",
    type=COUNT,
    help="Let Ray run more replicas under load, up to this number.  [default: that of --replicas]",
)
@click.option("--gpu", is_flag=True, help="Give each replica a GPU, and run all graphs on CUDA.")
@click.option(
    "--cpus",
    type=THREADS,
    default=1,
    show_default=True,
    help="Number of cores of each replica; on the CPU, also of the threads of each graph.",
)
@click.option(
    "--precision",
    default="fp32",
    show_default=True,
    help="Precision that /denoise and the like run: fp32, fp16, int8 or auto.",
)
@click.option(
    "--token-file",
    type=PATH,
    help="File with a token that requests must bear, at this path on all machines.",
)
@max_batch_option
@click.option(
    "--max-queue",
    type=COUNT,
    default=1024,
    show_default=True,
    help="Most requests that wait at a proxy, and most rows of a model in a replica; more are "
    "refused with status 503.",
)
@click.option(
    "--timeout",
    type=POSITIVE,
    default=30.0,
    show_default=True,
    help="Seconds after which a replica gives up a request, waiting and computing together.",
)
@force_option("Replace an existing file.")
@json_option("an object with `output` (path) and `bundles` (paths)")
def ray(output: str, as_json: bool, **how: Any) -> None:
    """Write a configuration file for Ray Serve.

    Each replica is a process with the routes of `aeonnx serve`, which answers once its graphs have
    given the outputs that torch gave. Replicas need `pip install "aeonnx[cpu,serve,scale]"`.
    """
    from aeonnx.cli import deployed
    from aeonnx.deploy.ray import RayOptions, write_config

    refuse_two_documents(output, as_json=as_json)
    options = RayOptions(output=output, **how)
    write_config(options)
    deployed.print_config(options, as_json=as_json)
