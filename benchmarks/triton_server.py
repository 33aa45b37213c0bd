"""Serve bundles with a real Triton, and compare its answers with the golden vectors.

    .venv/bin/python benchmarks/triton_server.py dist/vae dist/dae [--gpu]
    .venv/bin/python benchmarks/triton_server.py dist/vae --server "tritonserver --id mine"

`--server` is the command of Triton; its ONNX Runtime backend has to be there. Each bundle is
written with `aeonnx deploy triton`, loaded with `--disable-auto-complete-config --exit-on-error`,
and asked over HTTP: every variant on its golden inputs, all rows and each alone, and by many
clients at once; every ensemble beside encoder and decoder one after the other. The exit code is 1
if an answer differs by more than the manifest's tolerance.
"""

from __future__ import annotations

import argparse
import shlex
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import aeonnx
from aeonnx.bundle import GoldenTensor, Variant, batch_of
from aeonnx.deploy.ensembles import Ensemble
from aeonnx.deploy.models import Model
from aeonnx.deploy.options import TritonOptions
from aeonnx.deploy.triton import Repository, write_repository
from aeonnx.runtime import Report
from aeonnx.runtime.compare import differences, merged
from aeonnx.runtime.verification import verify_variant

Array = npt.NDArray[Any]
Infer = Callable[[str, int, Mapping[str, Array]], Mapping[str, Array]]
"""(model, version, inputs) -> outputs, in the shapes that Triton takes and gives."""

CLIENTS = 16
SECONDS = 600.0
ROUNDING = 1e-5
"""Largest difference of an ensemble, whose models may run other rows beside, in other batches."""


@dataclass(frozen=True)
class _Session:
    """What `verify_variant` runs: a version of a model, in the shapes of the graph."""

    infer: Infer
    model: Model
    version: int

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """The outputs, in the order of the manifest."""
        entry = self.model.interface
        given = {spec.name: as_asked(inputs[spec.name], self.model) for spec in entry.inputs}
        made = self.infer(self.model.name, self.version, given)
        return {
            spec.name: made[spec.name][:, 0] if len(spec.shape) == 1 and self.model.batches
            else made[spec.name]
            for spec in entry.outputs
        }  # fmt: skip


def as_asked(value: Array, model: Model) -> Array:
    """A tensor in the shape that Triton takes: one value per row is [batch, 1] if it batches."""
    return value[:, None] if model.batches and value.ndim == 1 else value


@dataclass(frozen=True)
class Served:
    """A bundle whose graphs a server runs, for `verify_variant`."""

    bundle: aeonnx.Bundle
    written: Repository
    infer: Infer

    def variant(self, part: str, name: str) -> Variant:
        return self.bundle.variant(part, name)

    def session(self, part: str, name: str) -> Any:
        return next(
            _Session(self.infer, model, graph.version)
            for model in self.written.models
            for graph in model.graphs
            if (model.part, graph.variant) == (part, name)
        )

    def read_golden(self, tensor: GoldenTensor) -> Array:
        return self.bundle.read_golden(tensor)

    def verify(self, model: Model) -> list[Report]:
        """Compare each version of a model with its golden vectors: all rows, and each alone."""
        return [verify_variant(self, model.part, graph.variant) for graph in model.graphs]


def ensemble_error(served: Served, ensemble: Ensemble) -> float:
    """Largest difference of an ensemble from its two models, one after the other."""
    given: dict[str, Array] = {}
    for step in ensemble.steps:
        golden = step.model.interface.golden[0].inputs
        given = {name: served.read_golden(tensor) for name, tensor in golden.items()} | given
    fixed = batch_of(ensemble.steps[0].model.interface)
    rows = fixed or min(len(given[spec.name]) for spec in ensemble.inputs)
    tensors = {
        spec.name: as_asked(given[spec.name][:rows], ensemble.steps[0].model)
        for spec in ensemble.inputs
    }
    answer = served.infer(ensemble.name, ensemble.version, tensors)
    for step in ensemble.steps:
        inputs = {own: tensors[shared] for own, shared in step.inputs.items()}
        made = served.infer(step.model.name, ensemble.version, inputs)
        tensors |= {shared: made[own] for own, shared in step.outputs.items()}
    errors = (
        differences(answer[spec.name], tensors[spec.name])[0].max() for spec in ensemble.outputs
    )
    return float(max(errors))


@contextmanager
def serving(command: list[str], repository: Path) -> Iterator[str]:
    """Run Triton on a repository: yields its address when it is ready."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [*command, f"--model-repository={repository}", "--disable-auto-complete-config"]
    words += ["--exit-on-error=true", f"--http-port={port}", "--http-address=127.0.0.1"]
    words += ["--allow-grpc=false", "--allow-metrics=false"]
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(words, stdout=log, stderr=subprocess.STDOUT)
        try:
            _wait(f"127.0.0.1:{port}", process)
            yield f"127.0.0.1:{port}"
        except BaseException:
            log.seek(0)
            print(log.read()[-20_000:], file=sys.stderr)
            raise
        finally:
            process.terminate()
            process.wait(60)


def asking(address: str, ask: Callable[[Any], Any]) -> Any:
    """What `ask(client)` returns, with a client of its own, since none is for several threads."""
    from tritonclient.http import InferenceServerClient

    client = InferenceServerClient(address)
    try:
        return ask(client)
    finally:
        client.close()


def _wait(address: str, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + SECONDS
    while process.poll() is None and time.monotonic() < until:
        with suppress(OSError):
            if asking(address, lambda client: client.is_server_ready()):
                return
        time.sleep(0.5)
    raise RuntimeError(f"Triton is not ready: exit code {process.poll()}")


def over_http(address: str) -> Infer:
    """Ask a server over HTTP with tritonclient."""
    from tritonclient.http import InferInput
    from tritonclient.utils import np_to_triton_dtype

    def infer(model: str, version: int, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        tensors = []
        for name, value in inputs.items():
            tensor = InferInput(name, list(value.shape), np_to_triton_dtype(value.dtype))
            tensors.append(tensor.set_data_from_numpy(np.ascontiguousarray(value)))
        answer = asking(address, lambda client: client.infer(model, tensors, str(version)))
        names = [output["name"] for output in answer.get_response()["outputs"]]
        return {name: answer.as_numpy(name) for name in names}

    return infer


def counted(address: str, model: str) -> tuple[int, int]:
    """How many requests of a model the server has answered, and in how many runs."""
    found = asking(address, lambda client: client.get_inference_statistics(model))["model_stats"]
    requests = sum(int(item["inference_stats"]["success"]["count"]) for item in found)
    return requests, sum(int(item["execution_count"]) for item in found)


def main() -> int:
    """Print a table of the answers, and return the exit code."""
    from machine import describe  # in this script's folder, which tests cannot import from

    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("bundles", type=Path, nargs="+")
    parser.add_argument("--server", default="tritonserver", help="command that starts Triton")
    parser.add_argument("--gpu", action="store_true", help="run the models on GPUs")
    options = parser.parse_args()
    version, rows, failures = "", [], []
    for folder in options.bundles:
        with tempfile.TemporaryDirectory() as place:
            asked = TritonOptions(folder, Path(place) / "repo", gpu=options.gpu, max_batch=64)
            written = write_repository(asked)
            with serving(shlex.split(options.server), written.output) as address:
                served = Served(aeonnx.load(folder), written, over_http(address))
                version = asking(address, lambda client: client.get_server_metadata())["version"]
                for row, found in compare(served, address):
                    rows.append(row)
                    failures += found
    print(f"{describe()}, Triton {version}.\n")
    print("| model | versions | clients | requests per run | of tolerance |\n|---|---|---|---|---|")
    print(*rows, sep="\n")
    for line in dict.fromkeys(failures):
        print(line, file=sys.stderr)
    return int(bool(failures))


def compare(served: Served, address: str) -> Iterator[tuple[str, list[str]]]:
    """A row per model, asked by one client and by many, and what is wrong."""
    for clients, model in product((1, CLIENTS), served.written.models):
        before = counted(address, model.name)
        with ThreadPoolExecutor(clients) as pool:
            found = [*pool.map(served.verify, [model] * clients)]
        requests, runs = np.subtract(counted(address, model.name), before)
        report = merged([report for each in found for report in each])
        share = max(check.needed / check.tolerance for check in report.checks)
        versions = ", ".join(str(graph.version) for graph in model.graphs)
        yield (
            f"| {model.name} | {versions} | {clients} | {requests / runs:.1f} | {share:.2f} |",
            [f"{model.name}, {clients} clients: {line}" for line in report.failures],
        )
    for ensemble in served.written.ensembles:
        error = ensemble_error(served, ensemble)
        line = f"off by {error:.1e} from its two models"
        wrong = [] if error <= ROUNDING else [f"{ensemble.name}: {line}"]
        yield f"| {ensemble.name} | {ensemble.version} | 1 | | {line} |", wrong


if __name__ == "__main__":
    sys.exit(main())
