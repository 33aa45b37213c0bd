"""Other servers of the same graph, each in a virtual environment of its own."""

from __future__ import annotations

import json
import subprocess
import venv
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import onnxruntime

from serving.servers import ROOT, Command, Server, free_port
from serving.target import Target
from serving.wires import lists, plain

__all__ = ["SETUP", "peers"]

_HANDLERS = Path(__file__).with_name("handlers")
_SHARED = (f"onnxruntime=={onnxruntime.__version__}", f"numpy=={version('numpy')}")
_HTTP = ("uvicorn[standard]==0.54.0", "uvloop==0.23.0", "httptools==0.9.0", "pydantic==2.14.4")
_PACKAGES: Mapping[str, Sequence[str]] = {
    "naive": ("fastapi==0.165.0", "starlette==1.10.0", *_HTTP),
    "litserve": ("litserve==0.2.19", "fastapi==0.165.0", "pyzmq==27.3.0", *_HTTP),
    "mlserver": ("mlserver==1.7.1", "fastapi==0.115.14", "orjson==3.13.0", *_HTTP),
}
"""What is installed for each, beside the onnxruntime and numpy of this environment."""
_BATCH, _BATCH_S = 64, 0.001  # as in handlers/lit.py
SETUP = (
    f"{', '.join(packages[0].replace('==', ' ') for packages in _PACKAGES.values())}; the latter "
    f"two join up to {_BATCH} requests that come within {_BATCH_S * 1e3:g} ms. All three take and "
    "give JSON."
)
"""The servers in a sentence."""


def peers(target: Target, work: Path) -> list[Server]:
    """The servers; installs what is missing."""
    naive, lit, ml = (_environment(name) for name in _PACKAGES)
    graph = str(target.graph)

    def naive_command(port: int) -> Command:
        words = [str(naive / "uvicorn"), "naive:app", "--app-dir", str(_HANDLERS)]
        return Command([*words, "--port", str(port)], {"GRAPH": graph})

    def lit_command(port: int) -> Command:
        return Command([str(lit / "python"), str(_HANDLERS / "lit.py"), graph, str(port)])

    def ml_command(port: int) -> Command:
        folder = work / "mlserver"
        folder.mkdir(exist_ok=True)
        (folder / "settings.json").write_text(json.dumps(_settings(port)))
        (folder / "model-settings.json").write_text(json.dumps(_model_settings(graph)))
        words = [str(ml / "mlserver"), "start", str(folder)]
        return Command(words, {"PYTHONPATH": str(_HANDLERS)}, folder)

    return [
        Server("FastAPI, session.run", naive_command, plain()),
        Server("LitServe", lit_command, plain()),
        Server("MLServer", ml_command, lists(target, "model")),
    ]


def _settings(port: int) -> dict[str, object]:
    """Of MLServer: in one process, which suits one core, and without debugging."""
    return {
        "host": "127.0.0.1",
        "http_port": port,
        "grpc_port": free_port(),
        "metrics_port": free_port(),
        "parallel_workers": 0,
        "debug": False,
    }


def _model_settings(graph: str) -> dict[str, object]:
    return {
        "name": "model",
        "implementation": "mlserver_runtime.Runtime",
        "max_batch_size": _BATCH,
        "max_batch_time": _BATCH_S,
        "parameters": {"uri": graph},
    }


def _environment(name: str) -> Path:
    """The folder of programs of a peer's environment, which is made unless it is there."""
    folder = ROOT / "build" / "peers" / name
    wanted = "\n".join((*_PACKAGES[name], *_SHARED))
    done = folder / "installed.txt"
    if not done.exists() or done.read_text() != wanted:
        venv.create(folder, with_pip=True, clear=True)
        pip = [str(folder / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, *_PACKAGES[name], *_SHARED], check=True)
        done.write_text(wanted)
    return folder / "bin"
