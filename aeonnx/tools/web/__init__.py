"""The browser demo: a static page, what it runs, and a server for one's own machine."""

from __future__ import annotations

from aeonnx.tools.web.engine import install_engine
from aeonnx.tools.web.server import Server
from aeonnx.tools.web.site import SHOWN, Made, build_site, made_in

__all__ = ["SHOWN", "Made", "Server", "build_site", "install_engine", "made_in"]
