"""The command `aeonnx serve`."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aeonnx.cli.options import (
    COUNT,
    PATH,
    POSITIVE,
    bundles_argument,
    max_batch_option,
    opened,
    runtime_options,
)

if TYPE_CHECKING:
    from aeonnx.serving import Hub

__all__ = ["serve"]

_DEFAULT_TOKEN = "AEONNX_TOKEN"  # noqa: S105  # the name of a variable


@click.command(epilog="Example: aeonnx serve dist/vae dist/dae --port 8000")
@bundles_argument
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen on; 0.0.0.0 for all of this machine, which other machines reach.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8000,
    show_default=True,
    help="Port to listen on; 0 for any free port.",
)
@click.option(
    "--token-file",
    type=PATH,
    help="File with a token that requests must bear, in the header Authorization: Bearer TOKEN.  "
    f"[default: the variable {_DEFAULT_TOKEN}, or none]",
)
@max_batch_option
@click.option(
    "--max-queue",
    type=COUNT,
    default=1024,
    show_default=True,
    help="Most rows of a model that wait; the server refuses more with status 503.",
)
@click.option(
    "--max-body",
    type=COUNT,
    default=64,
    show_default=True,
    help="Largest body of a request in MiB, also after decompression.",
)
@click.option(
    "--max-pixels",
    type=COUNT,
    default=100,
    show_default=True,
    help="Most pixels of a picture, in millions.",
)
@click.option(
    "--timeout",
    type=POSITIVE,
    default=30.0,
    show_default=True,
    help="Seconds after which the server gives up a request, waiting and computing together.",
)
@click.option(
    "--stop-timeout",
    type=POSITIVE,
    default=25.0,
    show_default=True,
    help="Seconds that requests have to finish after SIGTERM.",
)
@click.option(
    "--no-access-log",
    is_flag=True,
    help="Do not write a line of JSON to stdout for each request.",
)
@runtime_options
def serve(
    bundles: tuple[Path, ...],
    host: str,
    port: int,
    token_file: Path | None,
    max_batch: int,
    max_queue: int,
    max_body: int,
    max_pixels: int,
    timeout: float,
    stop_timeout: float,
    no_access_log: bool,
    **how: Any,
) -> None:
    """Serve bundles over HTTP, until Ctrl-C or SIGTERM.

    Clients of the Open Inference Protocol v2 (Triton's, KServe's) work unchanged: each part is a
    model, such as vae.decoder, and its versions are 32, 16 and 8 bits. POST a picture to /denoise,
    /reconstruct or /score, and GET /generate. A page to try them is at /, a description of all
    routes at /docs, and metrics for Prometheus at /metrics.

    The server says that it is ready once each graph has given the outputs that torch gave.
    """
    from aeonnx._util.hosts import is_loopback
    from aeonnx.serving import ServeOptions, Server

    options = ServeOptions(
        host=host,
        port=port,
        token=_token(token_file),
        max_batch=max_batch,
        max_queue=max_queue,
        max_body=max_body * 2**20,
        max_pixels=max_pixels * 10**6,
        timeout=timeout,
        stop_timeout=stop_timeout,
        access_log=not no_access_log,
    )

    with ExitStack() as stack:
        found = [stack.enter_context(opened(bundle, **how, spinning=False)) for bundle in bundles]
        server = Server(found, options)
        _say(f"Starting on {server.address}")
        if options.token is None and not is_loopback(host):
            _say("Warning: whoever reaches this address can use it; --token-file asks for a token")
        server.run(lambda: _say(f"Ready: {_models(server.hub)}"))


def _models(hub: Hub) -> str:
    return ", ".join(f"{name} ({', '.join(found)})" for name, found in hub.models.items())


def _token(path: Path | None) -> str | None:
    """The token that requests must bear, if any.

    Raises:
        UsageError: the file cannot be read.
    """
    import os

    from aeonnx.serving import read_token

    # An empty variable is refused, not ignored.
    return os.environ.get(_DEFAULT_TOKEN) if path is None else read_token(path)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
