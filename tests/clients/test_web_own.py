"""The browser page for bundles of a user's own: it has the panels that their parts allow."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import aeonnx as library
from aeonnx.bundle import golden, manifest
from aeonnx.exporting import ExportOptions, export
from aeonnx.tools.web import build_site, own_files
from clients.proof.browser import ENGINE
from tests.clients.browser import Array, Page, opened
from tests.clients.required import absent
from tests.support import Shared

pytestmark = pytest.mark.clients

Maker = Callable[..., Path]
PANELS = ("denoise", "photo", "latents", "generate")
WIDE = {"viewport": {"width": 1100, "height": 900}}
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


@contextmanager
def shown(browser: Any, folder: Path, *bundles: Path, **settings: Any) -> Iterator[Page]:
    """The page of bundles."""
    if not ENGINE.is_dir():
        absent("no engine: npm install --ignore-scripts in clients/web")
    site = build_site(folder / "site", own_files(bundles), ENGINE)
    with opened(browser, site, **(settings or WIDE)) as page:
        yield page


@pytest.fixture(scope="module")
def model(shared: Shared) -> Callable[[str], Path]:
    """A bundle of a model in own_models.py; not to be changed."""

    def make(name: str) -> Path:
        source = f"module:tests.clients.own_models:{name}"
        return shared(name, lambda folder: export(ExportOptions(name, folder, from_source=source)))

    return make


def assert_works(page: Page, *panels: str) -> None:
    assert [name for name in PANELS if page.tab.is_visible(f"#{name}")] == [*panels]
    assert not any(page.tab.is_visible(f"#{name} .problem") for name in PANELS)
    assert page.text("#verdict") == "Equal to PyTorch"
    assert page.complaints == []


def sliders(page: Page) -> Array:
    """What the sliders say, [1, n]."""
    z = page.tab.eval_on_selector_all("#sliders input", "all => all.map((one) => +one.value)")
    return np.array([z], np.float32)


def assert_shows(page: Page, selector: str, image: Array) -> None:
    """Of an image [C, H, W], to one level."""
    found = page.colours(selector).astype(int)
    assert found.shape == (*image.shape[1:], 3)
    assert np.abs(found - image.transpose(1, 2, 0)).max() <= 1


def test_a_decoder_of_colours_has_sliders_and_the_seeds_of_its_sampler(
    browser: Any, made: Path, tmp_path: Path
) -> None:
    bundle = library.load(made / "conditional", ["cpu"])
    with shown(browser, tmp_path, made / "conditional") as page:
        assert_works(page, "latents", "generate")
        page.tab.select_option("#latent-class", "3")
        page.tab.fill("#latent-seed", "11")
        page.settle()
        drawn = bundle.generate(1, seed=11, label=3, pixels=True)[0]
        assert np.ptp(drawn.astype(int), 0).max() > 50  # it has colours
        assert_shows(page, "#decoded", drawn)
        page.tab.click("#zero")
        page.tab.fill("#z2", "-2.5")
        page.settle()
        z = np.array([[0, 0, -2.5, 0]], np.float32)
        np.testing.assert_array_equal(sliders(page), z)
        assert_shows(page, "#decoded", bundle.decode(z, label=[3], pixels=True)[0])
        page.tab.fill("#count", "1")
        page.tab.select_option("#class", "5")
        page.tab.wait_for_selector('#download[download="5-seed-7-1.png"]')
        assert_shows(page, "#grid", bundle.generate(1, seed=7, label=5, pixels=True)[0])


def test_a_decoder_that_nothing_draws_for_starts_at_a_stored_latent(
    browser: Any, model: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = model("colour_decoder")
    bundle = library.load(folder, ["cpu"])
    (stored, *_) = manifest.read(folder).parts["decoder"]["fp32"].golden
    z = golden.read(folder, stored.inputs["z"])[:1]
    with shown(browser, tmp_path, folder) as page:
        assert_works(page, "latents")
        assert not page.tab.is_visible("#latent-seed")
        assert not page.tab.is_visible("#random")
        assert_shows(page, "#decoded", bundle.decode(z, pixels=True)[0])
        np.testing.assert_allclose(sliders(page), z, atol=10 / 160 / 2 + 1e-3)
        page.tab.focus("#z0")
        page.press("Home")
        page.tab.focus("#z1")
        page.press("End")
        z[0, :2] = 0, 10  # as far as the decoder takes them
        assert_shows(page, "#decoded", bundle.decode(z, pixels=True)[0])
        box = page.tab.locator("#decoded").bounding_box()
        assert box["width"] / box["height"] == pytest.approx(20 / 12, rel=0.02)


def test_sliders_reach_what_is_stored(browser: Any, made: Path, tmp_path: Path) -> None:
    """The latents of an autoencoder without a prior have any scale."""
    folder = made / "dae-conv"
    (stored, *_) = manifest.read(folder).parts["decoder"]["fp32"].golden
    z = golden.read(folder, stored.inputs["z"])[:1]
    assert np.abs(z).max() > 5
    with shown(browser, tmp_path, folder) as page:
        np.testing.assert_allclose(sliders(page), z, atol=np.ceil(np.abs(z).max()) / 160 + 1e-3)


def test_a_denoiser_that_draws_has_no_sample_digits(
    browser: Any, made: Path, tmp_path: Path
) -> None:
    bundle = library.load(made / "dae", ["cpu"])
    with shown(browser, tmp_path, made / "dae") as page:
        assert_works(page, "denoise", "latents")
        assert not page.tab.is_visible("#samples")
        assert page.text("#samples") == ""
        assert not [address for address in page.requests if "digits" in address]
        box = page.tab.locator("#drawn").bounding_box()
        page.tab.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        page.settle()
        assert page.pixels("#drawn").max() > 200
        denoised = bundle.denoise(page.pixels("#noised")[None, None], pixels=True)[0, 0]
        assert np.abs(page.pixels("#denoised") - denoised.astype(int)).max() <= 1


def test_a_photograph_keeps_its_colours(
    browser: Any, model: Callable[[str], Path], tmp_path: Path
) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (700, 900, 3), np.uint8)
    Image.fromarray(picture).save(tmp_path / "photo.png")
    bundle = library.load(model("colour_denoiser"), ["cpu"])
    denoised = bundle.denoise(picture.transpose(2, 0, 1)[None], pixels=True)[0]
    assert np.abs(denoised.transpose(1, 2, 0).astype(int) - picture).max() > 10
    with shown(browser, tmp_path, model("colour_denoiser")) as page:
        assert_works(page, "photo")
        page.tab.set_input_files("#photo-file", tmp_path / "photo.png")
        page.tab.wait_for_selector("#photo[data-state=done]")
        assert page.text("#photo-problem") == ""
        assert_shows(page, "#before", picture.transpose(2, 0, 1))
        assert_shows(page, "#after", denoised)


def test_a_sampler_alone_generates(
    browser: Any, shared: Shared, run_of: Maker, tmp_path: Path
) -> None:
    options: dict[str, Any] = {"parts": ("sampler",)}
    folder = shared(
        "sampler", lambda folder: export(ExportOptions("vae", folder, run_of(), **options))
    )
    with shown(browser, tmp_path, folder) as page:
        assert_works(page, "generate")
        page.tab.fill("#seed", "5")
        page.tab.fill("#count", "1")
        page.press("Enter")
        page.tab.wait_for_selector('#download[download="seed-5-1.png"]')
        image = library.load(folder, ["cpu"]).generate(1, seed=5, pixels=True)[0, 0]
        assert np.abs(page.pixels("#grid") - image.astype(int)).max() <= 1


def test_seeds_draw_for_the_decoder_of_their_bundle_alone(
    browser: Any, made: Path, tmp_path: Path
) -> None:
    """The sampler of another one gives another z."""
    with shown(browser, tmp_path, made / "sae", made / "vae", made / "any_size") as page:
        assert_works(page, "photo", "latents", "generate")
        assert not page.tab.is_visible("#latent-seed")
        assert len(sliders(page)[0]) == 64


def test_a_phone_shows_all_of_it_in_its_width(browser: Any, made: Path, tmp_path: Path) -> None:
    bundles = (made / name for name in ("dae", "conditional", "any_size"))
    with shown(browser, tmp_path, *bundles, **PHONE) as page:
        assert_works(page, *PANELS)
        assert page.tab.evaluate("document.documentElement.scrollWidth") == 390
        assert len(sliders(page)[0]) == 256
        page.tab.locator("#zero").scroll_into_view_if_needed()
        assert page.tab.locator("#decoded").is_visible()


@pytest.mark.parametrize("damage", [{}, [], ["dae"], [{"panel": "unknown"}], [None]])
def test_a_damaged_list_of_panels_is_said(browser: Any, changed: Path, damage: object) -> None:
    (changed / "bundles.json").write_text(json.dumps(damage))
    with opened(browser, changed) as page:
        assert page.text("#alert") == (
            "bundles.json: expected a list of the panels denoise, photo, latents, generate"
        )
        assert not any(page.tab.is_visible(f"#{name}") for name in PANELS)
        assert page.complaints == []
