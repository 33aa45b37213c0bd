"""Fixtures: the clients, built, the page in a browser, and bundles of every model for them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from aeonnx import checkpoint
from aeonnx.io import images
from aeonnx.tools.web import build_site
from aeonnx.tools.web.site import DemoFiles, files_of
from clients.proof import bundles, languages
from clients.proof.browser import ENGINE
from clients.proof.program import Program
from tests.clients.browser import Page, chromium, driver, opened
from tests.clients.gaps import fill
from tests.clients.manifests import damage
from tests.clients.required import absent, languages_of
from tests.support import Shared

Maker = Callable[..., Path]
FEW = 150
"""Manifests that are damaged at random; benchmarks/hostile.py takes thousands."""


@pytest.fixture(scope="session")
def made() -> Path:
    """The folder with all bundles of `clients.proof.bundles`; not to be changed."""
    return bundles.kept()


@pytest.fixture(scope="session")
def gaps_in(shared: Shared) -> Callable[[str], Path]:
    """(kind of data, "rows" or "windows") -> a bundle that fills in missing values of such."""
    return lambda kind: shared(f"gaps-{kind}", lambda folder: fill(kind, folder)) / "bundle"


@pytest.fixture
def copy(made: Path, tmp_path: Path) -> Callable[[str], Path]:
    """A copy of a bundle, to be changed."""

    def take(name: str) -> Path:
        return shutil.copytree(made / name, tmp_path / name)

    return take


@pytest.fixture(scope="session")
def damaged_manifests(shared: Shared, made: Path) -> Path:
    """Damaged manifests for all clients, see `manifests.damage`; not to be changed."""
    return shared("damaged", lambda folder: damage(made / "vae", folder, FEW))


@pytest.fixture(params=languages_of(sorted(languages.PROGRAMS)))
def program(request: pytest.FixtureRequest, shared: Shared) -> Program:
    """A client's program; skipped where it cannot be built, unless all clients are required."""
    name: str = request.param
    if reason := why_not(name):
        absent(reason)
    shared(f"client-{name}", lambda _: languages.build(name))
    return Program(name, languages.PROGRAMS[name], languages.PROGRAMS[name].quick)


def why_not(name: str) -> str | None:
    """What this machine lacks to build a client."""
    missing = languages.missing_tools(languages.PROGRAMS[name])
    if missing:
        return f"client {name}: no {', no '.join(missing)} here"
    if not languages.is_fetched(name):
        return f"client {name}: its packages are not here, `make clients` fetches them"
    return None


@pytest.fixture(scope="session")
def shown(
    run_of: Maker, bundle_of: Maker, denoiser: Path, tmp_path_factory: pytest.TempPathFactory
) -> DemoFiles:
    """A vae and a dae, and the digits to draw on."""
    folder = tmp_path_factory.mktemp("web")
    examples = checkpoint.load(run_of("dae"), "dae").examples
    assert examples is not None
    strip = examples.test[::6][:10].numpy().reshape(1, 1, -1, 28)
    (folder / "digits.png").write_bytes(images.png(strip))
    return files_of({"vae": bundle_of(), "dae": denoiser}, folder / "digits.png")


@pytest.fixture(scope="session")
def site(shown: DemoFiles, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page; not to be changed."""
    if not ENGINE.is_dir():
        absent("no engine: npm install --ignore-scripts in clients/web")
    return build_site(tmp_path_factory.mktemp("site"), shown, ENGINE)


@pytest.fixture
def changed(site: Path, tmp_path: Path) -> Path:
    """A copy to damage; the engine, which is large, is the same file."""
    shutil.copytree(site, tmp_path / "site", copy_function=_link_large)
    return tmp_path / "site"


def _link_large(source: str, target: str) -> None:
    large = source.endswith(".wasm")
    Path(target).hardlink_to(source) if large else shutil.copy2(source, target)


@pytest.fixture(scope="module")
def playwright() -> Iterator[Any]:
    with driver() as started:
        yield started


@pytest.fixture(scope="module")
def browser(playwright: Any) -> Iterator[Any]:
    with chromium(playwright) as program:
        yield program


@pytest.fixture(scope="module")
def page(browser: Any, site: Path) -> Iterator[Page]:
    """The page as a whole, used by one test after another."""
    with opened(browser, site, viewport={"width": 1100, "height": 900}) as ready:
        yield ready
