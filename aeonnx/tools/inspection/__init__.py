"""Inspection of bundles: the nodes of a graph, and an HTML page of facts, pictures and nodes."""

from __future__ import annotations

from aeonnx._util.optional import require_modules

require_modules("onnx", extra="train", purpose="reading a graph")

from aeonnx.tools.inspection.graph import Graph, Initializer, Node, Value, read_graph
from aeonnx.tools.inspection.page import write_page

__all__ = ["Graph", "Initializer", "Node", "Value", "read_graph", "write_page"]
