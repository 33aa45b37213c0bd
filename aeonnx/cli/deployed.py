"""What `aeonnx deploy` prints: the models that were written, and how to serve them."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

import click

from aeonnx._util.text import printable
from aeonnx.bundle.summary import Table
from aeonnx.cli.tables import new_console, print_json, say, show

if TYPE_CHECKING:
    from aeonnx.deploy.kserve import Service
    from aeonnx.deploy.ray import RayOptions
    from aeonnx.deploy.triton import Repository

__all__ = ["print_config", "print_repository", "print_service"]


def print_repository(written: Repository, *, as_json: bool) -> None:
    """Print the models, the lowest release of Triton, and the command that serves them."""
    models = [*_models(written)]
    if as_json:
        print_json(
            {
                "output": str(written.output),
                "triton": written.triton,
                "models": models,
                "left_out": list(written.left_out),
                "others": list(written.others),
            }
        )
        return
    console = new_console()
    rows = (
        (
            model["name"],
            ", ".join(map(str, model["versions"])),
            str(model["max_batch_size"]),
            _listed(model["inputs"]),
            _listed(model["outputs"]),
        )
        for model in models
    )
    show(console, Table(("model", "versions", "batch", "inputs", "outputs"), tuple(rows)))
    print()
    say(f"{written.output}: needs Triton {written.triton} or newer")
    for line in written.left_out:
        say(line)
    for name in written.others:
        say(f"{name}: was there before, and is left as it was")
    folder = shlex.quote(str(written.output))
    print("\nNext:")
    say(f"  tritonserver --model-repository={folder} --disable-auto-complete-config")


def print_service(written: Service, *, as_json: bool) -> None:
    """Print what was written, and the command that applies it; on stderr if it went to stdout."""
    if as_json:
        print_json(
            {
                "output": written.output,
                "name": written.name,
                "triton": written.triton,
                "lowest_triton": written.lowest,
            }
        )
        return
    to_stdout = written.output == "-"
    where = "stdout" if to_stdout else written.output
    line = f"{where}: {written.name} on Triton {written.triton}, needs {written.lowest} or newer"
    click.echo(printable(line), err=to_stdout)
    if not to_stdout:
        print("\nNext:")
        say(f"  kubectl apply -f {shlex.quote(written.output)}")


def print_config(options: RayOptions, *, as_json: bool) -> None:
    """Print what was written, and the command that runs it; nothing if it went to stdout."""
    if as_json:
        print_json(
            {"output": options.output, "bundles": [str(bundle) for bundle in options.bundles]}
        )
    elif options.output != "-":
        names = ", ".join(bundle.absolute().name for bundle in options.bundles)
        say(f"{options.output}: {names} on Ray Serve")
        print("\nNext:")
        say(f"  serve run {shlex.quote(options.output)}")


def _models(written: Repository) -> Any:
    """Of each model what clients need, from its configuration."""
    parts = {model.name: model.part for model in written.models}
    for name, config in written.configs.items():
        found: dict[str, Any] = dict(config)
        yield {
            "name": name,
            "part": parts.get(name),
            "versions": found["version_policy"]["specific"]["versions"],
            "max_batch_size": found["max_batch_size"],
            "inputs": [_tensor(item) for item in found["input"]],
            "outputs": [_tensor(item) for item in found["output"]],
        }


def _tensor(item: dict[str, Any]) -> dict[str, Any]:
    return {key: item[key] for key in ("name", "data_type", "dims")}


def _listed(tensors: list[dict[str, Any]]) -> str:
    return ", ".join(
        f"{item['name']} {item['data_type'].removeprefix('TYPE_')} {list(item['dims'])}"
        for item in tensors
    )
