"""The Rust client's own tests, on bundles and an engine that they make."""

from __future__ import annotations

import re

import pytest

from clients.proof import languages
from tests.clients.conftest import why_not
from tests.clients.required import absent

pytestmark = pytest.mark.clients


def test_the_clients_own_tests_pass() -> None:
    if reason := why_not("rust"):
        absent(reason)
    rust = languages.PROGRAMS["rust"]
    command = ["cargo", "test", "--release", "--offline", "--tests"]
    here = languages.ROOT / "clients" / rust.folder
    done = languages.run(command, rust.environment, 600, here)
    assert done.returncode == 0, done.stdout + done.stderr
    assert sum(map(int, re.findall(r"ok\. (\d+) passed", done.stdout))) > 5
