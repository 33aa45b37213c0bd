"""How `aeonnx doctor` prints what it found."""

from __future__ import annotations

from dataclasses import asdict

from rich.console import Console

from aeonnx.cli.tables import new_console, print_json, table_of
from aeonnx.tools.doctor import Cpu, Diagnosis, Library, ProviderCheck

__all__ = ["print_diagnosis"]

_CUDA = "CUDAExecutionProvider"
_UNAVAILABLE = "-"  # the mark of what is not installed, and no problem


def print_diagnosis(found: Diagnosis, *, as_json: bool) -> None:
    """Print facts, then tables of EPs and libraries, then the problems."""
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
    items: list[ProviderCheck | Library] = [*found.providers, *found.libraries]
    if any(_mark(found, item) == _UNAVAILABLE for item in items):
        console.print(f"\n{_UNAVAILABLE}: not available here; no problem unless you need it.")
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
            providers.add_row(_mark(found, ep), ep.name, ep.reason or "runs")
        console.print()
        console.print(providers)
    if found.libraries:
        libraries = table_of("", "library", "needed by", "finding")
        for library in found.libraries:
            mark, needed_by = _mark(found, library), ", ".join(library.needed_by)
            missing = "not installed" if mark == _UNAVAILABLE else "missing"
            finding = library.path or f"{missing}: {library.remedy}"
            libraries.add_row(mark, library.name, needed_by, finding)
        console.print()
        console.print(libraries)


def _mark(found: Diagnosis, item: ProviderCheck | Library) -> str:
    if item.reason is None if isinstance(item, ProviderCheck) else item.path is not None:
        return "✓"
    return "✗" if _is_problem(found, item) else _UNAVAILABLE


def _is_problem(found: Diagnosis, item: ProviderCheck | Library) -> bool:
    """Whether `found.problems` has a line about an EP or a library that is not available."""
    if any(problem.startswith(item.name) for problem in found.problems):
        return True
    if isinstance(item, ProviderCheck):
        return item.name == _CUDA and bool(found.gpus)  # the line names the driver or the build
    users = (ep for ep in found.providers if _short(ep.name) in item.needed_by)
    return any(ep.reason is not None and _is_problem(found, ep) for ep in users)


def _short(provider: str) -> str:
    return provider.removesuffix("ExecutionProvider").lower()
