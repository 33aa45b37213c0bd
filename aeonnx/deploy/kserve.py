"""Writes an InferenceService of KServe, which runs Triton on a model repository in a storage."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path

from aeonnx.bundle import manifest
from aeonnx.deploy.models import models_of
from aeonnx.deploy.releases import NEWEST, lowest_release, require_release
from aeonnx.deploy.writing import write_text
from aeonnx.errors import UsageError

__all__ = ["KserveOptions", "Service", "write_service"]

_LONGEST = 53  # KServe appends "-predictor", and the whole may have 63 characters
_NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_URI = re.compile(r"[a-z][a-z0-9+.-]*://[!#-\[\]-~]+")  # printable ASCII but space, " and \
_MEMORY = re.compile(r"[1-9][0-9]{0,8}(Mi|Gi|Ti)")

_TEMPLATE = """\
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata:
  name: {name}
spec:
  predictor:
    minReplicas: 1
    model:
      modelFormat:
        name: triton
      protocolVersion: v2
      runtimeVersion: {version}
      storageUri: {uri}
      args:
        - --disable-auto-complete-config
      resources:
        requests:
{resources}
        limits:
{resources}
"""


@dataclass(frozen=True)
class KserveOptions:
    """What to write, and what a replica gets.

    Args:
        bundle: the bundle's folder.
        storage_uri: where the repository that `write_repository` wrote is stored.
        output: file, or "-" for stdout.
        name: of the service; None for one made of the name of the bundle's folder.
        triton: release of Triton; None for the newest known.
        gpu: whether a replica gets a GPU.
        cpus: cores of a replica.
        memory: of a replica, such as "4Gi".
        force: replace an existing file.

    Raises:
        UsageError: a value is not allowed.
    """

    bundle: Path
    storage_uri: str
    output: str
    name: str | None = None
    triton: str | None = None
    gpu: bool = False
    cpus: int = 2
    memory: str = "4Gi"
    force: bool = False

    def __post_init__(self) -> None:
        if not _URI.fullmatch(self.storage_uri):
            raise UsageError(
                "--storage-uri: expected the address of the model repository, such as "
                f"s3://bucket/repo, without spaces and quotes, got {self.storage_uri!r}"
            )
        if not _MEMORY.fullmatch(self.memory):
            raise UsageError(f"--memory: expected a size such as 4Gi or 512Mi, got {self.memory!r}")
        if not 1 <= self.cpus < 2**31:
            raise UsageError(f"--cpus: expected 1 or more, got {self.cpus}")

    @property
    def service(self) -> str:
        """The name of the service.

        Raises:
            UsageError: it is no name that Kubernetes allows.
        """
        folder = Path(os.path.abspath(self.bundle)).name
        made = re.sub(r"[^a-z0-9]+", "-", folder.lower()).strip("-")
        name = made if self.name is None else self.name
        if not _NAME.fullmatch(name) or len(name) > _LONGEST:
            raise UsageError(
                f"--name: expected at most {_LONGEST} lower-case letters, digits and -, beginning "
                f"with a letter, got {name!r}"
                + (f", made of the folder's name {folder!r}" if self.name is None else "")
            )
        return name


@dataclass(frozen=True)
class Service:
    """An InferenceService that was written.

    Args:
        output: its file, or "-" for stdout.
        name: its name.
        triton: the release that it runs.
        lowest: the lowest release that runs all graphs of the bundle.
    """

    output: str
    name: str
    triton: str
    lowest: str


def write_service(options: KserveOptions) -> Service:
    """Write the InferenceService of a bundle.

    Raises:
        UsageError: the release of Triton is too old for a graph, or the service has no valid name.
        BundleError: there is no bundle, or no known release of Triton runs one of its graphs.
        OutputError: the file exists and `force` is not set, or cannot be written.
    """
    name = options.service
    lowest = lowest_release(models_of(manifest.read(options.bundle), name))
    triton = require_release(NEWEST if options.triton is None else options.triton, lowest)
    text = _TEMPLATE.format(
        name=_quoted(name),
        version=_quoted(f"{triton}-py3"),
        uri=_quoted(options.storage_uri),
        resources=_resources(options),
    )
    write_text(options.output, text, force=options.force)
    return Service(options.output, name, triton, lowest)


def _resources(options: KserveOptions) -> str:
    amounts = {"cpu": str(options.cpus), "memory": options.memory}
    if options.gpu:
        amounts["nvidia.com/gpu"] = "1"
    return "\n".join(f"          {name}: {_quoted(amount)}" for name, amount in amounts.items())


def _quoted(text: str) -> str:
    """A text in quotes, as YAML reads it: ASCII texts are quoted as in JSON."""
    return json.dumps(text)
