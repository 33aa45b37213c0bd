"""The browser demo: a static page, the engine and models it runs, and a local server."""

from __future__ import annotations

from aeonnx.tools.web.engine import install_engine
from aeonnx.tools.web.server import Server
from aeonnx.tools.web.site import SHOWN, Made, build_site, made_in

__all__ = ["SHOWN", "Made", "Server", "build_site", "install_engine", "made_in"]
