"""What commands print when they are done: tables for people, JSON for programs."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from aeonnx._util.text import printable
from aeonnx.bundle import manifest as contract
from aeonnx.bundle import summary
from aeonnx.catalog.source import default_folder
from aeonnx.cli.tables import new_console, print_json, say, show, table_of
from aeonnx.errors import GoldenMismatchError, SetupError

if TYPE_CHECKING:
    from aeonnx.exporting import Exported
    from aeonnx.runtime import Bundle, Report
    from aeonnx.runtime.classified import Classified
    from aeonnx.runtime.file_ops import Written
    from aeonnx.tools.demo import DemoOutput
    from aeonnx.training import Trained

__all__ = [
    "print_classified",
    "print_demo",
    "print_exported",
    "print_trained",
    "print_verified",
    "print_written",
]


def _quoted(path: Path) -> str:
    """A path, quoted for a shell."""
    return shlex.quote(str(path))


def _print_next(console: Console, commands: Sequence[str]) -> None:
    console.print("\nNext:")
    for command in commands:
        console.print(f"  {command}", soft_wrap=True)


def print_trained(trained: Trained, model: str, *, as_json: bool) -> None:
    """Print the metrics, the files, and the command to run next."""
    if as_json:
        paths = [str(path) for path in trained.files]
        print_json(
            {
                "training": asdict(trained.training),
                "files": paths,
                "warnings": list(trained.warnings),
            }
        )
        return
    console = new_console()
    for name, value in trained.training.metrics.items():
        console.print(f"test {name.replace('_', ' ')}: {value:.5g}")
    for path in trained.files:
        console.print(str(path), soft_wrap=True)
    custom = (
        f" --checkpoint {_quoted(trained.output)}"
        if trained.output != default_folder(model)
        else ""
    )
    _print_next(console, [f"aeonnx export --model {model}{custom}"])


def print_exported(exported: Exported, *, as_json: bool) -> None:
    """Print the differences from torch per output, the files, and the commands to run next."""
    contents = exported.manifest
    if as_json:
        print_json(
            {
                "output": str(exported.output),
                "parts": {
                    name: {key: asdict(variant) for key, variant in contents.parts[name].items()}
                    for name in exported.parts
                },
                "left_out": list(exported.left_out),
                "notes": list(exported.notes),
                "parity": exported.report.to_json(),
            }
        )
        return
    console = new_console()
    console.print(_parity_table(exported.report))
    console.print()
    written = summary.graph_files(contents, exported.parts)
    show(console, written, without=("part", "variant", "multiply-adds"))
    folder = exported.output
    console.print(f"{folder / contract.FILE_NAME}", soft_wrap=True)
    for line in (*_inactive(contents, exported.parts), *exported.notes, *exported.left_out):
        console.print(line, soft_wrap=True)
    quoted = _quoted(folder)
    verb = f"aeonnx inspect {quoted}"
    if contents.prior and "decoder" in contents.parts:
        images = contents.parts["decoder"]["fp32"].outputs[0].kind == "image"
        target = "grid.png" if images else "made.npy"
        verb = f"aeonnx generate {quoted} {_samples(contents)}--seed 7 -o {target}"
    elif "classifier" in contents.parts:
        verb = f"aeonnx classify {quoted} IMAGES -o labels.csv"
    _print_next(console, [f"aeonnx verify {quoted}", verb])


def _inactive(contents: contract.Manifest, parts: Sequence[str]) -> Iterator[str]:
    """A line for each part with units that no input of the comparison activated."""
    for name in parts:
        found = contents.parts[name]["fp32"].activations
        if found and found.inactive:
            yield (
                f"{name}: no input activated {found.inactive:,} of {found.units:,} units behind "
                "activation functions: a wrong weight there would not be detected"
            )


def _samples(contents: contract.Manifest) -> str:
    """Options of `generate` for a grid: of all classes, if it takes any."""
    labelled = any(
        spec.kind == "label"
        for part in ("decoder", "sampler")
        for spec in (contents.parts[part]["fp32"].inputs if part in contents.parts else ())
    )
    if not labelled or not contents.classes:
        return "-n 64 "
    short = all(len(name) == 1 for name in contents.classes)
    names = ("" if short else ",").join(contents.classes)
    return f"--labels {shlex.quote(names)} -n 8 "


def print_verified(bundle: Bundle, result: Report, *, as_json: bool) -> None:
    """Print the differences per output.

    Raises:
        GoldenMismatchError: a check failed.
        SetupError: no check failed, but this machine cannot run a graph.
    """
    if as_json:
        print_json({"provider": bundle.provider, **result.to_json()})
    else:
        new_console().print(_parity_table(result))
    if result.failures:
        raise GoldenMismatchError(
            f"{bundle.folder} does not reproduce torch's outputs on this machine:\n  "
            + "\n  ".join((*result.failures, *result.not_run))
        )
    if result.not_run:
        raise SetupError(
            f"the graphs that ran match torch, but this machine cannot run {len(result.not_run)} "
            f"of the graphs of {bundle.folder}:\n  " + "\n  ".join(result.not_run)
        )
    if not as_json:
        print()
        say(f"All outputs match torch's within tolerance, on {bundle.provider}.")


def print_demo(exported: Exported, output: DemoOutput, *, as_json: bool) -> None:
    """Print the differences from torch, the files, and the commands to run next."""
    if as_json:
        print_json(
            {
                "run": str(exported.output.parent / "run"),
                "bundle": str(exported.output),
                "files": [str(path) for path in output.files],
                "parity": exported.report.to_json(),
            }
        )
        return
    console = new_console()
    console.print(_parity_table(exported.report))
    console.print("\nIn a process without torch:")
    for line in output.lines:
        console.print(f"  {line}", soft_wrap=True)
    console.print("\nFiles:")
    for path in (*output.files, exported.output, exported.output.parent / "run"):
        console.print(f"  {path}", soft_wrap=True)
    quoted, folder = _quoted(exported.output), exported.output.parent
    digits = _quoted(folder / "digits.npy")
    _print_next(
        console,
        [
            f"aeonnx inspect {quoted}",
            f"aeonnx verify {quoted} --against {_quoted(folder / 'run')}",
            f"aeonnx generate {quoted} -n 100 --seed 1 -o {_quoted(folder / 'grid.png')}",
            f"aeonnx encode {quoted} {digits} -o {_quoted(folder / 'z.npy')}",
            "aeonnx train --model dae --arch conv",
        ],
    )


def _parity_table(report: Report) -> Table:
    result = table_of(
        "", "part", "variant", "output", "inputs", "max |error|", "noise floor", "tolerance"
    )
    for check in report.checks:
        at = "x".join(map(str, check.sizes.values()))
        result.add_row(
            "✓" if check.passed else "✗",
            check.part,
            check.precision,
            check.output,
            f"{check.rows} {check.inputs}{at and f' at {at}'}",
            f"{check.max_abs_diff:.1e}",
            "" if check.noise_floor is None else f"{check.noise_floor:.1e}",
            f"{check.tolerance:.1e}",
        )
    return result


def print_written(written: Written, bundle: Bundle) -> None:
    """Print as JSON what a command wrote."""
    print_json(
        {
            "output": written.target,
            "dtype": written.dtype,
            "shape": list(written.shape),
            "provider": bundle.provider,
            "left_out": list(written.left_out),
            "skipped": list(written.skipped),
            "blended": list(bundle.blended),
        }
    )


def print_classified(
    names: Sequence[str], found: Classified, classes: Sequence[str], *, as_json: bool
) -> None:
    """Print a line per image: name, label, probability of the label."""
    probabilities = [dict(zip(classes, row, strict=True)) for row in found.probabilities.tolist()]
    if as_json:
        keys = ("name", "label", "probabilities")
        rows = zip(names, found.labels, probabilities, strict=True)
        print_json([dict(zip(keys, row, strict=True)) for row in rows])
        return
    shown, labels = ([printable(text) for text in texts] for texts in (names, found.labels))
    name_width, label_width = (max(map(len, texts), default=0) for texts in (shown, labels))
    for name, label, values in zip(shown, labels, probabilities, strict=True):
        say(f"{name:<{name_width}}  {label:<{label_width}}  {max(values.values()):.3f}")
