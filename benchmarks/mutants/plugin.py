"""For pytest: measures which test runs which lines, and gives tests the runs trained before."""

from __future__ import annotations

import json
import os
import shutil
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import coverage
import pytest

_seconds: dict[str, float] = defaultdict(float)
_measured: coverage.Coverage | None = None

if _data := os.environ.get("MUTANTS_COVERAGE"):
    _measured = coverage.Coverage(data_file=_data, source_pkgs=["aeonnx"], config_file=False)
    _measured.start()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Lines that run in set-up, call and clean-up are the test's."""
    if _measured:
        _measured.switch_context(item.nodeid)
    yield


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Add up set-up, call and clean-up."""
    _seconds[report.nodeid] += report.duration


def pytest_sessionfinish() -> None:
    """Write what was measured."""
    if _measured:
        _measured.stop()
        _measured.save()
        _measured.get_data().close(force=True)  # this process ends without a clean-up
    if timings := os.environ.get("MUTANTS_TIMINGS"):
        Path(timings).write_text(json.dumps(_seconds))


@pytest.fixture(scope="session", autouse=True)
def trained_before(tmp_path_factory: pytest.TempPathFactory) -> None:
    """No mutant changes how a model is trained: the runs of the first time serve all."""
    if runs := os.environ.get("MUTANTS_RUNS"):
        shared = tmp_path_factory.getbasetemp() / "shared"
        shutil.copytree(runs, shared, dirs_exist_ok=True)
