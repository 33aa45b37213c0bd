"""Measure how many correct graphs the gate refuses: export and judge random networks.

    .venv/bin/python benchmarks/random_networks.py [--count 2000] [--seed 0]
        [--log random_networks.jsonl] [-o benchmarks/results/random_networks.md]

Each seed defines one network (benchmarks/random_modules.py): layers, widths, activations, sizes and
ranges of its input. Outcomes are appended to the log, one line per seed; seeds in the log are
skipped, so that an interrupted run resumes. `--count 1 --seed N` repeats a single network.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import traceback
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

import onnx
import torch
from faults.judge import refusals
from faults.networks import Subject
from machine import describe
from random_modules import random_part

from aeonnx.errors import GraphError
from aeonnx.exporting.capture.graph import build_graph
from aeonnx.exporting.opsets import DEFAULT_OPSET

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Outcome:
    """The outcome of one network.

    Args:
        seed: defines the network.
        kind: "passed"; "refused" by the comparison; "no graph" if the export reports that it cannot
            make one; or "crash".
        reason: the first failure.
        network: its layers.
    """

    seed: int
    kind: str
    reason: str
    network: str


def outcome(seed: int) -> Outcome:
    """Build, export and judge one network."""
    part = random_part(seed)
    layers = re.sub(r"\s+", " ", str(part.module))
    try:
        graph = onnx.load_from_string(build_graph(part, DEFAULT_OPSET, {}).data)
        failures = refusals(graph, Subject(f"seed {seed}", part, graph, {}))
    except GraphError as error:
        return Outcome(seed, "no graph", str(error), layers)
    except Exception:  # a crash of the gate is an outcome, and the loop goes on
        return Outcome(seed, "crash", traceback.format_exc(limit=-1), layers)
    return Outcome(seed, "refused" if failures else "passed", "; ".join(failures[:1]), layers)


def upper_bound(refused: int, count: int) -> float:
    """The one-sided 95 % upper bound on the rate of refusals (Clopper and Pearson, 1934).

    The largest rate at which so few refusals have a probability of 5 %; about 3 / count for 0.
    """

    def at_most(rate: float) -> float:
        """The probability of `refused` or fewer refusals."""
        logs = [
            math.lgamma(count + 1)
            - math.lgamma(k + 1)
            - math.lgamma(count - k + 1)
            + k * math.log(rate)
            + (count - k) * math.log1p(-rate)
            for k in range(refused + 1)
        ]
        return sum(math.exp(value) for value in logs)

    if refused == count:
        return 1.0
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if at_most(middle) > 1 - CONFIDENCE else (low, middle)
    return high


def known(log: Path | None) -> dict[int, Outcome]:
    """The outcomes in a log, by seed."""
    if log is None or not log.exists():
        return {}
    return {item.seed: item for item in map(_read, log.read_text().splitlines())}


def _read(line: str) -> Outcome:
    return Outcome(**json.loads(line))


def report(outcomes: list[Outcome]) -> str:
    """The page: counts, the rate with its bound, and each network that did not pass."""
    kinds = Counter(item.kind for item in outcomes)
    others = [item for item in outcomes if item.kind != "passed"]
    count, refused = len(outcomes), len(others)
    reasons = Counter((item.kind, _without_numbers(item.reason)) for item in others)
    lines = [
        f"{describe('torch', 'onnxruntime', 'onnx')}. {count} random networks, all right by "
        f"construction: {', '.join(f'{kinds[kind]} {kind}' for kind in sorted(kinds))}.",
        "",
        f"Rate of false refusals: {refused / count:.2%}, below "
        f"{upper_bound(refused, count):.2%} with {CONFIDENCE:.0%} confidence.",
    ]
    if others:
        lines += ["", "| outcome | reason | networks | seeds |", "|---|---|---|---|"]
        for (kind, reason), number in reasons.most_common():
            seeds = [i.seed for i in others if _without_numbers(i.reason) == reason]
            cell = reason.replace("|", "/").replace("\n", " ")
            lines.append(f"| {kind} | {cell} | {number} | {', '.join(map(str, seeds))} |")
    return "\n".join(lines) + "\n"


def _without_numbers(reason: str) -> str:
    return re.sub(r"-?\d+(\.\d+)?(e[-+]?\d+)?", "N", reason)


def main() -> None:
    """Print refusals and the summary, and write the summary to the file of -o."""
    parser = argparse.ArgumentParser(description="How many right graphs the gate refuses.")
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0, help="of the first network")
    parser.add_argument("--log", type=Path, help="where outcomes are kept, to go on later")
    parser.add_argument("-o", "--output", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    done = known(arguments.log)
    outcomes = []
    for seed in range(arguments.seed, arguments.seed + arguments.count):
        item = done.get(seed) or outcome(seed)
        outcomes.append(item)
        if seed not in done and arguments.log:
            with arguments.log.open("a") as file:
                file.write(json.dumps(asdict(item)) + "\n")
        if item.kind != "passed":
            print(f"seed {seed}: {item.kind}: {item.reason}\n  {item.network}", flush=True)
    text = report(outcomes)
    print(text)
    if arguments.output:
        arguments.output.write_text(text)


if __name__ == "__main__":
    main()
