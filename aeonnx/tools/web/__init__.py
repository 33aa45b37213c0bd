"""The browser demo: a static page, the engine and models it runs, and a local server."""

from __future__ import annotations

from aeonnx.tools.web.engine import install_engine
from aeonnx.tools.web.server import Server
from aeonnx.tools.web.site import SHOWN, DemoFiles, build_site, existing_files, own_files

__all__ = [
    "SHOWN",
    "DemoFiles",
    "Server",
    "build_site",
    "existing_files",
    "install_engine",
    "own_files",
]
