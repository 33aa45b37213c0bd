"""Export one AutoencoderKL of diffusers with aeonnx and with optimum-onnx, and seed faults.

    python benchmarks/side_by_side.py --work FOLDER [-o benchmarks/results/side_by_side.md]

Needs diffusers and optimum-onnx. optimum-onnx wants an older transformers than the rest here, so it
is best installed in an environment that also finds the packages of .venv:

    python -m venv TOOLS
    (cd .venv/lib/python3*/site-packages && pwd) > $(echo TOOLS/lib/python3*/site-packages)/main.pth
    TOOLS/bin/pip install optimum-onnx "transformers<4.58" diffusers
    PYTHONPATH=. TOOLS/bin/python benchmarks/side_by_side.py --work FOLDER

optimum-onnx exports whole pipelines; here, its functions for the autoencoder of a pipeline are
called with the autoencoder alone, and validate it as `optimum-cli export onnx` does. Each fault is
then put into the graphs of either exporter, which are judged again as they were at export.
"""

from __future__ import annotations

import argparse
import copy
import math
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from children import Child, run
from faults import FAULTS
from faults.graphs import Graph
from machine import describe
from onnx import ModelProto
from torch import Tensor

from aeonnx import load
from aeonnx.catalog.source import Source
from aeonnx.errors import AeonnxError
from aeonnx.exporting.capture.program import program_of
from aeonnx.exporting.sources.external import from_source
from aeonnx.exporting.verify.effort import Comparison, comparisons
from aeonnx.exporting.verify.inputs import compare_sizes
from aeonnx.models import Part
from aeonnx.runtime import Session
from aeonnx.runtime.compare import merged

ROOT = Path(__file__).resolve().parents[1]
_PARTS = ("encoder", "decoder")
_SIZES = ((1, 64, 64), (2, 64, 64), (1, 96, 32), (3, 32, 32))  # batch, height, width
_GENERAL = (
    *("one weight wrong", "bias lost", "padding on one side", "kernel flipped"),
    *("epsilon of a norm", "scale of attention lost", "weights rounded to half precision"),
)
"""Faults of benchmarks/faults, also at a hundredth of their size; three more are below."""
_FROZEN = "height and width of the trace frozen"
_SHARE = ", times "
_LATENTS = 4  # channels


def save_model(folder: Path) -> None:
    """Save a small AutoencoderKL with random weights, as diffusers does."""
    from diffusers import AutoencoderKL

    torch.manual_seed(0)
    model = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=(16, 32, 32),
        norm_num_groups=8,
        latent_channels=_LATENTS,
        sample_size=32,
    )
    model.eval().save_pretrained(folder)


def timed(*command: str) -> Child:
    """Run a command of Python in a process of its own.

    Raises:
        RuntimeError: it failed.
    """
    child = run([sys.executable, *command], cwd=ROOT)
    if child.code:
        raise RuntimeError(child.said)
    return child


class Optimum:
    """The autoencoder as optimum-onnx exports it.

    Args:
        model: folder of the model.
        output: folder of the graphs.
    """

    def __init__(self, model: Path, output: Path) -> None:
        from diffusers import AutoencoderKL
        from optimum.exporters.onnx import model_configs  # noqa: F401  # registers those of VAEs
        from optimum.exporters.tasks import TasksManager
        from optimum.exporters.utils import _get_submodels_for_export_diffusion

        self._vae = AutoencoderKL.from_pretrained(model).eval()
        parts = _get_submodels_for_export_diffusion(_Pipeline(self._vae))
        self.output = output
        self.models = {}
        for name in _PARTS:
            module = parts[f"vae_{name}"]
            config = TasksManager.get_exporter_config_constructor(
                model=module,
                exporter="onnx",
                library_name="diffusers",
                task="semantic-segmentation",
                model_type=f"vae-{name}",
            )
            self.models[name] = (module, config(module.config))

    def export(self) -> None:
        """Write both graphs and validate them, as `optimum-cli export onnx` does."""
        from optimum.exporters.onnx.convert import export_models, validate_models_outputs

        self.output.mkdir(parents=True, exist_ok=True)
        _, names = export_models(self.models, self.output)
        validate_models_outputs(self.models, names, self.output, use_subprocess=False)

    def path(self, part: str) -> Path:
        """The file of a part."""
        return self.output / f"{part}.onnx"

    def sides(self) -> dict[str, int]:
        """Height and width of the images with which it traces and validates each part."""
        found = {}
        for part, (_, config) in self.models.items():
            (x,) = config.generate_dummy_inputs(framework="pt").values()
            found[part] = x.shape[2] * (4 if part == "decoder" else 1)
        return found

    def exact(self, part: str, x: Tensor) -> Tensor:
        """What the original gives in float64."""
        module = copy.deepcopy(self._vae).double()
        with torch.no_grad():
            if part == "encoder":
                moments: Tensor = module.encode(x.double())["latent_dist"].parameters
                return moments
            made: Tensor = module.decode(x.double()).sample
            return made

    def accepts(self, part: str, graph: ModelProto) -> bool:
        """Whether its validation passes, with the limit of its configuration, 3e-4."""
        from optimum.exporters.onnx.convert import validate_model_outputs

        module, config = self.models[part]
        path = self.output / "seeded.onnx"
        onnx.save(graph, path)
        names = [value.name for value in graph.graph.output]
        try:
            validate_model_outputs(config, module, path, names, use_subprocess=False)
        except Exception:  # its errors about values, shapes and names, or of onnxruntime
            return False
        return True


class _Pipeline(SimpleNamespace):
    """What optimum-onnx reads of a pipeline that has nothing but an autoencoder."""

    def __init__(self, vae: Any) -> None:
        super().__init__(vae=vae, config=SimpleNamespace(), unet=None)


class Aeonnx:
    """The autoencoder as aeonnx exports it.

    Args:
        model: folder of the model.
        bundle: folder of the graphs.
        latents: "plain", or "scaled" for latents times the model's scaling factor.
    """

    def __init__(self, model: Path, bundle: Path, latents: str = "plain") -> None:
        source = Source(from_source=f"diffusers:{model}", latents=latents)
        self.parts: Mapping[str, Part] = from_source(source, "kl").model.parts()
        self.bundle = bundle
        self._programs = {name: program_of(self.parts[name]) for name in _PARTS}
        self._plans = {name: comparisons(self.parts[name]) for name in _PARTS}

    def path(self, part: str) -> Path:
        """The file of a part."""
        return load(self.bundle).path(part)

    def exact(self, part: str, x: Tensor) -> Tensor:
        """What the original gives in float64, several outputs side by side."""
        module = copy.deepcopy(self.parts[part].module).double()
        with torch.no_grad():
            found = module(x.double())
        return torch.cat(found, 1) if isinstance(found, tuple) else found

    def accepts(self, part: str, graph: ModelProto) -> bool:
        """Whether the gate passes it, at all sizes and batches."""
        path = self.bundle.parent / "seeded.onnx"
        onnx.save(graph, path)
        try:
            session = Session(path, ["cpu"])
            plan = self._plans[part]
            # What is refused at the smallest size need not be compared at the others.
            for some in ([min(plan, key=_pixels)], plan):
                found, _ = compare_sizes(
                    part, self.parts[part], session, self._programs[part], {}, some
                )
                if not merged(found).passed:
                    return False
        except AeonnxError:
            return False
        return True


def _pixels(item: Comparison) -> int:
    return math.prod(item.sizes.values())


def _takes_latents(graph: Graph) -> bool:
    return bool(graph.model.graph.input[0].type.tensor_type.shape.dim[1].dim_value == _LATENTS)


def _frozen(side: int, graph: Graph) -> bool:
    """The height and width of the trace in the signature."""
    for value in [*graph.model.graph.input, *graph.model.graph.output]:
        small = (value in graph.model.graph.input) == _takes_latents(graph)
        for axis in value.type.tensor_type.shape.dim[2:4]:
            axis.ClearField("dim_param")
            axis.dim_value = side // 4 if small else side
    return True


def _swapped(graph: Graph) -> bool:
    """Mean and log variance swapped; in one tensor, its halves."""
    if FAULTS["outputs swapped"].change(graph, 1.0):
        return True
    node = graph.producer(graph.model.graph.output[0].name)
    if node is None or _takes_latents(graph):
        return False
    right = graph.wrapped(node)
    places = graph.store(np.roll(np.arange(2 * _LATENTS), _LATENTS))
    graph.wrap(node, graph.emit("Gather", right, places, axis=1))
    return True


def seeded(name: str, right: ModelProto, side: int) -> ModelProto | None:
    """A graph with a fault; None if the fault does not apply to it."""
    if name == "none":
        return right
    own = {"outputs swapped": _swapped, _FROZEN: partial(_frozen, side)}
    if name in own:
        graph = Graph(copy.deepcopy(right))
        return graph.model if own[name](graph) else None
    kind, _, share = name.partition(_SHARE)
    return FAULTS[kind].apply(right, float(share or 1))


def verdicts(exporter: Optimum | Aeonnx, sides: Mapping[str, int]) -> dict[str, list[str]]:
    """Verdicts on the graphs of an exporter, encoder and decoder, by fault."""
    found: dict[str, list[str]] = {}
    smaller = [f"{name}{_SHARE}0.01" for name in _GENERAL]
    for name in ("none", *_GENERAL, "outputs swapped", _FROZEN, *smaller):
        for part in _PARTS:
            graph = seeded(name, onnx.load(exporter.path(part)), sides[part])
            if graph is None:
                verdict = "does not apply"
            else:
                verdict = "passed" if exporter.accepts(part, graph) else "refused"
            found.setdefault(name, []).append(verdict)
            print(f"{name}, {part}: {verdict}", file=sys.stderr)
    return found


def largest_error(exporter: Optimum | Aeonnx, part: str) -> float:
    """The largest difference of a graph from its own torch original in float64."""
    session = onnxruntime.InferenceSession(exporter.path(part), providers=["CPUExecutionProvider"])
    (name,) = [value.name for value in session.get_inputs()]
    generator, worst = torch.Generator().manual_seed(0), 0.0
    for rows, height, width in _SIZES:
        size = (3, height, width) if part == "encoder" else (4, height // 4, width // 4)
        x = torch.randn(rows, *size, generator=generator).clamp(-1, 1)
        right = exporter.exact(part, x)
        found = np.concatenate(session.run(None, {name: x.numpy()}), axis=1)
        worst = max(worst, float(np.abs(found - right.numpy()).max()))
    return worst


def report(
    both: Mapping[str, Optimum | Aeonnx],
    costs: Mapping[str, Child],
    errors: Mapping[str, list[float]],
    found: Mapping[str, Mapping[str, list[str]]],
) -> str:
    """The two tables in Markdown."""
    sizes = ", ".join("x".join(map(str, size)) for size in _SIZES)
    lines = [
        f"{describe('diffusers', 'optimum-onnx')}. AutoencoderKL, random weights.",
        "",
        f"Errors are the largest at {sizes} (batch, height, width), from float64.",
        "",
        f"| | {' | '.join(both)} |",
        "|---|---|---|",
        f"| seconds | {' | '.join(f'{costs[tool].seconds:.0f}' for tool in both)} |",
        f"| peak memory, MB | {' | '.join(f'{costs[tool].megabytes:.0f}' for tool in both)} |",
    ]
    for at, part in enumerate(_PARTS):
        weights = (f"{exporter.path(part).stat().st_size / 1e6:.2f}" for exporter in both.values())
        lines.append(f"| {part}, MB | {' | '.join(weights)} |")
        lines.append(f"| {part}, error | {' | '.join(f'{errors[t][at]:.1e}' for t in both)} |")
    lines += ["", "| fault | part | " + " | ".join(both) + " |", "|---|---|---|---|"]
    for name in found["aeonnx"]:
        for at, part in enumerate(_PARTS):
            cells = (found[tool][name][at] if name in found[tool] else "-" for tool in both)
            lines.append(f"| {name} | {part} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Export, seed, judge, and write the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--work", type=Path, required=True, help="folder for models and graphs")
    parser.add_argument("-o", "--output", type=Path, help="Markdown file to write")
    parser.add_argument("--only-optimum", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    work = options.work.resolve()
    model, bundle, graphs = work / "model", work / "bundle", work / "optimum"
    if options.only_optimum:
        Optimum(model, graphs).export()
        return
    work.mkdir(parents=True, exist_ok=True)
    save_model(model)
    export = ("-m", "aeonnx", "export", "--from", f"diffusers:{model}", "-m", "kl", "--force")
    costs = {
        "aeonnx": timed(*export, "-o", str(bundle)),
        "optimum-onnx": timed(__file__, "--work", str(work), "--only-optimum"),
    }
    theirs = Optimum(model, graphs)
    both: dict[str, Optimum | Aeonnx] = {"aeonnx": Aeonnx(model, bundle), "optimum-onnx": theirs}
    errors = {
        tool: [largest_error(exporter, part) for part in _PARTS] for tool, exporter in both.items()
    }
    sides = theirs.sides()
    found = {tool: verdicts(exporter, sides) for tool, exporter in both.items()}
    # Graphs of plain latents, judged as scaled ones; optimum-onnx leaves scaling to programs.
    scaled = Aeonnx(model, bundle, latents="scaled")
    found["aeonnx"]["scaling factor lost"] = [
        "passed" if scaled.accepts(part, onnx.load(scaled.path(part))) else "refused"
        for part in _PARTS
    ]
    text = report(both, costs, errors, found)
    print(text)
    if options.output:
        options.output.write_text(text)


if __name__ == "__main__":
    main()
