"""Options that several commands share, so that they look and work the same in all of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from aeonnx.runtime import Bundle

__all__ = [
    "COUNT",
    "INDEX",
    "PATH",
    "POSITIVE",
    "THREADS",
    "Widths",
    "bundle_argument",
    "bundles_argument",
    "force_option",
    "from_option",
    "json_option",
    "max_batch_option",
    "model_option",
    "opened",
    "output_option",
    "pixels_option",
    "provider_option",
    "providers_of",
    "refuse_two_documents",
    "runtime_options",
    "tile_options",
    "weights_option",
]

F = TypeVar("F", bound=Callable[..., Any])

PATH = click.Path(path_type=Path)
COUNT = click.IntRange(1, 2**31 - 1)
INDEX = click.IntRange(0, 2**63 - 1)
THREADS = click.IntRange(1, 4096)
POSITIVE = click.FloatRange(min=0, min_open=True)

bundle_argument = click.argument("bundle", type=PATH)
bundles_argument = click.argument(
    "bundles", type=PATH, nargs=-1, required=True, metavar="BUNDLES..."
)
max_batch_option = click.option(
    "--max-batch",
    type=COUNT,
    default=64,
    show_default=True,
    help="Most rows that run together.",
)


class Widths(click.ParamType):  # type: ignore[type-arg]  # click 8.1 has no arguments
    """Whole numbers, such as "400,200" on the command line and [400, 200] in a file."""

    name = "widths"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        try:
            words = value.split(",") if isinstance(value, str) else value
            return tuple(int(word) for word in words if word != "")
        except ValueError:
            self.fail(f"expected whole numbers such as 400,200, got {value!r}", param, ctx)


def json_option(document: str) -> Callable[[F], F]:
    """--json; `document` says in words what is printed."""
    return click.option(
        "--json",
        "as_json",
        is_flag=True,
        help=f"Print one JSON document to stdout instead of text: {document}.",
    )


def refuse_two_documents(output: str | None, *, as_json: bool) -> None:
    """Raise if both the results and the JSON document would go to stdout."""
    if as_json and output == "-":
        raise click.UsageError(
            "--json prints to stdout, and so does -o -: give -o a file, or leave --json out"
        )


def model_option(example: str, *, required: bool = True) -> Callable[[F], F]:
    """-m/--model, any text: the library checks the name and suggests the nearest one."""
    return click.option(
        "-m", "--model", required=required, help=f"Name of the model, such as {example}."
    )


def output_option(help_text: str, *, required: bool = False) -> Callable[[F], F]:
    """-o/--output."""
    return click.option("-o", "--output", type=PATH, required=required, help=help_text)


def force_option(help_text: str) -> Callable[[F], F]:
    """--force."""
    return click.option("--force", is_flag=True, help=help_text)


provider_option = click.option(
    "--provider",
    default="auto",
    show_default=True,
    help="Execution provider: auto uses CUDA if it loads, else the CPU. With cpu, cuda or another "
    "of onnxruntime's, the command fails if that one cannot run.",
)
_precision_option = click.option(
    "--precision",
    default="fp32",
    show_default=True,
    help="Precision of the graphs to run, one of those in the bundle: fp32, fp16 or int8; auto "
    "uses the fastest that reproduces its golden vectors on this machine.",
)
_threads_option = click.option(
    "--threads",
    type=THREADS,
    help="Number of threads that each graph runs with.  [default: the cores this process may use]",
)
pixels_option = click.option(
    "--pixels",
    is_flag=True,
    help="Write arrays as uint8 pixels instead of float32, a quarter of the size.",
)


from_option = click.option(
    "--from",
    "from_source",
    metavar="SOURCE:LOCATION",
    help="Model from elsewhere: diffusers:FOLDER, transformers:FOLDER and pythae:FOLDER read what "
    "these libraries saved; module:mine:build is a function in your own code that returns a torch "
    "module which names its parts.",
)
weights_option = click.option(
    "--weights",
    type=PATH,
    help="Weights to load into the module of --from module:..., a .pt, .pth, .ckpt or .safetensors "
    "file.",
)


def runtime_options(command: F) -> F:
    """--provider, --precision and --threads, the arguments of `opened`."""
    return provider_option(_precision_option(_threads_option(command)))


def tile_options(command: F) -> F:
    """--tile and --overlap, further arguments of `opened`."""
    for option in (
        click.option(
            "--overlap",
            type=click.IntRange(0, 2**31 - 1),
            metavar="M",
            help="Pixels, or other places, that tiles share where they are not exact: they are "
            "blended there.  [default: a quarter of a tile]",
        ),
        click.option(
            "--tile",
            type=COUNT,
            metavar="N",
            help="Run larger inputs in tiles of N places of each axis, such as N x N pixels. They "
            "give the result of the whole if the part has a margin on each axis (see aeonnx "
            "inspect), and a note on stderr says so if not.  [default: none, or of 512 x 512 "
            "pixels for very large inputs if that is exact]",
        ),
    ):
        command = option(command)
    return command


def opened(
    bundle: Path,
    provider: str,
    precision: str,
    threads: int | None,
    tile: int | None = None,
    overlap: int | None = None,
    *,
    spinning: bool = True,
) -> Bundle:
    """Open a bundle with the values of `runtime_options`, and of `tile_options` if there are.

    Without spinning, the threads of a graph sleep between its runs, as those of a server should.

    Until the command ends, it takes no more memory than is free now: a graph that needs more for a
    large input fails with advice. CUDA takes addresses for more than it uses, so there is no limit.
    """
    from aeonnx import runtime
    from aeonnx._util.cuda_libraries import driver_problem
    from aeonnx._util.machine import limited_memory
    from aeonnx.runtime.session_options import NO_SPINNING

    if provider == "cpu" or (provider == "auto" and driver_problem()):
        click.get_current_context().with_resource(limited_memory())
    providers = providers_of(provider)
    options = {} if spinning else NO_SPINNING
    return runtime.load(
        bundle,
        providers,
        precision=precision,
        threads=threads,
        session_options=options,
        tile=tile,
        overlap=overlap,
    )


def providers_of(name: str) -> list[str] | None:
    """Convert the value of --provider to the `providers` of `aeonnx.load`."""
    return None if name == "auto" else [name]
