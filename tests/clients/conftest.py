"""Fixtures: the clients, built, and bundles of every model for them."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from clients.proof import bundles, languages
from clients.proof.program import Program
from tests.clients.required import absent


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with all bundles of `clients.proof.bundles`; not to be changed."""
    folder = tmp_path_factory.mktemp("clients")
    bundles.make(folder)
    return folder


@pytest.fixture(params=sorted(languages.PROGRAMS))
def program(request: pytest.FixtureRequest) -> Program:
    """A client's program; skipped where it cannot be built, unless all clients are required."""
    name: str = request.param
    if reason := why_not(name):
        absent(reason)
    built(name)
    return Program(name, languages.PROGRAMS[name])


def why_not(name: str) -> str | None:
    """What this machine lacks to build a client."""
    missing = languages.missing_tools(languages.PROGRAMS[name])
    if missing:
        return f"client {name}: no {', no '.join(missing)} here"
    if not languages.is_fetched(name):
        return f"client {name}: its packages are not here, `make clients` fetches them"
    return None


@cache
def built(name: str) -> None:
    """Build a client once for all tests."""
    languages.build(name)
