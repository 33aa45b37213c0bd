"""Choose the widths of `--arch unet`: each candidate trained for the same time of one core.

    .venv/bin/python benchmarks/networks.py --minutes 5

Then the pixels of each block as channels in place of their cosine transform, in grey and in
colours, and colours with the widths for grey. `AEONNX_DATA/photos`, crops of 64x64 pixels in
batches of 16, noise of 0.02 to 0.3, absolute error, AdamW with a cosine from 1e-3 to 0. The PSNR is
that of the 8 test pictures with gaussian noise of 25 / 255, not clipped, after the training. Equal
time favours small networks; a long training shows what a larger one gains. The data is that of the
tests, so that the choice and docs/training.md's figures are of the same pictures.
"""

from __future__ import annotations

import argparse
import functools
import math
import os
import time
from pathlib import Path

os.environ.update(OMP_NUM_THREADS="1")

import numpy as np
import torch
from machine import describe
from PIL import Image
from torch import Tensor, nn
from torchvision.transforms.functional import pil_to_tensor

from aeonnx.models import configure
from aeonnx.models._unet import UNet, multiple_of

DATA = Path(os.environ.get("AEONNX_DATA", "../shared/data")) / "photos"
CROP, BATCH, RATE, WARMUP = 64, 16, 1e-3, 200
GREY, COLOURS = (configure("dae", "unet", (channels, CROP, CROP)).hidden for channels in (1, 3))
WIDTHS = ((16, 32, 64), (32, 64, 128), GREY, (24, 48, 96, 192), (32, 64, 128, 256))
SIGMA = 25 / 255
LEVELS = (0.02, 0.3)
COLUMNS = "`--hidden` | parameters | million multiply-adds per thousand pixels | steps | PSNR, dB |"


def pictures(part: str, channels: int) -> list[Tensor]:
    """Pictures in [0, 1], float32 [channels, H, W] each."""
    files = sorted((DATA / part).glob("*.png"))
    if not files:
        raise SystemExit(f"{DATA / part} holds no picture: set AEONNX_DATA")
    mode = "L" if channels == 1 else "RGB"
    return [pil_to_tensor(Image.open(path).convert(mode)).float() / 255 for path in files]


def crops(photos: list[Tensor], random: np.random.Generator) -> Tensor:
    """A batch of random crops, turned and mirrored at random: [BATCH, C, CROP, CROP]."""
    found = []
    for _ in range(BATCH):
        photo = photos[random.integers(len(photos))]
        top, left = (int(random.integers(size - CROP + 1)) for size in photo.shape[1:])
        crop = photo[:, top : top + CROP, left : left + CROP]
        crop = torch.rot90(crop, int(random.integers(4)), (1, 2))
        found.append(crop.flip(2) if random.random() < 0.5 else crop)
    return torch.stack(found)


@torch.no_grad()
def tested(network: nn.Module, photos: list[Tensor], multiple: int) -> float:
    """Mean PSNR in dB of the test pictures, cut to allowed sizes."""
    noise = torch.Generator().manual_seed(0)
    found = []
    for photo in photos:
        height, width = (size // multiple * multiple for size in photo.shape[1:])
        x = photo[None, :, :height, :width]
        denoised = network(x + SIGMA * torch.randn(x.shape, generator=noise)).clamp(0, 1)
        found.append(-10 * math.log10(float((denoised - x).square().mean())))
    return float(np.mean(found))


@torch.no_grad()
def work(network: nn.Module, channels: int, side: int) -> float:
    """Millions of multiply-adds per thousand pixels."""
    total = 0

    def count(layer: nn.Module, given: tuple[Tensor, ...], made: Tensor) -> None:
        nonlocal total
        up = isinstance(layer, nn.ConvTranspose2d)
        places = given[0] if up else made
        total += places[0, 0].numel() * next(layer.parameters()).numel()

    hooks = [
        layer.register_forward_hook(count)
        for layer in network.modules()
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)
    ]
    network(torch.rand(1, channels, side, side))
    for hook in hooks:
        hook.remove()
    return total / side**2 / 1e3


@functools.cache
def trained(widths: tuple[int, ...], minutes: float, channels: int, *, pixels: bool) -> str:
    """Train one candidate, perhaps on the pixels of blocks, and return its row of the table."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    random = np.random.default_rng(0)
    photos, network = pictures("train", channels), UNet(channels, widths)
    if pixels:
        network.blocks = torch.eye(4 * channels).reshape(network.blocks.shape)
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=0, fused=True)
    began, steps = time.process_time(), 0
    while (share := (time.process_time() - began) / (60 * minutes)) < 1:
        rate = RATE * min(1, (steps + 1) / WARMUP) * (1 + math.cos(math.pi * share)) / 2
        optimizer.param_groups[0]["lr"] = rate
        x = crops(photos, random)
        level = torch.empty(BATCH, 1, 1, 1).uniform_(*LEVELS)
        loss = (network(x + level * torch.randn_like(x)) - x).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        steps += 1
    psnr = tested(network.eval(), pictures("test", channels), multiple_of(widths))
    named = ",".join(map(str, widths))
    size = sum(value.numel() for value in network.parameters())
    side = 4 * multiple_of(widths)
    amount = work(network, channels, side)
    return f"| {named} | {size:,} | {amount:.1f} | {steps:,} | {psnr:.2f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description="Choose the widths of --arch unet.")
    parser.add_argument("--minutes", type=float, default=6, help="of a core, per candidate")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/networks.md"))
    options = parser.parse_args()
    lines = [
        "# Widths of `--arch unet`",
        "",
        f"{describe()}, torch {torch.__version__}, one thread; {options.minutes:g} minutes of "
        "training each, grey, sigma 25 of 255 (`benchmarks/networks.py`).",
        "",
        f"| {COLUMNS}",
        "|---|---|---|---|---|",
    ]
    for widths in WIDTHS:
        lines.append(trained(widths, options.minutes, 1, pixels=False))
        print(lines[-1], flush=True)
    lines += [
        "",
        "After as many minutes, with the pixels of each block of 2x2 as channels, and with their "
        "cosine transform:",
        "",
        f"| | {COLUMNS}",
        "|---|---|---|---|---|---|",
    ]
    for channels, widths, pixels in (
        (1, GREY, True),
        (1, GREY, False),
        (3, COLOURS, True),
        (3, COLOURS, False),
        (3, GREY, False),
    ):
        name = f"{'grey' if channels == 1 else 'colours'}, {'pixels' if pixels else 'cosines'}"
        row = trained(widths, options.minutes, channels, pixels=pixels)
        lines.append(f"| {name} {row}")
        print(lines[-1], flush=True)
    options.output.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
