"""The demo: train a VAE on digits, export it, and draw with it in a process without torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from aeonnx import checkpoint
from aeonnx._util.subprocesses import run_module
from aeonnx.errors import AeonnxError
from aeonnx.exporting import Exported, ExportOptions, export
from aeonnx.exporting import Listener as ExportListener
from aeonnx.io import writers
from aeonnx.training import Listener as TrainListener
from aeonnx.training import Trained, TrainOptions, train

__all__ = ["DemoOutput", "draw", "export_encoder_and_decoder", "train_vae"]

_DIGITS = 16


@dataclass(frozen=True)
class DemoOutput:
    """What the process without torch printed and wrote.

    Args:
        lines: the lines that it printed.
        files: the pictures, and the digits that they were made from.
    """

    lines: tuple[str, ...]
    files: tuple[Path, ...]


def train_vae(folder: Path, listener: TrainListener | None = None) -> Trained:
    """Train `vae` on 4,000 digits into `folder/run`."""
    return train(TrainOptions("vae", folder / "run", force=True), listener)


def export_encoder_and_decoder(
    trained: Trained, listener: ExportListener | None = None
) -> Exported:
    """Export encoder and decoder into the folder `bundle`, next to the run."""
    options = ExportOptions(
        model="vae",
        output=trained.output.parent / "bundle",
        checkpoint=trained.output,
        parts=("encoder", "decoder"),
        force=True,
    )
    return export(options, listener)


def draw(trained: Trained, exported: Exported) -> DemoOutput:
    """Verify the bundle and draw with it in a fresh process in which importing torch raises.

    Raises:
        AeonnxError: that process failed; the message is its own.
    """
    folder = exported.output.parent
    digits = folder / "digits.npy"
    examples = checkpoint.load(trained.output, "vae").examples
    if examples is not None:  # always true for a run of `aeonnx train`
        test = examples.test
        writers.write(digits, test[:: len(test) // _DIGITS].numpy(), force=True)
    done = run_module("aeonnx.tools.demo.drawing", str(exported.output), str(digits))
    if done.returncode:
        raise AeonnxError(f"the process without torch failed:\n{done.stderr}")
    pictures = [folder / name for name in ("samples.png", "reconstructions.png")]
    return DemoOutput(tuple(done.stdout.splitlines()), (*pictures, digits))
