"""A manifest as texts and tables, for every command that shows one. Standard library only."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from aeonnx._util.text import counted
from aeonnx.bundle import BATCH, Conversion, Manifest, Prior, Quality, TensorSpec, Training

__all__ = [
    "NUMERIC",
    "Table",
    "activations",
    "facts",
    "graph_files",
    "parity",
    "quality",
    "tensors",
    "thresholds",
    "tiles",
    "training_facts",
]

_FORMS = {"psnr": "{:.3f} dB", "snr": "{:.1f} dB", "agreement": "{:.2%}"}
_DIGEST = 12  # hex digits of a digest that tables show
NUMERIC = (
    "bytes",
    "multiply-adds",
    "quality",
    "value",
    "at least",
    "threshold",
    "units",
    "inactive",
    "parameters",
    "max |error|",
    "noise floor",
    "tolerance",
    "batch",
    "threads",
    "p50 ms",
    "p99 ms",
    "rows/s",
    "of peak",
    "of memory peak",
)
"""Names of columns with numbers, which are right-aligned."""


@dataclass(frozen=True)
class Table:
    """Rows of texts under the column names in `head`."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def facts(contents: Manifest) -> dict[str, str]:
    """Facts about a bundle by name; empty ones are left out."""
    found = {
        "model": f"{contents.model} ({contents.arch})",
        "checkpoint": contents.checkpoint_id[:_DIGEST],
        "prior": _prior(contents.prior),
        "classes": ", ".join(contents.classes),
        "tools": ", ".join(f"{name} {version}" for name, version in contents.tools.items()),
    }
    return {name: fact for name, fact in found.items() if fact}


def training_facts(training: Training) -> dict[str, str]:
    """Facts about the training and test metrics by name; empty ones are left out."""
    optimizer = {"batch size": training.batch_size, "lr": training.lr, **training.optimizer}
    stages = (
        f"{stage.name}, {counted(stage.epochs, 'epoch')}: {stage.objective}"
        + (f", inputs with {stage.corruption}" if stage.corruption else "")
        for stage in training.stages
    )
    found = {
        "data": f"{training.data}: {training.train_images:,} images, {training.test_images:,} to "
        f"test ({training.data_split}), fingerprint {training.data_fingerprint[:_DIGEST]}",
        "training": _listed({"seed": training.seed, **training.options}),
        "optimizer": _listed(optimizer),
        "stages": "; ".join(stages),
        "test": _listed(training.metrics),
    }
    return {name: fact for name, fact in found.items() if fact}


def graph_files(contents: Manifest, parts: Iterable[str] | None = None) -> Table:
    """A row per graph, of all parts or of the named ones."""
    names = "part variant file bytes multiply-adds conversion quality opset onnxruntime sha256"
    rows = (
        (
            part,
            precision,
            variant.file,
            f"{variant.bytes:,}",
            "" if variant.macs is None else f"{variant.macs:,}",
            _conversion(variant.conversion),
            _quality(variant.quality),
            f"{variant.opset} (IR {variant.ir_version})",
            f">= {variant.min_onnxruntime}",
            variant.sha256[:_DIGEST],
        )
        for part in (contents.parts if parts is None else parts)
        for precision, variant in contents.parts[part].items()
    )
    return Table(tuple(names.split()), tuple(rows))


def tensors(contents: Manifest) -> Table:
    """A row per input and output; variants with the same interface share their rows."""
    head = ("part", "variant", "", "tensor", "dtype and shape", "range", "description")
    rows: list[tuple[str, ...]] = []
    for part, variants in contents.parts.items():
        shared: dict[tuple[tuple[TensorSpec, ...], ...], list[str]] = {}
        for precision, variant in variants.items():
            shared.setdefault((variant.inputs, variant.outputs), []).append(precision)
        for interface, precisions in shared.items():
            for kind, specs in zip(("in", "out"), interface, strict=True):
                rows += [(part, ", ".join(precisions), kind, *_described(spec)) for spec in specs]
    return Table(head, tuple(rows))


def parity(contents: Manifest) -> Table:
    """A row per graph, output and kind of inputs: the difference from torch."""
    head = ("", "part", "variant", "output", "inputs", "max |error|", "noise floor", "tolerance")
    rows = []
    for part, variants in contents.parts.items():
        for precision, variant in variants.items():
            for output, kinds in variant.parity.items():
                for found in kinds:
                    passed = max(found.max_abs_diff, found.error) <= found.tolerance
                    numbers = (found.max_abs_diff, found.noise_floor, found.tolerance)
                    texts = (f"{number:.1e}" for number in numbers)
                    names = (part, precision, output, f"{found.rows} {found.inputs}")
                    rows.append(("✓" if passed else "✗", *names, *texts))
    return Table(head, tuple(rows))


def activations(contents: Manifest) -> Table:
    """A row per graph with activation functions: number of units, and of inactive ones."""
    head = ("part", "variant", "units", "inactive")
    rows = [
        (part, name, f"{variant.activations.units:,}", f"{variant.activations.inactive:,}")
        for part, variants in contents.parts.items()
        for name, variant in variants.items()
        if variant.activations and variant.activations.units
    ]
    return Table(head, tuple(rows))


def tiles(contents: Manifest) -> Table:
    """A row per part with dynamic axes: how inputs that are longer than a tile run."""
    rows = []
    for part, variants in contents.parts.items():
        fp32 = variants["fp32"]
        margins = {name: axis.margin for name, axis in fp32.axes.items() if name != BATCH}
        if not margins:
            continue
        shown = ", ".join(
            f"{name} {'any' if margin is None else margin}" for name, margin in margins.items()
        )
        blending, exact = fp32.blending, None not in margins.values()
        how = f"{blending.tile}, overlap {blending.overlap}" if blending else ""
        loss = blending.loss if blending else "not measured"
        rows.append((part, shown, how, "none" if exact else loss))
    return Table(("part", "margin", "blended tiles", "loss in tiles"), tuple(rows))


def thresholds(contents: Manifest) -> Table:
    """A row per output and percentile over training images, if percentiles were measured."""
    rows = [
        (part, name, output, percentile, f"{value:.5g}")
        for part, variants in contents.parts.items()
        for name, variant in variants.items()
        for output, found in variant.percentiles.items()
        for percentile, value in found.items()
    ]
    return Table(("part", "variant", "output", "percentile", "threshold"), tuple(rows))


def _prior(prior: Prior | None) -> str:
    if prior is None:
        return "none"
    temperature = "" if prior.temperature == 1.0 else f", temperature {prior.temperature:g}"
    return f"{prior.kind}{temperature}"


def _conversion(found: Conversion | None) -> str:
    """How a graph was made of the fp32 graph, and what of it stays in fp32."""
    if found is None:
        return ""
    name = {"float16": "", "weights": "int8 weights alone"}.get(found.method, found.method)
    what = "nodes" if found.method == "float16" else "layers"
    kept = f"{found.in_fp32} of {found.of} {what} in fp32" if found.in_fp32 else ""
    return ", ".join(filter(None, (name, kept)))


def _quality(quality: dict[str, tuple[Quality, ...]] | None) -> str:
    """The worst measurement, PSNR first, then agreement; `quality` lists all of them."""
    if quality is None:
        return "as fp32"
    found = [item for items in quality.values() for item in items]
    drops = [item.drop for item in found if item.drop is not None]
    if drops:
        return f"{-max(drops):+.3f} dB"
    agreed = [item.value for item in found if item.metric == "agreement"]
    if agreed:
        return f"{min(agreed):.1%} of labels"
    return f"{min(item.value for item in found):.1f} dB SNR"


def quality(contents: Manifest) -> Table:
    """A row per output and metric of each reduced-precision variant."""
    head = ("part", "variant", "output", "sizes", "measure", "value", "at least")
    rows = []
    for part, variants in contents.parts.items():
        for name, variant in variants.items():
            for output, found in (variant.quality or {}).items():
                for item in found:
                    form = _FORMS[item.metric]
                    numbers = (form.format(item.value), form.format(item.least))
                    sizes = "x".join(map(str, item.sizes.values()))
                    rows.append((part, name, output, sizes, item.metric.upper(), *numbers))
    return Table(head, tuple(rows))


def _described(spec: TensorSpec) -> tuple[str, str, str, str]:
    shape = ", ".join(str(size) for size in spec.shape)
    bounds = f"[{spec.range[0]:.4g}, {spec.range[1]:.4g}]" if spec.range else "any"
    told = f"{spec.description}; {spec.scaling}" if spec.scaling else spec.description
    return spec.name, f"{spec.dtype} [{shape}]", bounds, told


def _listed(values: dict[str, str | float] | dict[str, float]) -> str:
    return ", ".join(
        f"{name.replace('_', ' ')} {value if isinstance(value, str) else f'{value:.5g}'}"
        for name, value in values.items()
    )
