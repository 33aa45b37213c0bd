"""Export public models with random weights, and tabulate what came of it.

    python benchmarks/zoo.py --work FOLDER [--only NAME ...] [-o benchmarks/results/zoo.md]

Needs diffusers, transformers, pythae and monai. Each model is saved as its library saves it, and
`aeonnx export` reads it in a process of its own. FOLDER keeps one line of JSON for each model, so
that a stopped run goes on where it was; the table has all models that are there.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT))  # behind the libraries, which may have modules of their own here

import numpy as np  # noqa: E402

from benchmarks.children import Child, run  # noqa: E402
from benchmarks.zoo_models import MODELS  # noqa: E402

_COLUMNS = (
    *("model", "part", "s", "capture", "gate", "MB", "error / floor", "sizes", "batches"),
    *("tiles", "fp16", "int8", "torch", "bare"),
)
_ROUNDS, _SECONDS = 5, 0.1
_ROWS = 16  # inputs that reduced precision is measured on


@dataclass(frozen=True)
class Outcome:
    """What came of one model.

    Args:
        name, family: of the model.
        seconds, megabytes: time and peak memory of the export.
        refusal: the error of the export; "" if there is none.
        parts: measurements by part, see `_measured`.
        variants: "yes", or the refusal, by precision; empty where the model takes codes alone.
    """

    name: str
    family: str
    seconds: float
    megabytes: float
    refusal: str = ""
    parts: dict[str, dict[str, Any]] = field(default_factory=dict)
    variants: dict[str, str] = field(default_factory=dict)


def aeonnx(*arguments: str) -> Child:
    """Run a command of aeonnx with one thread."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    return run([sys.executable, "-m", "aeonnx", *arguments], cwd=ROOT, env=environment)


def measure(name: str, work: Path) -> Outcome:
    """Save a model, export it, and measure what was written."""
    entry = MODELS[name]
    source, bundle = entry.location(work / name), work / f"{name}.bundle"
    export = ("export", "--from", source, "-m", "zoo", "-o", str(bundle))
    done = aeonnx(*export, "--force")
    if done.code:
        return Outcome(name, entry.family, done.seconds, done.megabytes, _refusal(done.said))
    rows = _calibration(bundle, work / f"{name}.npy")
    variants = _variants(export, rows) if rows else {}
    parts = dict(_measured(bundle, source))
    return Outcome(name, entry.family, done.seconds, done.megabytes, "", parts, variants)


def again(done: Outcome, work: Path) -> Outcome:
    """The same with speeds that are measured again, of the bundle that is there."""
    bundle = work / f"{done.name}.bundle"
    if done.refusal or not bundle.exists():
        return done
    return replace(
        done, parts=dict(_measured(bundle, MODELS[done.name].location(work / done.name)))
    )


def _variants(export: tuple[str, ...], rows: Path) -> dict[str, str]:
    """Whether each precision is exported, or why not."""
    asked = {key: ("--precision", key) for key in ("fp16", "int8")}
    given = (*export, "--calibration", str(rows))
    if not aeonnx(*given, *asked["fp16"], *asked["int8"]).code:
        return dict.fromkeys(asked, "yes")
    tried = {key: aeonnx(*given, *words) for key, words in asked.items()}
    return {key: _refusal(child.said) if child.code else "yes" for key, child in tried.items()}


def _refusal(said: str) -> str:
    """The error that a command wrote, without its progress."""
    lines = [line for line in said.splitlines() if line and not line.startswith("Exporting ")]
    at = next((i for i, line in enumerate(lines) if line.startswith("Error")), -3)
    return " ".join(" ".join(lines[at:]).split())[:600]


def _calibration(bundle: Path, file: Path) -> Path | None:
    """Smooth random inputs of the size at which the model was compared; None if it takes codes."""
    from aeonnx import load

    opened = load(bundle)
    for part in ("encoder", "denoiser", "reconstructor"):
        for variant in opened.manifest.parts.get(part, {}).values():
            x = variant.inputs[0]
            stored = opened.read_golden(variant.golden[0].inputs[x.name])
            if stored.dtype.kind != "f":
                return None
            rows = np.random.default_rng(0).random((_ROWS, *stored.shape[1:2], *_coarse(stored)))
            for axis, size in enumerate(stored.shape[2:], start=2):
                rows = rows.take(np.arange(size) * rows.shape[axis] // size, axis)
            low, high = x.range or (-1.0, 1.0)
            np.save(file, (low + (high - low) * rows).astype(np.float32))
            return file
    return None


def _coarse(stored: Any) -> list[int]:
    return [min(size, 5) for size in stored.shape[2:]]


def _measured(bundle: Path, source: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Evidence of the parts from the manifest, and their speed at batch 1.

    `capture` is what torch.export and the conversion alone take. `torch` and `bare` are times of
    eager torch and of onnxruntime alone, divided by aeonnx's.
    """
    import torch

    from aeonnx import load
    from aeonnx.catalog.source import Source
    from aeonnx.exporting.capture.program import capture
    from aeonnx.exporting.sources.external import from_source

    torch.set_num_threads(1)
    declared = from_source(Source(from_source=source), "zoo").model.parts()
    opened = load(bundle, ["CPUExecutionProvider"], threads=1)
    for name, variants in opened.manifest.parts.items():
        if name not in declared:  # the sampler
            continue
        variant = variants["fp32"]
        checks = [check for found in variant.parity.values() for check in found]
        worst = max(checks, key=lambda check: check.error / (check.tolerance or 1.0))
        stored = variant.golden[0].inputs
        row = {key: opened.read_golden(value)[:1] for key, value in stored.items()}
        speed = _speed(opened, name, row, declared[name].module)
        start = time.perf_counter()
        capture(declared[name], variant.opset)
        capturing = time.perf_counter() - start
        yield (
            name,
            {
                "error": worst.error,
                "floor": worst.noise_floor,
                "sizes": _distinct(check.sizes for check in checks),
                "batches": list(variant.parity_batches),
                "bytes": variant.bytes,
                "capture": capturing,
                "tiles": _tiled(bundle, name, variant),
                **speed,
            },
        )


def _tiled(bundle: Path, part: str, variant: Any) -> float | None:
    """The largest difference between an input as a whole and in its smallest exact tiles.

    Returns:
        It, over the tolerance of the output; None if the part looks at the whole.
    """
    from aeonnx import load
    from aeonnx.runtime.tiles import can_tile, least_side, sized_axes

    if not can_tile(variant):
        return None
    axes = sized_axes(variant)
    step = math.lcm(*(axis.multiple for axis in axes.values()))
    side = -(-max(map(least_side, axes.values())) // step) * step
    first, *others = axes  # all are cut, and the first more often
    row = _random(variant, {first: 2 * side + step, **dict.fromkeys(others, side + step)})
    whole, tiles = (load(bundle, ["cpu"], **how).run(part, **row) for how in ({}, {"tile": side}))
    return max(
        float(np.abs(whole[name].astype(np.float64) - tiles[name]).max())
        / max(check.tolerance for check in checks)
        for name, checks in variant.parity.items()
    )


def _random(variant: Any, sizes: dict[str, int]) -> dict[str, Any]:
    """A row of each input at these sizes."""
    from aeonnx.bundle import shape_at

    rng, row = np.random.default_rng(0), {}
    for spec in variant.inputs:
        shape = shape_at(spec.shape, {**sizes, "batch": 1})
        low, high = spec.range or (-1, 1)
        if spec.dtype.startswith("int"):
            row[spec.name] = rng.integers(int(low), int(high) + 1, shape, spec.dtype)
        else:
            row[spec.name] = rng.uniform(low, high, shape).astype(spec.dtype)
    return row


def _speed(bundle: Any, part: str, row: dict[str, Any], module: Any) -> dict[str, float]:
    import onnxruntime
    import torch

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    bare = onnxruntime.InferenceSession(
        bundle.path(part), options, providers=["CPUExecutionProvider"]
    )
    tensors = [torch.from_numpy(np.array(value)) for value in row.values()]

    def eager() -> None:
        with torch.inference_mode():
            module(*tensors)

    contenders = {
        "aeonnx": lambda: bundle.run(part, **row),
        "bare": lambda: bare.run(None, row),
        "torch": eager,
    }
    times: dict[str, list[float]] = {key: [] for key in contenders}
    for call in contenders.values():
        call()
    for _ in range(_ROUNDS):  # in turns, so that what else runs here slows all
        for key, call in contenders.items():
            times[key].append(_once(call))
    found = {key: median(values) for key, values in times.items()}
    return {"ms": found["aeonnx"] * 1e3} | {
        key: found[key] / found["aeonnx"] for key in ("bare", "torch")
    }


def _once(call: Any) -> float:
    """Seconds of a call, on average over some."""
    start, count = time.perf_counter(), 0
    while count == 0 or time.perf_counter() - start < _SECONDS:
        call()
        count += 1
    return (time.perf_counter() - start) / count


def _distinct(items: Iterator[dict[str, int]]) -> list[dict[str, int]]:
    found: list[dict[str, int]] = []
    for item in items:
        if item and item not in found:
            found.append(item)
    return found


def table(outcomes: list[Outcome]) -> str:
    """The results in Markdown, those that were refused last."""
    from machine import describe  # type: ignore[import-not-found]  # beside this file

    passed = [item for item in outcomes if not item.refusal]
    lines = [
        f"{describe()}. {len(passed)} of {len(outcomes)} models were exported. One thread.",
        "",
        f"| {' | '.join(_COLUMNS)} |",
        f"|{'---|' * len(_COLUMNS)}",
    ]
    for item in passed:
        said = [item.variants.get(key, "-") for key in ("fp16", "int8")]
        verdicts = [word if word in ("yes", "-") else "no" for word in said]
        gate = item.seconds - sum(found["capture"] for found in item.parts.values())
        for part, found in item.parts.items():
            sizes = ", ".join("x".join(map(str, size.values())) for size in found["sizes"])
            cells = [
                *(item.name, part, f"{item.seconds:.0f}", f"{found['capture']:.0f}"),
                *(f"{gate:.0f}", f"{item.megabytes:.0f}"),
                f"{found['error']:.1e} / {found['floor']:.1e}",
                *(sizes or "fixed", ", ".join(map(str, found["batches"]))),
                *("-" if found["tiles"] is None else f"{found['tiles']:.2g}", *verdicts),
                *(f"{found['torch']:.2f}", f"{found['bare']:.2f}"),
            ]
            lines.append(f"| {' | '.join(cells)} |")
    lines += ["", "| model | s | MB | refused because |", "|---|---|---|---|"]
    lines += [
        f"| {item.name} | {item.seconds:.0f} | {item.megabytes:.0f} | {_cell(item.refusal)} |"
        for item in outcomes
        if item.refusal
    ]
    lines += ["", "| model | precision | refused because |", "|---|---|---|"]
    lines += [
        f"| {item.name} | {precision} | {_cell(reason)} |"
        for item in passed
        for precision, reason in item.variants.items()
        if reason != "yes"
    ]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--work", type=Path, required=True, help="folder for what is made")
    parser.add_argument("--only", action="append", default=[], choices=[*MODELS], metavar="NAME")
    parser.add_argument("--speeds", action="store_true", help="measure speeds again, and no more")
    parser.add_argument("-o", "--output", type=Path, help="Markdown file to write")
    options = parser.parse_args()
    lines = options.work.resolve() / "outcomes.jsonl"
    lines.parent.mkdir(parents=True, exist_ok=True)
    done = _read(lines)
    for name in options.only or MODELS:
        if name in done and not options.only and not options.speeds:
            continue
        print(name, end=" ", flush=True)
        if options.speeds and name in done:
            done[name] = again(done[name], lines.parent)
        else:
            done[name] = measure(name, lines.parent)
        print(done[name].refusal or f"{done[name].seconds:.0f} s", flush=True)
        with lines.open("a") as file:  # the last line of a model counts
            file.write(f"{json.dumps(asdict(done[name]))}\n")
    text = table([done[name] for name in MODELS if name in done])
    print(text)
    if options.output:
        options.output.write_text(text)


def _read(lines: Path) -> dict[str, Outcome]:
    if not lines.exists():
        return {}
    found = [Outcome(**json.loads(line)) for line in lines.read_text().splitlines()]
    return {item.name: item for item in found}


if __name__ == "__main__":
    main()
