"""The workflow of the public forge, which nothing has run: what it calls exists."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from itertools import chain
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml
from packaging.specifiers import SpecifierSet

from clients.proof import languages

ROOT = Path(__file__).parent.parent
JOBS: dict[str, Any] = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())["jobs"]
STEPS = list(chain.from_iterable(job["steps"] for job in JOBS.values()))


def matrix(job: str) -> dict[str, Any]:
    found: dict[str, Any] = JOBS[job]["strategy"]["matrix"]
    return found


def test_every_make_target_of_ci_exists() -> None:
    scripts = [step["run"] for step in STEPS if "run" in step] + [(ROOT / ".ci/run").read_text()]
    called = re.compile(r"""(?:^|[;&'"] )make ([\w-]+)""", flags=re.MULTILINE)
    targets = {name for text in scripts for name in called.findall(text)}
    assert targets >= {"lint", "test", "test-network", "test-slow", "clients", "docs"}
    for target in targets:
        done = subprocess.run(
            ["make", "--dry-run", "--question", target],  # noqa: S607
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode in (0, 1), done.stderr  # 2: no such target


def test_every_client_has_a_job() -> None:
    named = [name for entry in matrix("clients")["include"] for name in entry["client"].split()]
    assert sorted(named) == sorted(languages.LANGUAGES)


def test_every_supported_python_has_a_job() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pythons = matrix("tests")["python"]
    assert pythons[0] in project["requires-python"]
    assert all(version in SpecifierSet(project["requires-python"]) for version in pythons)


@pytest.mark.parametrize("action", [step["uses"] for step in STEPS if "uses" in step])
def test_actions_are_pinned_to_a_major_version(action: str) -> None:
    assert re.fullmatch(r"[\w-]+/[\w-]+@v\d+", action)


def test_constraints_are_exact_versions_that_the_project_allows() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = {}
    for line in (line for line in lines if not line.startswith("#")):
        match = re.fullmatch(r"([a-z0-9._-]+)==([\w.+]+)", line)
        assert match, line
        pinned[match[1].replace("_", "-")] = match[2]
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = settings["project"]["optional-dependencies"]
    asked = [*settings["project"]["dependencies"], *extras["train"], *extras["gpu"]]
    asked += [*extras["tensorboard"], *chain.from_iterable(settings["dependency-groups"].values())]
    for text in asked:
        match = re.fullmatch(r"([\w-]+)(?:\[.*\])?(.*)", text)
        assert match
        assert pinned[match[1].replace("_", "-")] in SpecifierSet(match[2]), text


def test_the_other_languages_ask_for_exact_versions() -> None:
    for path in ("clients/rust/Cargo.toml", "benchmarks/tract/Cargo.toml"):
        crate = tomllib.loads((ROOT / path).read_text())
        targets = crate.get("target", {}).values()
        for table in (crate, *targets):
            for name, wanted in table.get("dependencies", {}).items():
                version = wanted if isinstance(wanted, str) else wanted["version"]
                assert version.startswith("="), f"{path}: {name}"
    for path in ("clients/node/package.json", "clients/web/package.json"):
        package = json.loads((ROOT / path).read_text())
        for name, version in (package["dependencies"] | package.get("devDependencies", {})).items():
            assert re.fullmatch(r"\d+\.\d+\.\d+", version), f"{path}: {name}"
    pom = ElementTree.parse(ROOT / "clients/java/pom.xml").getroot()
    space = {"m": "http://maven.apache.org/POM/4.0.0"}
    for found in [*pom.iterfind(".//m:dependency", space), *pom.iterfind(".//m:plugin", space)]:
        assert re.fullmatch(r"\d+(\.\d+)+", found.findtext("m:version", "", space))
