"""What commands print when they are done: tables for people, JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table

from aeonnx import manifest as contract
from aeonnx.errors import GoldenMismatchError

if TYPE_CHECKING:
    from aeonnx.demo import Drawn
    from aeonnx.export import Exported
    from aeonnx.manifest import Manifest, Variant
    from aeonnx.runtime import Bundle, Report
    from aeonnx.runtime.bundle import Classified
    from aeonnx.train import Trained

__all__ = [
    "print_classified",
    "print_demo",
    "print_exported",
    "print_manifest",
    "print_trained",
    "print_verified",
]

_DIGEST = 12  # digits of a digest that tables show
_FILE_WIDTH = 160
_WIDE = 100  # columns from which tables have room for phrases


def _console() -> Console:
    console = Console(highlight=False, markup=False)
    if not console.is_terminal:  # a file or a pipe has no width to fit into
        console.width = _FILE_WIDTH
    return console


def _print_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2))


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        numeric = column in ("max |error|", "torch's own", "tolerance", "bytes")
        table.add_column(
            column, justify="right" if numeric else "left", no_wrap=column != "meaning"
        )
    return table


def _print_next(console: Console, commands: Sequence[str]) -> None:
    console.print("\nNext:")
    for command in commands:
        console.print(f"  {command}", soft_wrap=True)


def print_trained(trained: Trained, model: str, *, as_json: bool) -> None:
    """The record, the files, and how to go on."""
    if as_json:
        paths = [str(path) for path in trained.files]
        _print_json({"training": asdict(trained.training), "files": paths})
        return
    console = _console()
    for name, value in trained.training.metrics.items():
        console.print(f"test {name.replace('_', ' ')}: {value:.5g}")
    for path in trained.files:
        console.print(str(path), soft_wrap=True)
    custom = f" --checkpoint {trained.output}" if trained.output != Path("runs") / model else ""
    _print_next(console, [f"aeonnx export --model {model}{custom}"])


def print_exported(exported: Exported, *, as_json: bool) -> None:
    """The evidence per output, the files with sizes and digests, and how to go on."""
    contents = exported.manifest
    if as_json:
        _print_json(
            {
                "output": str(exported.output),
                "parts": {
                    name: {key: asdict(variant) for key, variant in contents.parts[name].items()}
                    for name in exported.parts
                },
                "left_out": list(exported.left_out),
                "parity": exported.report.to_json(),
            }
        )
        return
    console = _console()
    console.print(_parity_table(exported.report))
    console.print()
    console.print(_file_table(contents, exported.parts))
    folder = exported.output
    console.print(f"{folder / contract.FILE_NAME}", soft_wrap=True)
    for line in exported.left_out:
        console.print(line, soft_wrap=True)
    verb = f"aeonnx inspect {folder}"
    if contents.prior and "decoder" in contents.parts:
        verb = f"aeonnx generate {folder} -n 64 --seed 7 -o grid.png"
    elif "classifier" in contents.parts:
        verb = f"aeonnx classify {folder} IMAGES -o labels.csv"
    _print_next(console, [f"aeonnx verify {folder}", verb])


def print_verified(bundle: Bundle, result: Report, *, as_json: bool) -> None:
    """The differences per output.

    Raises:
        GoldenMismatchError: a check failed.
    """
    if as_json:
        _print_json({"provider": bundle.provider, **result.to_json()})
    else:
        _console().print(_parity_table(result))
    if not result.passed:
        raise GoldenMismatchError(
            f"{bundle.folder} does not give torch's outputs here:\n  "
            + "\n  ".join(result.failures)
        )
    if not as_json:
        click.echo(f"\nAll outputs are torch's, on {bundle.provider}.")


def print_manifest(folder: Path, contents: Manifest, *, as_json: bool) -> None:
    """The manifest as tables, or as it is."""
    if as_json:
        click.echo(contract.serialize(contents).decode(), nl=False)
        return
    console = _console()
    shape = "x".join(str(size) for size in contents.input_shape)
    facts = {
        "bundle": str(folder),
        "model": f"{contents.model} ({contents.arch})",
        "images": shape,
        "latent": f"{contents.latent_size}, id {contents.latent_id[:_DIGEST]}",
        "prior": _prior(contents),
        **({"classes": ", ".join(contents.classes)} if contents.classes else {}),
        "tools": ", ".join(f"{name} {version}" for name, version in contents.tools.items()),
    }
    training = contents.training
    if training:
        metrics = ", ".join(f"{name} {value:.5g}" for name, value in training.metrics.items())
        options = "".join(f", {name} {_short(value)}" for name, value in training.options.items())
        facts["training"] = f"{training.data}, seed {training.seed}{options}"
        facts["stages"] = "; ".join(
            f"{stage.name}, {stage.epochs} epochs: {stage.objective}" for stage in training.stages
        )
        facts["test"] = metrics
    for name, fact in facts.items():
        console.print(f"{name:<9}{fact}", soft_wrap=True)
    console.print()
    console.print(_tensor_table(contents, meanings=console.width >= _WIDE))
    console.print()
    console.print(_file_table(contents, contents.parts))
    console.print()
    console.print(_evidence_table(contents))


def _prior(contents: Manifest) -> str:
    prior = contents.prior
    if prior is None:
        return "none"
    warmth = "" if prior.temperature == 1.0 else f", temperature {prior.temperature:g}"
    return f"{prior.kind}{warmth}"


def _short(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:g}"


def print_demo(exported: Exported, drawn: Drawn) -> None:
    """The evidence, the pictures, and how to go on."""
    console = _console()
    console.print(_parity_table(exported.report))
    console.print("\nIn a fresh process:")
    for line in drawn.said:
        console.print(f"  {line}", soft_wrap=True)
    console.print("\nFiles:")
    for path in (*drawn.files, exported.output, exported.output.parent / "run"):
        console.print(f"  {path}", soft_wrap=True)
    bundle, folder = exported.output, exported.output.parent
    _print_next(
        console,
        [
            f"aeonnx inspect {bundle}",
            f"aeonnx verify {bundle} --against {folder / 'run'}",
            f"aeonnx generate {bundle} -n 100 --seed 1 -o {folder / 'grid.png'}",
            f"aeonnx encode {bundle} {folder / 'digits.npy'} -o {folder / 'z.npy'}",
            "aeonnx train --model dae --arch conv",
        ],
    )


def _parity_table(report: Report) -> Table:
    table = _table("", "part", "variant", "output", "max |error|", "torch's own", "tolerance")
    for check in report.checks:
        table.add_row(
            "✓" if check.passed else "✗",
            check.part,
            check.precision,
            check.output,
            f"{check.max_abs_diff:.1e}",
            "" if check.noise_floor is None else f"{check.noise_floor:.1e}",
            f"{check.tolerance:.1e}",
        )
    return table


def _file_table(contents: Manifest, parts: Iterable[str]) -> Table:
    table = _table("file", "bytes", "quality", "opset", "onnxruntime", "sha256")
    for part in parts:
        for variant in contents.parts[part].values():
            table.add_row(
                variant.file,
                f"{variant.bytes:,}",
                _quality(variant),
                f"{variant.opset} (IR {variant.ir_version})",
                f">= {variant.min_onnxruntime}",
                variant.sha256[:_DIGEST],
            )
    return table


def _quality(variant: Variant) -> str:
    quality = variant.quality
    if quality is None:
        return "as fp32"
    if quality.metric == "psnr":
        return f"{-quality.drop:+.3f} dB"
    return f"{quality.value:.1%} of labels"


def _evidence_table(contents: Manifest) -> Table:
    table = _table("part", "variant", "output", "max |error|", "torch's own", "tolerance")
    for part, variants in contents.parts.items():
        for name, variant in variants.items():
            for output, parity in variant.parity.items():
                numbers = (parity.max_abs_diff, parity.noise_floor, parity.tolerance)
                table.add_row(part, name, output, *(f"{number:.1e}" for number in numbers))
    return table


def _tensor_table(contents: Manifest, *, meanings: bool) -> Table:
    table = _table(
        "part", "variant", "", "tensor", "dtype and shape", "range", *["meaning"] * meanings
    )
    for part, variants in contents.parts.items():
        for name, variant in variants.items():
            rows = [("in", spec) for spec in variant.inputs]
            rows += [("out", spec) for spec in variant.outputs]
            for kind, spec in rows:
                shape = ", ".join(str(size) for size in spec.shape)
                bounds = f"[{spec.range[0]:.4g}, {spec.range[1]:.4g}]" if spec.range else "any"
                cells = [part, name, kind, spec.name, f"{spec.dtype} [{shape}]", bounds]
                table.add_row(*cells, *[spec.meaning] * meanings)
    return table


def print_classified(
    names: Sequence[str], found: Classified, classes: Sequence[str], *, as_json: bool
) -> None:
    """A line per image: name, label, probability."""
    probabilities = [dict(zip(classes, row, strict=True)) for row in found.probabilities.tolist()]
    if as_json:
        keys = ("name", "label", "probabilities")
        rows = zip(names, found.labels, probabilities, strict=True)
        _print_json([dict(zip(keys, row, strict=True)) for row in rows])
        return
    shown = [click.format_filename(name) for name in names]  # which may be no UTF-8
    name_width, label_width = (max(map(len, texts), default=0) for texts in (shown, found.labels))
    for name, label, values in zip(shown, found.labels, probabilities, strict=True):
        click.echo(f"{name:<{name_width}}  {label:<{label_width}}  {max(values.values()):.3f}")
