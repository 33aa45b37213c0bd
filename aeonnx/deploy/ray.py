"""Writes a configuration file of Ray Serve, which runs `aeonnx.scale.serve:app`."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from aeonnx.bundle import PRECISIONS, manifest
from aeonnx.bundle.versions import require_precision, require_served
from aeonnx.deploy.writing import write_text
from aeonnx.errors import UnknownNameError, UsageError
from aeonnx.scale.deployment import DEPLOYMENT, GRACE_S, deployment_options

__all__ = ["RayOptions", "write_config"]

_PRECISIONS = (*PRECISIONS, "auto")
_LONGEST = 86_400.0  # seconds

_HEAD = """\
# An application of Ray Serve, by `aeonnx deploy ray`. On one machine: serve run FILE. On a cluster:
# serve deploy FILE. All machines need these paths, aeonnx and onnxruntime in the same versions.
"""


@dataclass(frozen=True)
class RayOptions:
    """What to write, and how Ray Serve runs it.

    Args:
        bundles: folders of bundles, of different names.
        output: file, or "-" for stdout.
        host: address that Ray's proxies listen on.
        port: that they listen on.
        replicas: number of replicas, or the lowest with `max_replicas`.
        max_replicas: the highest number of replicas; None for always `replicas`.
        gpu: whether a replica gets a GPU, and runs all graphs on CUDA.
        cpus: cores of a replica.
        precision: "fp32", "fp16", "int8" or "auto".
        token_file: file with a token that requests must bear, on all machines; None for none.
        max_batch: most rows that run together.
        max_queue: most requests that wait at a proxy, and most rows of a model in a replica.
        timeout: seconds after which a replica gives a request up.
        force: replace an existing file.

    Raises:
        UsageError: a value is not allowed.
    """

    bundles: Sequence[Path]
    output: str
    host: str = "127.0.0.1"
    port: int = 8000
    replicas: int = 1
    max_replicas: int | None = None
    gpu: bool = False
    cpus: int = 1
    precision: str = "fp32"
    token_file: Path | None = None
    max_batch: int = 64
    max_queue: int = 1024
    timeout: float = 30.0
    force: bool = False

    def __post_init__(self) -> None:
        if not _is_address(self.host):
            raise UsageError(
                f"--host: expected an address such as 127.0.0.1 or 0.0.0.0, got {self.host!r}"
            )
        if self.precision not in _PRECISIONS:
            raise UnknownNameError("precision", self.precision, _PRECISIONS)
        for name, least in (("max_replicas", "replicas"), ("max_queue", "max_batch")):
            number, lowest = getattr(self, name), getattr(self, least)
            if number is not None and number < lowest:
                expected = f"{_flag(least)}, {lowest}, or more"
                raise UsageError(f"{_flag(name)}: expected {expected}, got {number}")
        if not 0 < self.timeout <= _LONGEST:
            raise UsageError(f"--timeout: expected seconds above 0, to a day, got {self.timeout:g}")


def write_config(options: RayOptions) -> None:
    """Write the configuration file.

    Raises:
        UsageError: two bundles have one name, or a name or path cannot be written.
        BundleError: there is no bundle, or no part of one in the precision.
        OutputError: the file exists and `force` is not set, or cannot be written.
    """
    folders = [Path(os.path.abspath(bundle)) for bundle in options.bundles]
    for folder in folders:
        require_precision(folder, manifest.read(folder), options.precision)
    require_served(folders)
    text = _HEAD + "".join(f"{line}\n" for line in _block(_config(options, folders)))
    write_text(options.output, text, force=options.force)


def _config(options: RayOptions, folders: Sequence[Path]) -> dict[str, Any]:
    limits: dict[str, Any] = {
        "gpu": options.gpu,
        "cpus": options.cpus,
        "max_batch": options.max_batch,
        "max_queue": options.max_queue,
        "timeout": options.timeout,
    }
    args = {
        "bundles": [str(folder) for folder in folders],
        "precision": options.precision,
        "host": options.host,
        **limits,
    }
    if options.token_file is not None:
        args["token_file"] = os.path.abspath(options.token_file)
    deployment = deployment_options(
        replicas=options.replicas, max_replicas=options.max_replicas, **limits
    )
    return {
        "proxy_location": "EveryNode",
        "http_options": {
            "host": options.host,
            "port": options.port,
            "request_timeout_s": options.timeout + GRACE_S,
        },
        "applications": [
            {
                "name": "aeonnx",
                "route_prefix": "/",
                "import_path": "aeonnx.scale.serve:app",
                "args": args,
                "deployments": [{"name": DEPLOYMENT, **deployment}],
            }
        ],
    }


def _block(config: Mapping[str, Any]) -> Iterator[str]:
    """The lines of a mapping in YAML."""
    for name, value in config.items():
        if isinstance(value, Mapping):
            yield f"{name}:"
            yield from (f"  {line}" for line in _block(value))
        elif isinstance(value, list):
            yield f"{name}:"
            for item in value:
                lines = [*_block(item)] if isinstance(item, Mapping) else [_scalar(item)]
                yield f"  - {lines[0]}"
                yield from (f"    {line}" for line in lines[1:])
        else:
            yield f"{name}: {_scalar(value)}"


def _scalar(value: bool | int | float | str) -> str:
    """A value as YAML reads it: as in JSON.

    Raises:
        UsageError: a text has a character that no line of YAML can have.
    """
    if isinstance(value, str) and not value.isprintable():
        raise UsageError(f"expected paths of printable characters, got {value!r}")
    return json.dumps(value, ensure_ascii=False)


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return host == "localhost"
    return True


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"
