"""Small graphs for the tools, stored as the bytes that onnx writes. Standard library only.

Bundles run where the onnx package is not installed, and onnxruntime cannot build a graph in Python.
`text` is the source, in onnx's own language (`onnx.parser`). After a change to it, the test of this
module fails with the bytes that onnx writes for it.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["MATMUL", "MATMUL_FLOAT16", "NEG", "SQUARE", "StoredGraph"]


@dataclass(frozen=True)
class StoredGraph:
    """A graph.

    Args:
        text: for `onnx.parser.parse_model`.
        data: bytes of the same graph, for onnxruntime.
    """

    text: str
    data: bytes


_HEAD = '<ir_version: 8, opset_import: ["" : 13]> '

SQUARE = StoredGraph(
    _HEAD + "square (float[2, 2] x) => (float[2, 2] y) { y = MatMul(x, x) }",
    bytes.fromhex(
        "08083a470a130a01780a017812017922064d61744d756c3a0012067371756172655a130a0178120e0a0c0801"
        "12080a0208020a02080262130a0179120e0a0c080112080a0208020a02080242040a00100d"
    ),
)
"""Of fixed sizes, which every execution provider supports."""

MATMUL = StoredGraph(
    _HEAD + "matmul (float[m, k] a, float[k, n] b) => (float[m, n] c) { c = MatMul(a, b) }",
    bytes.fromhex(
        "08083a620a130a01610a016212016322064d61744d756c3a0012066d61746d756c5a150a016112100a0e0801"
        "120a0a0312016d0a0312016b5a150a016212100a0e0801120a0a0312016b0a0312016e62150a016312100a0e"
        "0801120a0a0312016d0a0312016e42040a00100d"
    ),
)

MATMUL_FLOAT16 = StoredGraph(
    _HEAD + "matmul (float16[m, k] a, float16[k, n] b) => (float16[m, n] c) { c = MatMul(a, b) }",
    bytes.fromhex(
        "08083a620a130a01610a016212016322064d61744d756c3a0012066d61746d756c5a150a016112100a0e080a"
        "120a0a0312016d0a0312016b5a150a016212100a0e080a120a0a0312016b0a0312016e62150a016312100a0e"
        "080a120a0a0312016d0a0312016e42040a00100d"
    ),
)

NEG = StoredGraph(
    _HEAD + "neg (float[n] a) => (float[n] c) { c = Neg(a) }",
    bytes.fromhex(
        "08083a380a0d0a016112016322034e65673a0012036e65675a100a0161120b0a09080112050a0312016e6210"
        "0a0163120b0a09080112050a0312016e42040a00100d"
    ),
)
