"""The last step of the demo, in a process without torch: verify the bundle and draw with it.

Run as `python -m aeonnx.tools.demo.drawing BUNDLE DIGITS`; the pictures are written beside DIGITS.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import numpy as np

from aeonnx.bundle import shape_at
from aeonnx.errors import GoldenMismatchError
from aeonnx.io import images
from aeonnx.io.readers import read_images

__all__ = ["main"]

_TRAINING_SIDE = ("torch", "torchvision", "onnx", "onnxscript")
_SAMPLES, _SEED = 64, 7


def main(bundle_path: Path, digits_path: Path) -> None:
    """Verify the bundle and write samples.png and reconstructions.png."""
    for name in _TRAINING_SIDE:
        sys.modules[name] = None  # type: ignore[assignment]  # importing it raises from now on
    try:
        importlib.import_module("torch")
    except ImportError:
        print(f"importing {', '.join(_TRAINING_SIDE)} raises here")
    from aeonnx import runtime

    bundle = runtime.load(bundle_path)
    report = runtime.verify(bundle)
    if not report.passed:
        raise GoldenMismatchError("\n".join(report.failures))
    print(f"golden vectors: {len(report.checks)} outputs match torch's within tolerance")

    samples = bundle.generate(_SAMPLES, seed=_SEED)
    folder = digits_path.parent
    images.write_grid(folder / "samples.png", samples, scale=3, force=True)
    (x,) = bundle.inputs("encoder")
    digits = read_images(digits_path, shape_at(x.shape[1:], {}))
    reconstructed = bundle.reconstruct(digits)
    pairs = np.concatenate([digits.astype(np.float32) / 255, reconstructed])
    path = folder / "reconstructions.png"
    images.write_grid(path, pairs, columns=len(digits), scale=2, force=True)
    print(
        f"drew {_SAMPLES} samples from seed {_SEED} and {len(digits)} reconstructions "
        f"on {bundle.provider}"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
