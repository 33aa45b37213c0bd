"""The browser page with a model that was trained with labels: a class is chosen."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import aeonnx as library
from aeonnx.tools.web import build_site
from aeonnx.tools.web.site import DemoFiles, files_of
from clients.proof.browser import ENGINE
from tests.clients.browser import Page, opened
from tests.support import Shared

pytestmark = pytest.mark.clients


@pytest.fixture(scope="module")
def labelled(shared: Shared) -> Path:
    def fill(folder: Path) -> None:
        library.train("vae", folder / "run", conditional=True, epochs=3, device="cpu")
        library.export("vae", folder / "bundle", checkpoint=folder / "run")

    return shared("web-labels", fill) / "bundle"


@pytest.fixture(scope="module")
def page(
    browser: Any, site: Path, shown: DemoFiles, labelled: Path, made: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Page]:  # fmt: skip
    assert site.is_dir()  # else there is no engine, and the test is skipped
    bundles = {**shown.bundles, "vae": labelled, "photos": made / "any_size"}
    folder = build_site(tmp_path_factory.mktemp("labels"), files_of(bundles, shown.digits), ENGINE)
    with opened(browser, folder, viewport={"width": 1100, "height": 900}) as ready:
        yield ready


def test_the_check_passes(page: Page) -> None:
    assert page.text("#verdict") == "Equal to PyTorch"
    assert not page.complaints
    assert page.tab.is_visible("#photo-file")
    options = page.tab.eval_on_selector_all("#class option", "all => all.map(one => one.text)")
    assert options == [str(digit) for digit in range(10)]


def test_a_class_is_generated(page: Page, labelled: Path) -> None:
    page.tab.select_option("#class", "7")
    page.tab.fill("#count", "16")
    page.tab.click("#generate button")
    page.tab.wait_for_selector('#download[download="7-seed-7-16.png"]')
    shown = page.pixels("#grid")
    bundle = library.load(labelled, ["cpu"])
    images = bundle.generate(16, seed=7, label=7, pixels=True)[:, 0].astype(int)
    for row in range(4):
        for column in range(4):
            top, left = 2 + 30 * row, 2 + 30 * column
            found = shown[top : top + 28, left : left + 28]
            assert np.abs(found - images[4 * row + column]).max() <= 1


def test_sliders_keep_the_latent_while_the_class_changes(page: Page, labelled: Path) -> None:
    bundle = library.load(labelled, ["cpu"])
    page.tab.fill("#latent-seed", "4")
    for label in (2, 8):
        page.tab.select_option("#latent-class", str(label))
        page.settle()
        expected = bundle.generate(1, seed=4, label=label, pixels=True)[0, 0].astype(int)
        assert np.abs(page.pixels("#decoded") - expected).max() <= 1


def test_a_model_without_labels_shows_no_choice(browser: Any, site: Path) -> None:
    with opened(browser, site) as plain:
        assert not plain.tab.is_visible("#class")
        assert not plain.tab.is_visible("#latent-class")


def test_more_classes_than_fit_are_refused(
    browser: Any, site: Path, labelled: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(site, tmp_path / "site")
    shutil.rmtree(folder / "bundles/vae")
    shutil.copytree(labelled, folder / "bundles/vae")
    manifest = folder / "bundles/vae/manifest.json"
    document = json.loads(manifest.read_text())
    for part in ("decoder", "sampler"):
        inputs = document["parts"][part]["fp32"]["inputs"]
        next(spec for spec in inputs if spec["kind"] == "label")["range"] = [0, 99_999]
    manifest.write_text(json.dumps(document))
    with opened(browser, folder) as refused:
        assert "this page shows up to 1000 classes, got 100000" in refused.text("#latents .problem")
