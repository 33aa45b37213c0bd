"""How `aeonnx doctor` prints what it found."""

from __future__ import annotations

from dataclasses import asdict

from rich.console import Console

from aeonnx.cli.tables import new_console, print_json, table_of
from aeonnx.tools.doctor import Cpu, Diagnosis

__all__ = ["print_diagnosis"]


def print_diagnosis(found: Diagnosis, *, as_json: bool) -> None:
    """Facts, then tables of EPs and libraries, then the problems."""
    if as_json:
        print_json(asdict(found))
        return
    console = new_console()
    facts = table_of("", "finding")
    facts.show_header = False
    for name, fact in _facts(found).items():
        facts.add_row(name, fact)
    console.print(facts)
    _print_tables(console, found)
    console.print("\nProblems:" if found.problems else "\nNo problems.")
    for problem in found.problems:
        console.print(f"✗ {problem}", soft_wrap=True)


def _facts(found: Diagnosis) -> dict[str, str]:
    built = f" (onnxruntime is built for CUDA {found.cuda})" if found.cuda else ""
    versions = ", ".join(f"{name} {version}" for name, version in found.versions.items())
    driver = found.driver.problem or f"{found.driver.version or '?'}, for CUDA {found.driver.cuda}"
    facts = {
        "versions": versions + built,
        "cpu": f"{found.cpu.model}: {', '.join(found.cpu.features) or 'no known features'}",
        "threads": _threads(found.cpu),
        "driver": driver,
    }
    for index, gpu in enumerate(found.gpus):
        memory = f"{gpu.memory_bytes / 2**30:.0f} GiB"
        facts[f"gpu {index}"] = f"{gpu.name}, {memory}, compute capability {gpu.compute_capability}"
    return {**facts, "telemetry": found.telemetry}


def _threads(cpu: Cpu) -> str:
    quota = "no quota" if cpu.quota is None else f"a quota of {cpu.quota:g}"
    return (
        f"{cpu.usable} per session; the machine has {cpu.cores} cores, its control groups {quota}"
    )


def _print_tables(console: Console, found: Diagnosis) -> None:
    if found.providers:
        providers = table_of("", "provider", "finding")
        for ep in found.providers:
            providers.add_row("✗" if ep.reason else "✓", ep.name, ep.reason or "runs")
        console.print()
        console.print(providers)
    if found.libraries:
        libraries = table_of("", "library", "needed by", "finding")
        for library in found.libraries:
            finding = library.path or f"missing: {library.remedy}"
            needed_by = ", ".join(library.needed_by)
            libraries.add_row("✓" if library.path else "✗", library.name, needed_by, finding)
        console.print()
        console.print(libraries)
