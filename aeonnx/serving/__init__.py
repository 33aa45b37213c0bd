"""Serves bundles over HTTP: the Open Inference Protocol v2, and routes for pictures.

Needs the extra `serve`; no torch.
"""

from __future__ import annotations

from aeonnx._util.optional import require_modules

require_modules(
    *("httptools", "orjson", "prometheus_client", "starlette", "uvicorn", "uvloop"),
    extra="serve",
    purpose="serving",
)

from aeonnx.serving.app import create_app
from aeonnx.serving.hub import Hub
from aeonnx.serving.options import ServeOptions, read_token
from aeonnx.serving.server import Server

__all__ = ["Hub", "ServeOptions", "Server", "create_app", "read_token"]
