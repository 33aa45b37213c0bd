"""Each client's own linters and tests, which need neither a bundle nor onnxruntime."""

from __future__ import annotations

import re
from shutil import which

import pytest

from clients.proof import languages
from tests.clients.required import REQUIRED, absent, languages_of

pytestmark = pytest.mark.clients

LINTED = [name for name, language in languages.LANGUAGES.items() if language.lint]
TESTED = [name for name, language in languages.LANGUAGES.items() if language.tests]
PASSED = {
    **{"cpp": r"^PASS ", "go": r"^--- PASS: "},
    **{"rust": r"^test .* \.\.\. ok$", "node": r"^# pass (\d+)$"},
}
"""How the output of a client's own tests counts those that passed."""
FEWEST = {"cpp": 30, "go": 30, "rust": 40, "node": 300}


def usable(name: str) -> languages.Language:
    """A language whose linters and packages are here."""
    language = languages.LANGUAGES[name]
    missing = [tool for tool in (*language.tools, *language.lint_tools) if which(tool) is None]
    if missing:
        absent(f"client {name}: no {', no '.join(missing)} here: clients/setup.sh installs it")
    if not languages.is_fetched(name):
        absent(f"client {name}: its packages are not here, `make clients` fetches them")
    return language


@pytest.mark.parametrize("name", languages_of(LINTED))
def test_the_linters_find_nothing(name: str) -> None:
    usable(name)
    assert languages.findings(name) == ""


@pytest.mark.parametrize("name", languages_of(TESTED))
def test_the_clients_own_tests_pass(name: str) -> None:
    language = usable(name)
    assert language.tests is not None
    here = languages.ROOT / "clients" / language.folder
    done = languages.run(language.tests, language.environment, 600, here)
    assert done.returncode == 0, done.stdout + done.stderr
    found = re.findall(PASSED[name], done.stdout, re.MULTILINE)
    assert (int(found[0]) if name == "node" else len(found)) >= FEWEST[name]


def test_a_missing_linter_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "which", lambda tool: None if tool == "gofmt" else tool)
    named = "client go: no gofmt here: clients/setup.sh installs it"
    monkeypatch.delenv(REQUIRED, raising=False)
    with pytest.raises(pytest.skip.Exception, match=named):
        usable("go")
    monkeypatch.setenv(REQUIRED, "1")
    with pytest.raises(pytest.fail.Exception, match=f"{named}, and {REQUIRED} is set"):
        usable("go")
