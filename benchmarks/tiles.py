"""Denoise a large picture in tiles and whole: speed and peak memory, in Python, C++ and the page.

    .venv/bin/python benchmarks/tiles.py [-o benchmarks/results/tiles.md]

The denoiser is a DnCNN of 5 convolutions and 16 channels with random weights: a whole picture of 24
megapixels takes seconds and some GB, so that tiles can be compared with it. (The usual 17 layers of
64 channels would take 60 times as long.) Each round runs tiles and whole once, one after the other;
figures are medians. A whole run that does not fit in memory is left out. Python runs on an array in
a process of its own, from pixels to pixels. C++ is the whole command, with reading and writing
PNGs; that it runs whole is reached by a copy of the bundle whose margins are null. The page runs
its modules in a headless Chromium, one thread of WebAssembly. The peak is that of the process, in
Chromium of the largest of its processes. `make clients` builds C++ and fetches the page's engine.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from machine import describe
from PIL import Image
from torch import Tensor, nn

import aeonnx
from aeonnx.bundle import Axis, TensorSpec
from aeonnx.exporting import ExportOptions, export
from aeonnx.models import Part
from clients.proof import browser, languages

LAYERS, CHANNELS = 5, 16
CLIENTS = ("Python", "C++", "page")
RATIO, MEMORY = 0.8, 1000
"""What tiles must reach: their share of the speed of the whole, and their peak in MB."""

PYTHON = """
import sys, time
import numpy as np
from PIL import Image
import aeonnx
Image.MAX_IMAGE_PIXELS = None
bundle = aeonnx.load({bundle!r}, ["cpu"])
pixels = np.asarray(Image.open({picture!r}))[None, None]
bundle.denoise(pixels[..., :600, :600], pixels=True)
began = time.perf_counter()
bundle.denoise(pixels, pixels=True)
print(time.perf_counter() - began)
"""
PAGE = """async ([where, height, width, whole]) => {
  const bundle = await open_bundle(where);
  await bundle.ready("denoiser");
  const pixels = new Uint8Array(height * width);
  for (let at = 0, n = 1; at < pixels.length; at++) pixels[at] = (n = (n * 48271) % 65537) >> 8;
  await bundle.denoise(pixels.slice(0, 600 * 600), [600, 600]);
  const began = performance.now();
  await bundle.denoise(pixels, [height, width], whole ? { whole: Infinity } : {});
  const seconds = (performance.now() - began) / 1e3;
  await bundle.close();
  return seconds;
}"""

Run = Callable[[bool], float]
"""Denoises the picture, whole or in tiles; returns the seconds that it took."""


class DnCNN(nn.Module):
    """Zhang et al. 2017 without batch norm: x minus the noise that convolutions find."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        widths = [1, *[CHANNELS] * (LAYERS - 1), 1]
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [nn.Conv2d(before, after, 3, padding=1), nn.ReLU()]
        self.noise = nn.Sequential(*layers[:-1])

    def forward(self, x: Tensor) -> Tensor:
        denoised: Tensor = (x - 0.1 * self.noise(x)).clamp(0.0, 1.0)
        return denoised

    def parts(self) -> dict[str, Part]:
        """The denoiser alone."""
        shape = ("batch", 1, "height", "width")
        x, y = (TensorSpec(n, shape, range=(0.0, 1.0), kind="image") for n in ("x", "denoised"))
        axes = {name: Axis(1, min=8) for name in ("height", "width")}
        return {"denoiser": Part(self, (x,), (y,), axes=axes)}


@dataclass
class Figures:
    """Seconds and peaks in MB of a client, whole (True) and in tiles (False)."""

    seconds: dict[bool, list[float]] = field(default_factory=lambda: {True: [], False: []})
    peaks: dict[bool, list[float]] = field(default_factory=lambda: {True: [], False: []})


class Peak:
    """The largest memory that any process below this one had, in MB, while the block ran."""

    def __enter__(self) -> Peak:
        self.mb, self._over = 0.0, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.02):
            self.mb = max([self.mb, *_resident()])


def _resident() -> Iterator[float]:
    """MB that each process below this one has now."""
    parents: dict[int, tuple[int, float]] = {}
    for path in Path("/proc").glob("[0-9]*/status"):
        try:
            lines = dict(line.split(":", 1) for line in path.read_text().splitlines())
        except OSError:  # it ended
            continue
        if "VmRSS" in lines:
            kilobytes = float(lines["VmRSS"].split()[0])
            parents[int(path.parent.name)] = (int(lines["PPid"]), kilobytes / 1024)
    below = {_self()}
    while more := {p for p, (parent, _) in parents.items() if parent in below} - below:
        below |= more
    yield from (parents[process][1] for process in below - {_self()} if process in parents)


def _self() -> int:
    return int(Path("/proc/self").resolve().name)


def python(bundle: Path, whole: Path, picture: Path) -> Run:
    """A process of its own, and the seconds of its call."""

    def run(at_once: bool) -> float:
        code = PYTHON.format(bundle=str(whole if at_once else bundle), picture=str(picture))
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        if done.returncode:
            raise MemoryError(done.stderr[-500:])
        return float(done.stdout)

    return run


def cpp(bundle: Path, whole: Path, picture: Path) -> Run:
    """The command, with reading and writing pictures."""
    program = languages.PROGRAMS["cpp"]

    def run(at_once: bool) -> float:
        target = picture.with_name("out.png")
        target.unlink(missing_ok=True)
        command = [*program.program, "denoise", str(whole if at_once else bundle)]
        began = time.perf_counter()
        done = languages.run([*command, str(picture), str(target)], program.environment, 3600)
        if done.returncode:
            raise MemoryError(done.stderr[-500:])
        return time.perf_counter() - began

    return run


@contextmanager
def page(bundle: Path, height: int, width: int) -> Iterator[Run]:
    """The page's modules, in a browser that goes on running; a tab of its own for each run."""
    with tempfile.TemporaryDirectory() as site, browser.opened(Path(site)) as opened:
        where = opened.copied(bundle)

        def run(at_once: bool) -> float:
            tab = opened.tab()
            try:
                return float(tab.evaluate(PAGE, [where, height, width, at_once]))
            except Exception as error:  # of playwright, or what WebAssembly says of its memory
                raise MemoryError(str(error)[-500:]) from error
            finally:
                tab.context.close()

        yield run


def measured(run: Run, rounds: int) -> Figures:
    """Seconds and peaks of both ways, after one run of tiles that does not count."""
    figures, fits = Figures(), True
    run(False)
    for _ in range(rounds):
        for whole in (False, True):
            if whole and not fits:
                continue
            try:
                with Peak() as peak:
                    figures.seconds[whole].append(run(whole))
                figures.peaks[whole].append(peak.mb)
            except MemoryError as error:
                if not whole:
                    raise
                fits = False
                print(f"the whole picture does not fit: {error}", file=sys.stderr)
    return figures


def row(name: str, figures: Figures, pixels: int) -> str:
    """A line of the table."""
    tiled = statistics.median(figures.seconds[False])
    peak = max(figures.peaks[False])
    cells = [name, f"{pixels / 1e6:.1f}", f"{pixels / tiled / 1e6:.2f}", f"{peak:,.0f}"]
    if figures.seconds[True]:
        whole = statistics.median(figures.seconds[True])
        share = whole / tiled
        good = share >= RATIO and peak <= MEMORY
        cells += [f"{pixels / whole / 1e6:.2f}", f"{max(figures.peaks[True]):,.0f}", f"{share:.0%}"]
    else:
        good = peak <= MEMORY
        cells += ["does not fit", "", ""]
    return f"| {' | '.join([*cells, 'yes' if good else 'NO'])} |"


def made(folder: Path) -> tuple[Path, Path]:
    """The bundle, and a copy whose margins are null, so that every program runs it whole."""
    bundle, whole = folder / "dncnn", folder / "whole"
    export(ExportOptions("dncnn", bundle, from_source=f"module:{__name__}:DnCNN"))
    margin = aeonnx.load(bundle).variant("denoiser").axes["height"].margin
    assert margin == LAYERS, f"the margin is {margin}"
    shutil.copytree(bundle, whole)
    contents = json.loads((whole / "manifest.json").read_text())
    for name in ("height", "width"):
        contents["parts"]["denoiser"]["fp32"]["axes"][name]["margin"] = None
    (whole / "manifest.json").write_text(json.dumps(contents))
    return bundle, whole


def main() -> None:
    """Print the table, and write it to the file of -o."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="4000x6000", help="height and width of the picture")
    parser.add_argument(
        "--page-size", default="2000x3000", help="the same, for a whole in the page"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clients", nargs="+", choices=CLIENTS, default=CLIENTS)
    parser.add_argument("-o", "--output", type=Path)
    arguments = parser.parse_args()
    height, width = map(int, arguments.size.split("x"))
    lines = [
        "| client | megapixels | tiles, MP/s | peak, MB | whole, MP/s | peak, MB | share | met |",
        "|---|---|---|---|---|---|---|---|",
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bundle, whole = made(folder)
        noise = np.random.default_rng(0).integers(0, 64, (height, width), np.uint8)
        slope = np.linspace(0, 190, width).astype(np.uint8)
        Image.fromarray(noise + slope).save(folder / "in.png")
        for client, start in (("Python", python), ("C++", cpp)):
            if client in arguments.clients:
                figures = measured(start(bundle, whole, folder / "in.png"), arguments.rounds)
                lines.append(row(client, figures, height * width))
        if "page" in arguments.clients:
            smaller = tuple(map(int, arguments.page_size.split("x")))
            for high, wide in dict.fromkeys([(height, width), smaller]):
                with page(bundle, high, wide) as run:
                    lines.append(row("page", measured(run, arguments.rounds), high * wide))
    text = (
        f"{describe('torch', 'onnxruntime', 'numpy')}. A DnCNN of {LAYERS} convolutions and "
        f"{CHANNELS} channels on one grey picture; medians of {arguments.rounds}. Met: at least "
        f"{RATIO:.0%} of the speed of the whole, and at most {MEMORY:,} MB.\n\n"
        + "\n".join(lines)
        + "\n"
    )
    print(text)
    if arguments.output:
        arguments.output.write_text(text)


if __name__ == "__main__":
    main()
