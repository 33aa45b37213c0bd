"""Export an autoencoder of your own: any `nn.Module` that names its parts.

python examples/your_own_module.py [FOLDER]
aeonnx export --from module:your_own_module:build -m mine   # the same, in examples/
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor, nn

import aeonnx
from aeonnx.models import EncodeDecode, Part, image, latent, scorer

SHAPE = (3, 32, 32)


class Mine(nn.Module):
    """A small convolutional autoencoder for colour images."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(3, 16, 4, 2, 1), nn.GELU(), nn.Flatten(), nn.Linear(16 * 16 * 16, 32)
        )
        self.decoder = nn.Sequential(
            nn.Linear(32, 16 * 16 * 16),
            nn.Unflatten(1, (16, 16, 16)),
            nn.GELU(),
            nn.ConvTranspose2d(16, 3, 4, 2, 1),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """What training calls; the export does not need it."""
        reconstruction: Tensor = self.decoder(self.encoder(x))
        return reconstruction

    def parts(self) -> dict[str, Part]:
        """Which graphs there are to be, with names, shapes and ranges of their tensors."""
        x, z = image("x", SHAPE, "image"), latent("z", 32, "latent")
        y = image("reconstruction", SHAPE, "reconstructed image")
        whole = Part(EncodeDecode(self.encoder, self.decoder), (x,), (y,))
        return {
            "encoder": Part(self.encoder, (x,), (z,)),
            "decoder": Part(self.decoder, (z,), (y,)),
            "reconstructor": whole,
            "scorer": scorer(whole),
        }


def build() -> Mine:
    """The trained module; here random weights stand for those of a file.

    Of a file: `aeonnx.checkpoint.load_weights(model, "weights.pth")`.
    """
    torch.manual_seed(0)
    return Mine()


def main() -> None:
    """Write the bundle and run its encoder without the module."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", nargs="?", type=Path, default=Path("example-mine"))
    arguments = parser.parse_args()

    module = f"module:{Path(__file__).stem}:build"
    exported = aeonnx.export("mine", arguments.folder, from_source=module)
    print(f"{len(exported.report.checks)} comparisons with torch passed")
    bundle = aeonnx.load(arguments.folder)
    z = bundle.encode(torch.rand(2, *SHAPE))
    print(f"latents: {z.dtype} {list(z.shape)}")


if __name__ == "__main__":
    main()
