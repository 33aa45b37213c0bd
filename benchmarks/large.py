"""The cost of exporting a large model: diffusers' AutoencoderKL with 84 M parameters at 256x256.

    python benchmarks/large.py --work FOLDER [-o benchmarks/results/large.md]

Needs diffusers. The model has the configuration of Stable Diffusion's autoencoder and random
weights. `aeonnx export` runs in a process of its own, with all gates; the table has its time, its
peak memory, and what was compared at which sizes. Some ten minutes on two cores.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from pathlib import Path

from machine import describe

from aeonnx import load

_CHANNELS = (128, 256, 512, 512)


def save_model(folder: Path) -> int:
    """Save the model as diffusers does, and return its number of parameters."""
    import torch
    from diffusers import AutoencoderKL

    torch.manual_seed(0)
    count = len(_CHANNELS)
    model = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * count,
        up_block_types=("UpDecoderBlock2D",) * count,
        block_out_channels=_CHANNELS,
        layers_per_block=2,
        latent_channels=4,
        norm_num_groups=32,
        sample_size=256,
    )
    model.save_pretrained(folder)
    return sum(value.numel() for value in model.parameters())


def main() -> None:
    """Export the model, and write the table."""
    parser = argparse.ArgumentParser(description="The cost of exporting a large model.")
    parser.add_argument("--work", type=Path, required=True, help="folder for model and bundle")
    parser.add_argument("-o", "--output", type=Path, help="Markdown file to write")
    arguments = parser.parse_args()
    model, bundle = arguments.work / "model", arguments.work / "bundle"
    parameters = save_model(model)
    export = ["export", "--from", f"diffusers:{model}", "-m", "large", "-o", str(bundle), "--force"]
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "aeonnx", *export], check=True)
    seconds = time.perf_counter() - start
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    lines = [
        f"{describe('diffusers')}. AutoencoderKL, {parameters / 1e6:.1f} million parameters: "
        f"{seconds / 60:.1f} minutes, {(used.ru_utime + used.ru_stime) / 60:.1f} minutes of CPU "
        f"time, at most {used.ru_maxrss / 2**20:.1f} GiB of memory.",
        "",
        "| part | output | sizes | inputs | rows | error | noise floor | tolerance |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, variants in load(bundle).manifest.parts.items():
        for output, checks in variants["fp32"].parity.items():
            for check in checks:
                sizes = "x".join(map(str, check.sizes.values()))
                errors = (check.error, check.noise_floor, check.tolerance)
                numbers = " | ".join(f"{value:.1e}" for value in errors)
                cells = f"{name} | {output} | {sizes} | {check.inputs} | {check.rows}"
                lines.append(f"| {cells} | {numbers} |")
    text = "\n".join(lines) + "\n"
    print(text)
    if arguments.output:
        arguments.output.write_text(text)


if __name__ == "__main__":
    main()
