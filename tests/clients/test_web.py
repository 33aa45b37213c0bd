"""The browser page, in a real browser: what it shows is what Python computes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import aeonnx as library
from aeonnx.tools.web.site import DemoFiles
from tests.clients.browser import (
    Page,
    chromium,
    opened,
)
from tests.clients.required import absent

Maker = Callable[..., Path]
PARTS = {"denoiser", "decoder", "sampler"}
pytestmark = pytest.mark.clients

GPU = ("--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", "--enable-features=Vulkan")


def denoised_by_python(page: Page, shown: DemoFiles) -> np.ndarray[Any, Any]:
    noised = page.pixels("#noised")[None, None]
    return library.load(shown.bundles["dae"]).denoise(noised, pixels=True)[0, 0]


def assert_denoised(page: Page, shown: DemoFiles) -> None:
    difference = page.pixels("#denoised") - denoised_by_python(page, shown).astype(int)
    assert np.abs(difference).max() <= 1


def test_the_check_passes_and_nothing_complains(page: Page) -> None:
    assert page.text("#verdict") == "Equal to PyTorch"
    assert page.text("#badge") == "WebAssembly"
    assert "per frame" in page.text("#denoise-ms")
    rows = [row.split() for row in page.tab.inner_text("#proofs tbody").splitlines()]
    assert {row[0] for row in rows} == PARTS
    assert {row[-1] for row in rows} == {"pass"}
    assert all(float(row[-3]) <= float(row[-2]) for row in rows)
    assert page.complaints == []


def test_it_asks_no_other_host(page: Page) -> None:
    home = page.tab.url
    assert len(page.requests) > 20
    assert [address for address in page.requests if not address.startswith((home, "blob:"))] == []


def test_what_the_pointer_draws_is_denoised(page: Page, shown: DemoFiles) -> None:
    page.tab.click("#clear")
    page.settle()
    assert page.pixels("#drawn").max() == 0
    box = page.tab.locator("#drawn").bounding_box()
    mouse = page.tab.mouse
    mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.25 * box["height"])
    mouse.down()
    mouse.move(box["x"] + 0.7 * box["width"], box["y"] + 0.75 * box["height"], steps=5)
    mouse.up()
    page.settle()
    drawn = page.pixels("#drawn")
    assert drawn[7, 8] == drawn[20, 19] == drawn[14, 14] == 255
    assert drawn[7, 20] == drawn[20, 8] == 0
    assert_denoised(page, shown)


def test_what_the_keyboard_draws_is_denoised(page: Page, shown: DemoFiles) -> None:
    page.tab.focus("#drawn")
    page.press("Delete")
    before = page.pixels("#denoised")
    assert page.pixels("#drawn").max() == 0
    assert page.tab.locator(".pen").is_visible()
    page.press(*["ArrowUp"] * 30, *["ArrowLeft"] * 30)  # it stops in the corner
    page.press(*["ArrowRight"] * 14, *["ArrowDown"] * 5, " ", *["ArrowDown"] * 8, " ")
    page.press(*["ArrowLeft"] * 10)
    drawn = page.pixels("#drawn")
    assert (drawn == 255).nonzero()[1].tolist().count(14) in (9, 11)
    assert drawn[:, 14].nonzero()[0].min() >= 3
    assert drawn[:, :12].max() == 0
    assert not np.array_equal(page.pixels("#denoised"), before)
    assert_denoised(page, shown)


@pytest.mark.parametrize("kind", ["gaussian", "masking", "salt-pepper"])
def test_noise_is_as_in_training(page: Page, shown: DemoFiles, kind: str) -> None:
    page.tab.click("#samples button >> nth=4")
    page.tab.select_option("#kind", kind)
    page.tab.fill("#level", "0.3")
    page.settle()
    drawn, noised = page.pixels("#drawn"), page.pixels("#noised")
    empty, inked = noised[drawn == 0], noised[drawn > 0]
    if kind == "gaussian":
        assert 0.25 < empty[empty > 0].mean() / 255 / np.sqrt(2 / np.pi) < 0.35
    else:
        black, white = (0.3, 0) if kind == "masking" else (0.15, 0.15)
        assert (inked == 0).mean() == pytest.approx(black, abs=0.1)
        assert (empty == 255).mean() == pytest.approx(white, abs=0.05)
    assert_denoised(page, shown)


def test_sliders_move_what_is_decoded(page: Page, shown: DemoFiles) -> None:
    bundle = library.load(shown.bundles["vae"])

    def decoded() -> np.ndarray[Any, Any]:
        z = page.tab.eval_on_selector_all("#sliders input", "all => all.map(one => +one.value)")
        return bundle.decode(np.array([z], np.float32), pixels=True)[0, 0].astype(int)

    page.tab.click("#zero")
    page.settle()
    zero = page.pixels("#decoded")
    assert np.abs(zero - decoded()).max() <= 1
    page.tab.fill("#z0", "2.5")
    page.tab.focus("#z7")
    page.press("ArrowLeft", "ArrowLeft", "PageDown")
    moved = page.pixels("#decoded")
    assert np.abs(moved.astype(int) - zero).max() > 1
    assert np.abs(moved - decoded()).max() <= 1
    page.tab.click("#random")
    page.settle()
    seed = int(page.tab.input_value("#latent-seed"))
    # z from the seed itself, not the slider's nearest step.
    expected = bundle.generate(1, seed=seed, pixels=True)[0, 0].astype(int)
    assert np.abs(page.pixels("#decoded") - expected).max() <= 1


@pytest.mark.parametrize(("seed", "count"), [(7, 64), (2**63 - 1, 5), (2**53 + 1, 1)])
def test_a_seed_gives_what_the_command_line_writes(
    page: Page, shown: DemoFiles, aeonnx: Callable[..., Any], tmp_path: Path, seed: int, count: int
) -> None:
    aeonnx("generate", shown.bundles["vae"], "--seed", seed, "-n", count, "-o", "grid.png")
    expected = np.asarray(Image.open(tmp_path / "grid.png"))
    page.tab.fill("#seed", str(seed))
    page.tab.fill("#count", str(count))
    page.press("Enter")
    page.tab.wait_for_selector(f'#download[download="seed-{seed}-{count}.png"]')
    shown = page.pixels("#grid")
    difference = np.abs(shown - expected.astype(int))
    # Sums in another order than in native kernels round some values the other way.
    assert difference.max() <= 1
    assert difference.sum() <= 1 + expected.size / 20_000
    with page.tab.expect_download() as download:
        page.tab.click("#download")
    with Image.open(download.value.path()) as picture:
        assert np.array_equal(np.asarray(picture.convert("L")), shown)


@pytest.mark.parametrize("seed", ["-1", "9223372036854775808", "1.5", "", "seven"])
def test_other_seeds_are_refused(page: Page, seed: str) -> None:
    page.tab.fill("#seed", seed)
    page.tab.click("#generate button")
    page.settle()
    assert "expected a seed of 0 to 9223372036854775807" in page.text("#generate-problem")
    page.tab.fill("#seed", "7")
    page.tab.click("#generate button")
    page.settle()
    assert page.text("#generate-problem") == ""


def test_every_control_has_a_name_and_is_reached_by_tab(page: Page) -> None:
    controls = "a, button, input, select, canvas:not([aria-hidden])"
    names = page.tab.eval_on_selector_all(controls, _NAMES)
    assert len(names) > 40
    assert all(names)
    page.tab.focus("#verdict")
    reached = []
    for _ in range(60):
        page.tab.keyboard.press("Tab")
        reached.append(page.tab.evaluate("document.activeElement.id"))
    order = ["drawn", "kind", "level", "new-noise", "clear", "z0", "z19", "random", "zero", "seed"]
    places = [reached.index(name) for name in [*order, "count", "download"]]
    assert places == sorted(places)


_NAMES = """(all) => all.map((one) =>
  one.ariaLabel || one.labels?.[0]?.textContent.trim() || one.textContent.trim())"""


def test_what_is_seen_is_what_was_computed(page: Page, tmp_path: Path) -> None:
    """In a screenshot: neither hidden, nor covered, nor blurred."""
    page.tab.click("#samples button >> nth=3")
    page.tab.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
    page.settle()
    page.tab.screenshot(path=tmp_path / "page.png", full_page=True)
    with Image.open(tmp_path / "page.png") as picture:
        seen = np.asarray(picture.convert("L"))
    for name in ("drawn", "noised", "denoised", "decoded"):
        pixels = page.pixels(f"#{name}")
        assert np.ptp(pixels) > 100, name
        box = page.tab.locator(f"#{name}").bounding_box()
        height, width = pixels.shape
        rows = box["y"] + (np.arange(height) + 0.5) * box["height"] / height
        columns = box["x"] + (np.arange(width) + 0.5) * box["width"] / width
        shown = seen[np.ix_(rows.astype(int), columns.astype(int))]
        inner = np.s_[2:-2, 2:-2]  # corners are round
        np.testing.assert_array_equal(shown[inner], pixels[inner], name)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast(browser: Any, site: Path, scheme: str) -> None:
    with opened(browser, site, color_scheme=scheme) as page:
        weak = page.tab.evaluate(_WEAK_TEXTS)
    assert weak == []


_WEAK_TEXTS = """() => {
  const light = (colour) => {
    const parts = colour.match(/[\\d.]+/g).slice(0, 3).map((part) => part / 255);
    const [r, g, b] = parts.map((x) => (x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05;
  };
  const ground = (one) => {
    const colour = getComputedStyle(one).backgroundColor;
    return /, 0\\)$/.test(colour) ? ground(one.parentElement) : colour;
  };
  return [...document.querySelectorAll("body *")]
    .filter((one) => [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim()))
    .filter((one) => one.offsetParent && one.tagName !== "OPTION")
    .map((one) => [light(getComputedStyle(one).color), light(ground(one)), one.textContent])
    .filter(([a, b]) => Math.max(a, b) / Math.min(a, b) < 4.5);
}"""


def test_a_phone_scrolls_one_way_only(browser: Any, site: Path) -> None:
    phone = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
    with opened(browser, site, **phone) as page:
        assert page.tab.evaluate("document.documentElement.scrollWidth") == 390
        page.tab.tap("#clear")
        page.tab.tap("#drawn")
        page.settle()
        assert page.pixels("#drawn").max() > 200


def test_webgpu_runs_where_it_passes_the_check(
    playwright: Any, site: Path, shown: DemoFiles
) -> None:
    """On a GPU of software, where the browser has that."""
    with chromium(playwright, *GPU) as browser, opened(browser, site) as page:
        if page.text("#badge") != "WebGPU":
            absent("this chromium has no software GPU")
        assert page.text("#verdict") == "Equal to PyTorch"
        rows = [row.split() for row in page.tab.inner_text("#proofs tbody").splitlines()]
        assert {(row[0], row[-4]) for row in rows} == {
            *(("denoiser", "WebGPU"), ("decoder", "WebGPU"), ("sampler", "WebAssembly"))
        }
        assert_denoised(page, shown)


def test_webgpu_that_fails_the_check_is_not_used(
    playwright: Any, site: Path, shown: DemoFiles
) -> None:
    """A GPU that never does what it is told."""
    idle = "if (globalThis.GPUQueue) GPUQueue.prototype.submit = () => {};"
    with chromium(playwright, *GPU) as browser, opened(browser, site, idle) as page:
        if not page.text("#why").startswith("Not WebGPU: it failed its check: "):
            absent("this chromium has no software GPU")
        assert "WRONG denoiser fp32" in page.text("#why")
        assert page.text("#badge") == "WebAssembly"
        assert page.text("#verdict") == "Equal to PyTorch"
        assert_denoised(page, shown)
