"""The Node client's own tests, which need neither a bundle nor onnxruntime."""

from __future__ import annotations

import re

import pytest

from clients.proof import languages
from tests.clients.conftest import why_not
from tests.clients.required import absent

pytestmark = pytest.mark.clients


def test_the_clients_own_tests_pass() -> None:
    if reason := why_not("node"):
        absent(reason)
    done = languages.run(["node", "--test", str(languages.ROOT / "clients" / "node" / "test")])
    assert done.returncode == 0, done.stdout
    found = re.search(r"^# tests (\d+)$", done.stdout, re.MULTILINE)
    assert found is not None
    assert int(found[1]) > 200
