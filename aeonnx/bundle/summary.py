"""A manifest as texts and tables, for every command that shows one. Standard library only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from aeonnx._util.text import counted
from aeonnx.bundle import (
    BATCH,
    Axis,
    Conversion,
    Manifest,
    Prior,
    Quality,
    TensorSpec,
    Training,
    Variant,
)

__all__ = [
    "NUMERIC",
    "Table",
    "facts",
    "graph_files",
    "tables",
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
        "compared": _batches(contents),
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


def tables(contents: Manifest) -> dict[str, Table]:
    """All tables about the graphs of a bundle by title; those without rows are left out."""
    made = {
        "Graphs": graph_files(contents),
        "Tensors": _tensors(contents),
        "Axes": _axes(contents),
        "Parity with torch": _parity(contents),
        "Activations": _activations(contents),
        "Quality": _quality_of_each(contents),
        "Tiles": _tiles(contents),
        "Thresholds": _thresholds(contents),
    }
    return {title: table for title, table in made.items() if table.rows}


def graph_files(contents: Manifest, parts: Iterable[str] | None = None) -> Table:
    """A row per graph, of all parts or of the named ones."""
    names = "part variant file bytes multiply-adds conversion quality opset onnxruntime sha256"
    rows = (
        (
            part,
            precision,
            variant.file,
            f"{variant.bytes:,}",
            "" if variant.macs is None else f"{variant.macs:,}{_at_usual(variant)}",
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


def _tensors(contents: Manifest) -> Table:
    """A row per input and output; variants with the same interface share their rows."""
    head = ("part", "variant", "", "tensor", "dtype and shape", "kind", "range", "description")
    rows: list[tuple[str, ...]] = []
    for part, variants in contents.parts.items():
        shared: dict[tuple[tuple[TensorSpec, ...], ...], list[str]] = {}
        for precision, variant in variants.items():
            shared.setdefault((variant.inputs, variant.outputs), []).append(precision)
        for interface, precisions in shared.items():
            for kind, specs in zip(("in", "out"), interface, strict=True):
                rows += [(part, ", ".join(precisions), kind, *_described(spec)) for spec in specs]
    return Table(head, tuple(rows))


def _parity(contents: Manifest) -> Table:
    """A row per graph, output and kind of inputs: the difference from torch."""
    names = ("part", "variant", "output", "inputs", "sizes")
    rows = []
    for part, variants in contents.parts.items():
        for precision, variant in variants.items():
            for output, kinds in variant.parity.items():
                for found in kinds:
                    passed = max(found.max_abs_diff, found.error) <= found.tolerance
                    numbers = (found.max_abs_diff, found.noise_floor, found.tolerance)
                    texts = (f"{number:.1e}" for number in numbers)
                    inputs = f"{found.rows} {found.inputs}"
                    where = (part, precision, output, inputs, _sizes(found.sizes))
                    rows.append(("✓" if passed else "✗", *where, *texts))
    return Table(("", *names, "max |error|", "noise floor", "tolerance"), tuple(rows))


def _at_usual(variant: Variant) -> str:
    """The sizes at which multiply-adds were counted: the first of the comparison."""
    found = next(iter(variant.parity.values()), ())
    return f" at {_sizes(found[0].sizes)}" if found and found[0].sizes else ""


def _sizes(sizes: Mapping[str, int]) -> str:
    return "x".join(map(str, sizes.values()))


def _activations(contents: Manifest) -> Table:
    """A row per graph with activation functions: number of units, and of inactive ones."""
    head = ("part", "variant", "units", "inactive")
    rows = [
        (part, name, f"{variant.activations.units:,}", f"{variant.activations.inactive:,}")
        for part, variants in contents.parts.items()
        for name, variant in variants.items()
        if variant.activations and variant.activations.units
    ]
    return Table(head, tuple(rows))


def _axes(contents: Manifest) -> Table:
    """A row per dynamic axis of each part: the sizes that it allows, and its margin."""
    rows = [
        (part, name, _allowed(axis), _margin(axis))
        for part, variants in contents.parts.items()
        for name, axis in variants["fp32"].axes.items()
        if name != BATCH
    ]
    return Table(("part", "axis", "sizes", "margin"), tuple(rows))


def _allowed(axis: Axis) -> str:
    sizes = f"{axis.min:,} or more" if axis.max is None else f"{axis.min:,} to {axis.max:,}"
    return sizes if axis.multiple == 1 else f"multiples of {axis.multiple:,}, {sizes}"


def _margin(axis: Axis) -> str:
    return "none: results depend on the whole input" if axis.margin is None else f"{axis.margin:,}"


def _tiles(contents: Manifest) -> Table:
    """A row per part with dynamic axes: how inputs that are longer than a tile run."""
    rows = []
    for part, variants in contents.parts.items():
        fp32 = variants["fp32"]
        margins = [axis.margin for name, axis in fp32.axes.items() if name != BATCH]
        if not margins:
            continue
        blending = fp32.blending
        if None not in margins:
            rows.append((part, "exact", "none"))
        elif blending is None:
            rows.append((part, "blended", "not measured"))
        else:
            how = f"blended, of {blending.tile} with an overlap of {blending.overlap}"
            rows.append((part, how, blending.loss))
    return Table(("part", "tiles", "loss in tiles"), tuple(rows))


def _thresholds(contents: Manifest) -> Table:
    """A row per output and percentile of normal rows, if percentiles were measured.

    With the bounds of the share of new normal rows above it, if they are known.
    """
    rows = [
        (part, name, output, percentile, f"{value:.5g}", _alarms(variant, output, percentile))
        for part, variants in contents.parts.items()
        for name, variant in variants.items()
        for output, found in variant.percentiles.items()
        for percentile, value in found.items()
    ]
    head = ("part", "variant", "output", "percentile", "threshold", "false alarms")
    return Table(head, tuple(rows))


def _alarms(variant: Variant, output: str, percentile: str) -> str:
    normal = variant.normal.get(output)
    if normal is None or percentile not in normal.false_alarms:
        return ""
    low, high = normal.false_alarms[percentile]
    seen = "" if normal.held_out else ", or more: the model was trained on these"
    return f"{100 * low:.2g} to {100 * high:.2g} %{seen}"


def _prior(prior: Prior | None) -> str:
    if prior is None:
        return "none"
    temperature = "" if prior.temperature == 1.0 else f", temperature {prior.temperature:g}"
    return f"{prior.kind}{temperature}"


def _batches(contents: Manifest) -> str:
    """The batch sizes at which the graphs were compared with torch, by part if they differ."""
    found = {
        part: {size for variant in variants.values() for size in variant.parity_batches}
        for part, variants in contents.parts.items()
    }
    told = {part: ", ".join(map(str, sorted(sizes))) for part, sizes in found.items() if sizes}
    if len({*told.values()}) > 1:
        told = {part: f"{sizes} ({part})" for part, sizes in told.items()}
    return f"with torch at batches of {'; '.join(dict.fromkeys(told.values()))}" if told else ""


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
        return f"{round(-max(drops), 3) or 0.0:+.3f} dB PSNR"
    agreed = [item.value for item in found if item.metric == "agreement"]
    if agreed:
        return f"{min(agreed):.1%} equal"
    return f"{min(item.value for item in found):.1f} dB SNR"


def _quality_of_each(contents: Manifest) -> Table:
    """A row per output and metric of each reduced-precision variant."""
    head = ("part", "variant", "output", "sizes", "measure", "value", "at least")
    rows = []
    for part, variants in contents.parts.items():
        for name, variant in variants.items():
            for output, found in (variant.quality or {}).items():
                for item in found:
                    form = _FORMS[item.metric]
                    numbers = (form.format(item.value), form.format(item.least))
                    rows.append(
                        (part, name, output, _sizes(item.sizes), item.metric.upper(), *numbers)
                    )
    return Table(head, tuple(rows))


def _described(spec: TensorSpec) -> tuple[str, ...]:
    shape = ", ".join(str(size) for size in spec.shape)
    bounds = f"[{spec.range[0]:.4g}, {spec.range[1]:.4g}]" if spec.range else "any"
    kind = f"{spec.kind}, {spec.rate:g} Hz" if spec.rate else spec.kind
    units = spec.units or ("",) * len(spec.names)
    columns = (f"{name} {unit}".rstrip() for name, unit in zip(spec.names, units, strict=True))
    scaling = str(spec.scaling) if spec.scaling else ""
    told = "; ".join(filter(None, (spec.description, ", ".join(columns), scaling)))
    return spec.name, f"{spec.dtype} [{shape}]", kind, bounds, told


def _listed(values: dict[str, str | float] | dict[str, float]) -> str:
    return ", ".join(
        f"{name.replace('_', ' ')} {value if isinstance(value, str) else f'{value:.5g}'}"
        for name, value in values.items()
    )
