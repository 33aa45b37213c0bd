"""A manifest in words and rows, for every place that shows one. Standard library only."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from aeonnx.bundle import Manifest, Prior, Quality, TensorSpec, Training

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
    "training_facts",
]

_FORMS = {"psnr": "{:.3f} dB", "snr": "{:.1f} dB", "agreement": "{:.2%}"}
_DIGEST = 12  # digits of a digest that tables show
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
"""Columns of numbers, which stand to the right."""


@dataclass(frozen=True)
class Table:
    """Texts in rows, as many in each as `head` has names of columns."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def facts(contents: Manifest) -> dict[str, str]:
    """What a bundle is, by the name of the fact."""
    found = {
        "model": f"{contents.model} ({contents.arch})",
        "images": "x".join(str(size) for size in contents.input_shape),
        "latent": f"{contents.latent_size}, id {contents.checkpoint_id[:_DIGEST]}",
        "prior": _prior(contents.prior),
        "classes": ", ".join(contents.classes),
        "tools": ", ".join(f"{name} {version}" for name, version in contents.tools.items()),
    }
    return {name: fact for name, fact in found.items() if fact}


def training_facts(training: Training) -> dict[str, str]:
    """How the weights were learned and what they reach, by the name of the fact."""
    optimizer = {"batch size": training.batch_size, "lr": training.lr, **training.optimizer}
    stages = (
        f"{stage.name}, {stage.epochs} epochs: {stage.objective}"
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
    """A row per graph: all, or those of the named parts."""
    names = "part variant file bytes multiply-adds quality opset onnxruntime sha256"
    rows = (
        (
            part,
            precision,
            variant.file,
            f"{variant.bytes:,}",
            "" if variant.macs is None else f"{variant.macs:,}",
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
    """A row per input and output; variants that take and give the same share theirs."""
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
    """A row per output of each graph and kind of inputs: how far it is from torch."""
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
    """A row per graph with activation functions: its units, and those that no input activated."""
    head = ("part", "variant", "units", "inactive")
    rows = [
        (part, name, f"{variant.activations.units:,}", f"{variant.activations.inactive:,}")
        for part, variants in contents.parts.items()
        for name, variant in variants.items()
        if variant.activations and variant.activations.units
    ]
    return Table(head, tuple(rows))


def thresholds(contents: Manifest) -> Table:
    """A row per output whose percentiles over training images are known; none without any."""
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
    warmth = "" if prior.temperature == 1.0 else f", temperature {prior.temperature:g}"
    return f"{prior.kind}{warmth}"


def _quality(quality: dict[str, tuple[Quality, ...]] | None) -> str:
    """The worst of what was measured, images first; all of it is in `quality`."""
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
    """A row per output and measure of each variant in fewer bits; none without any."""
    head = ("part", "variant", "output", "measure", "value", "at least")
    rows = []
    for part, variants in contents.parts.items():
        for name, variant in variants.items():
            for output, found in (variant.quality or {}).items():
                for item in found:
                    form = _FORMS[item.metric]
                    numbers = (form.format(item.value), form.format(item.least))
                    rows.append((part, name, output, item.metric.upper(), *numbers))
    return Table(head, tuple(rows))


def _described(spec: TensorSpec) -> tuple[str, str, str, str]:
    shape = ", ".join(str(size) for size in spec.shape)
    bounds = f"[{spec.range[0]:.4g}, {spec.range[1]:.4g}]" if spec.range else "any"
    return spec.name, f"{spec.dtype} [{shape}]", bounds, spec.description


def _listed(values: dict[str, str | float] | dict[str, float]) -> str:
    return ", ".join(
        f"{name.replace('_', ' ')} {value if isinstance(value, str) else f'{value:.5g}'}"
        for name, value in values.items()
    )
