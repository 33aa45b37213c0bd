"""Options that several commands share, so that they look and work the same everywhere."""

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
    "bundle_argument",
    "force_option",
    "from_module_option",
    "json_option",
    "model_option",
    "opened",
    "output_option",
    "pixels_option",
    "provider_option",
    "providers_of",
    "runtime_options",
    "weights_option",
]

F = TypeVar("F", bound=Callable[..., Any])

PATH = click.Path(path_type=Path)
COUNT = click.IntRange(1, 2**31 - 1)
INDEX = click.IntRange(0, 2**63 - 1)
THREADS = click.IntRange(1, 4096)
POSITIVE = click.FloatRange(min=0, min_open=True)

bundle_argument = click.argument("bundle", type=PATH)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON to stdout.")


def model_option(example: str, *, required: bool = True) -> Callable[[F], F]:
    """-m/--model; the library knows the names and suggests the nearest."""
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
    help="Execution provider: auto takes CUDA where it really loads, else the CPU; cpu, cuda and "
    "any other of onnxruntime's is what runs, or the command fails.",
)
_precision_option = click.option(
    "--precision",
    default="fp32",
    show_default=True,
    help="fp32, fp16 or int8, of what was exported; auto takes what is fastest on this machine "
    "and gives its golden vectors here.",
)
_threads_option = click.option(
    "--threads", type=THREADS, help="Of each graph.  [default: the cores that may be used]"
)
pixels_option = click.option(
    "--pixels", is_flag=True, help="uint8 instead of float32 in a .npy array: a quarter of it."
)


from_module_option = click.option(
    "--from-module",
    metavar="MODULE:FACTORY",
    help="A model from elsewhere: a function that returns a module which names its parts.",
)
weights_option = click.option(
    "--weights",
    type=PATH,
    help="File to load into that module: .pt, .pth, .ckpt or .safetensors.",
)


def runtime_options(command: F) -> F:
    """--provider, --precision and --threads, for `opened`."""
    return provider_option(_precision_option(_threads_option(command)))


def opened(bundle: Path, provider: str, precision: str, threads: int | None) -> Bundle:
    """The bundle, with the values of `runtime_options`."""
    from aeonnx import runtime

    providers = providers_of(provider)
    return runtime.load(bundle, providers, precision=precision, threads=threads)


def providers_of(name: str) -> list[str] | None:
    """What `aeonnx.load` takes for the value of --provider."""
    return None if name == "auto" else [name]
