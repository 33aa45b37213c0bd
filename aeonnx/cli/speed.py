"""What `aeonnx bench` prints."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from rich.table import Table

from aeonnx.cli.tables import new_console, print_json, table_of
from aeonnx.tools.bench.results import OURS, Benchmark, Cell, Ratio

__all__ = ["print_benchmark"]

_WIDE = 130  # terminal columns from which the quartiles of the ratios fit


def print_benchmark(found: Benchmark, chart: Path | None, *, as_json: bool) -> None:
    """Print a table of ratios and speeds, then one of loading times; or everything as JSON."""
    if as_json:
        print_json({"chart": chart and str(chart), **found.to_json()})
        return
    console = new_console()
    console.print(_steady(found, wide=console.width >= _WIDE))
    console.print()
    console.print(_beginning(found))
    console.print(f"\n{_reading(found)}", soft_wrap=True)
    for name, reason in dict.fromkeys(
        item for cell in found.cells for item in cell.not_measured.items()
    ):
        console.print(f"{name} was not measured: {reason}", soft_wrap=True)
    for line in found.left_out:
        console.print(line, soft_wrap=True)
    console.print(f"{found.bundle}; {found.machine}; load before {found.load:.1f}", soft_wrap=True)
    if chart:
        console.print(str(chart), soft_wrap=True)


def _steady(found: Benchmark, *, wide: bool) -> Table:
    others = [name for name in _contenders(found) if name != OURS]
    names = _names(found)
    memory = any(cell.bytes_share is not None for cell in found.cells)
    result = table_of(
        *(f"vs {name}" for name in others),
        *names,
        *("p50 ms", "p99 ms", "rows/s", "of peak", *["of memory peak"] * memory),
    )
    for cell in found.cells:
        own = cell.timings[OURS]
        shares = [cell.flops_share, *[cell.bytes_share] * memory]
        result.add_row(
            *(_ratio(cell.ratios.get(name), wide=wide) for name in others),
            *(name(cell) for name in names.values()),
            f"{own.p50_ms:.3g}",
            f"{own.p99_ms:.3g}",
            f"{own.rows_per_s:,.0f}",
            *("" if share is None else f"{share:.1%}" for share in shares),
        )
    return result


def _beginning(found: Benchmark) -> Table:
    """Milliseconds of loading and of the first call, for each contender."""
    names, contenders = _names(found), _contenders(found)
    result = table_of(*names, *(f"{name}: load + first ms" for name in contenders))
    for cell in found.cells:
        times = [cell.timings.get(name) for name in contenders]
        texts = (
            "-" if time is None else f"{time.load_ms:.3g} + {time.first_ms:.3g}" for time in times
        )
        result.add_row(*(name(cell) for name in names.values()), *texts)
    return result


def _contenders(found: Benchmark) -> list[str]:
    return list(
        dict.fromkeys(name for cell in found.cells for name in (*cell.timings, *cell.not_measured))
    )


def _names(found: Benchmark) -> dict[str, Callable[[Cell], str]]:
    """Columns that identify a cell."""
    names: dict[str, Callable[[Cell], str]] = {
        "part": lambda cell: cell.case.part,
        "variant": lambda cell: cell.case.variant,
        "batch": lambda cell: f"{cell.case.batch:,}",
    }
    if any(cell.sizes for cell in found.cells):
        names["sizes"] = lambda cell: "x".join(map(str, cell.sizes.values()))
    if len({cell.case.provider for cell in found.cells}) > 1:
        names["on"] = lambda cell: _short(cell.case.provider)
    if len({cell.case.threads for cell in found.cells}) > 1:
        names["threads"] = lambda cell: str(cell.case.threads)
    return names


def _ratio(ratio: Ratio | None, *, wide: bool) -> str:
    if ratio is None:
        return "-"
    return f"{ratio.median:.2f}x" + f" ({ratio.low:.2f}-{ratio.high:.2f})" * wide


def _reading(found: Benchmark) -> str:
    """How to read the tables."""
    peaks = {(cell.case.provider, cell.case.threads, cell.peak) for cell in found.cells}
    listed = ", ".join(
        f"{peak.flops / 1e9:,.0f} GFLOP/s ({peak.dtype}, {_short(provider)}, threads {threads})"
        for provider, threads, peak in sorted(peaks, key=str)
    )
    return (
        f"vs: time of the other / time of aeonnx, median (quartiles) of {found.rounds} rounds; "
        "above 1, aeonnx is faster. The columns from p50 on are aeonnx's own.\n"
        f"Peak, measured with a large matrix product: {listed}."
    )


def _short(provider: str) -> str:
    return provider.removesuffix("ExecutionProvider")
