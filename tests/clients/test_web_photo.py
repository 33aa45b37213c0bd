"""The browser page's panel for photographs of any size: what it shows is what Python computes."""

from __future__ import annotations

import base64
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import aeonnx as library
from aeonnx.tools.web import build_site
from aeonnx.tools.web.site import DemoFiles, files_of
from clients.proof.browser import ENGINE
from tests.clients.browser import Page, opened

pytestmark = pytest.mark.clients

Array = np.ndarray[Any, Any]


@pytest.fixture(scope="module")
def with_photos(
    site: Path, shown: DemoFiles, made: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The page with a denoiser of pictures of any size, too."""
    assert site.is_dir()  # else there is no engine, and the test is skipped
    files = files_of({**shown.bundles, "any_size": made / "any_size"}, shown.digits)
    return build_site(tmp_path_factory.mktemp("photos"), files, ENGINE)


@pytest.fixture(scope="module")
def photos(browser: Any, with_photos: Path) -> Iterator[Page]:
    with opened(browser, with_photos, viewport={"width": 1100, "height": 900}) as ready:
        yield ready


def saved(folder: Path, pixels: Array, name: str = "photo.png") -> Path:
    Image.fromarray(pixels).save(folder / name)
    return folder / name


def noise(*shape: int) -> Array:
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def take(page: Page, picture: Path) -> None:
    page.tab.set_input_files("#photo-file", picture)
    page.tab.wait_for_selector("#photo[data-state=done]")


def assert_denoised(page: Page, made: Path, grey: Array) -> None:
    np.testing.assert_array_equal(page.pixels("#before"), grey)
    with library.load(made / "any_size", providers=["cpu"]) as bundle:
        spec = bundle.inputs("denoiser")[0]
        assert spec.range == (0, 1)
        height, width = grey.shape
        least = [(0, max(8, size + size % 2) - size) for size in (height, width)]
        padded = np.pad(grey, least, mode="reflect")
        expected = bundle.denoise(padded[None, None], pixels=True)[0, 0, :height, :width]
    assert np.abs(page.pixels("#after") - expected.astype(int)).max() <= 1


@pytest.mark.parametrize("size", [(1, 1), (53, 37), (700, 1100)])
def test_a_photograph_is_denoised(
    photos: Page, made: Path, tmp_path: Path, size: tuple[int, int]
) -> None:
    grey = noise(*size)
    take(photos, saved(tmp_path, grey))
    assert_denoised(photos, made, grey)
    assert photos.text("#photo-said").startswith(
        f"{size[1]} \N{MULTIPLICATION SIGN} {size[0]} pixels, denoised in "
    )
    with photos.tab.expect_download() as download:
        photos.tab.click("#photo-save")
    assert download.value.suggested_filename == "photo-denoised.png"
    with Image.open(download.value.path()) as picture:
        np.testing.assert_array_equal(picture.convert("L"), photos.pixels("#after"))
    assert photos.complaints == []


def test_tiles_come_one_by_one_and_stop(photos: Page, tmp_path: Path) -> None:
    picture = saved(tmp_path, noise(3000, 3000))
    photos.tab.evaluate(_NOTE)
    photos.tab.set_input_files("#photo-file", picture)
    photos.tab.wait_for_selector("#photo-said[data-second]")
    photos.tab.click("#photo-stop")
    photos.tab.wait_for_selector("#photo[data-state=done]")
    said = photos.tab.evaluate("said")
    assert any(", 1 of " in text for text in said)
    assert any(", 2 of " in text for text in said)
    assert re.search(r", [\d.]+ m?s, stopped$", photos.text("#photo-said"))
    alpha = photos.tab.evaluate(_ALPHA)
    assert 0 < alpha < 1  # what came is shown, and the rest is not
    assert photos.tab.is_hidden("#photo-stop")
    assert photos.tab.is_hidden("#photo-save")


_NOTE = """() => {
  window.said = [];
  const line = document.querySelector("#photo-said");
  new MutationObserver(() => {
    said.push(line.textContent);
    if (line.textContent.includes(", 2 of ")) line.dataset.second = "";
  }).observe(line, { childList: true });
}"""
_ALPHA = """() => {
  const canvas = document.querySelector("#after");
  const { width, height } = canvas;
  const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
  let shown = 0;
  for (let at = 3; at < data.length; at += 4) shown += data[at] / 255;
  return shown / width / height;
}"""


def test_a_later_photograph_takes_the_place_of_one_that_runs(
    photos: Page, made: Path, tmp_path: Path
) -> None:
    large, small = noise(2000, 2000), noise(40, 60)
    photos.tab.set_input_files("#photo-file", saved(tmp_path, large, "large.png"))
    photos.tab.wait_for_selector("#photo-progress[value]")
    take(photos, saved(tmp_path, small, "small.png"))
    photos.tab.wait_for_timeout(500)
    assert_denoised(photos, made, small)
    assert photos.tab.get_attribute("#photo-save", "download") == "small-denoised.png"


def test_other_panels_go_on_while_a_photograph_runs(photos: Page, tmp_path: Path) -> None:
    photos.tab.click("#samples button >> nth=3")
    photos.settle()
    # So large that it runs until it is stopped, also beside other work.
    photos.tab.set_input_files("#photo-file", saved(tmp_path, noise(6000, 6000)))
    photos.tab.wait_for_selector("#photo-progress[value]")
    photos.tab.click("#clear")
    photos.tab.wait_for_timeout(1000)
    assert photos.tab.get_attribute("#photo", "data-state") == "busy"
    assert photos.pixels("#drawn").max() == 0
    photos.tab.click("#photo-stop")
    photos.tab.wait_for_selector("#photo[data-state=done]")


def test_what_is_dropped_anywhere_is_taken(photos: Page, made: Path, tmp_path: Path) -> None:
    grey = noise(30, 20)
    data = base64.b64encode(saved(tmp_path, grey).read_bytes()).decode()
    address = photos.tab.url
    photos.tab.evaluate(_DROP, data)
    photos.tab.wait_for_selector("#photo-save[download='dropped-denoised.png']")
    assert_denoised(photos, made, grey)
    assert photos.tab.url == address


_DROP = """(data) => {
  const bytes = Uint8Array.from(atob(data), (one) => one.charCodeAt(0));
  const dataTransfer = new DataTransfer();
  dataTransfer.items.add(new File([bytes], "dropped.png", { type: "image/png" }));
  for (const name of ["dragover", "drop"]) {
    const event = new DragEvent(name, { dataTransfer, bubbles: true, cancelable: true });
    if (document.querySelector("#latents").dispatchEvent(event)) throw Error("not taken");
  }
}"""


def test_the_slider_moves_by_keys_and_by_pointer(photos: Page, tmp_path: Path) -> None:
    take(photos, saved(tmp_path, noise(300, 500)))
    photos.tab.fill("#split", "20")
    photos.tab.focus("#split")
    photos.press("ArrowLeft")
    assert photos.tab.evaluate(_CLIP) == "inset(0px 0px 0px 19%)"
    photos.tab.locator(".compare").scroll_into_view_if_needed()
    box = photos.tab.locator(".compare").bounding_box()
    mouse = photos.tab.mouse
    mouse.move(box["x"] + 0.19 * box["width"], box["y"] + 50)
    mouse.down()
    mouse.move(box["x"] + 0.8 * box["width"], box["y"] + 60, steps=4)
    mouse.up()
    assert abs(int(photos.tab.input_value("#split")) - 80) <= 1
    assert photos.tab.get_attribute("#split", "aria-valuetext").endswith(" % after")


_CLIP = "getComputedStyle(document.querySelector('#after')).clipPath"


@pytest.mark.parametrize(
    ("pixels", "text"),
    [
        (np.full((20, 30, 4), 100, np.uint8), "has transparent pixels, and the model takes none"),
        (None, "is not a picture that this browser reads"),
    ],
)
def test_what_is_no_photograph_is_said(
    photos: Page, tmp_path: Path, pixels: Array | None, text: str
) -> None:
    picture = tmp_path / "<b>wrong.png"
    if pixels is None:
        picture.write_text("no picture")
    else:
        saved(tmp_path, pixels, picture.name)
    take(photos, picture)
    assert photos.text("#photo-problem").startswith(f"{picture.name} {text}")
    take(photos, saved(tmp_path, noise(10, 10)))
    assert photos.text("#photo-problem") == ""


def test_nothing_leaves_the_page(photos: Page, tmp_path: Path) -> None:
    before = len(photos.requests)
    take(photos, saved(tmp_path, noise(600, 600)))
    photos.settle()
    assert [one for one in photos.requests[before:] if not one.startswith("blob:")] == []


def test_a_site_without_such_a_denoiser_has_no_panel(page: Page) -> None:
    assert not page.tab.is_visible("#photo")
    assert page.complaints == []


def test_a_phone_shows_it_in_its_width(browser: Any, with_photos: Path, tmp_path: Path) -> None:
    phone = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
    with opened(browser, with_photos, **phone) as page:
        take(page, saved(tmp_path, noise(500, 700)))
        assert page.tab.evaluate("document.documentElement.scrollWidth") == 390


def test_a_denoiser_that_fails_its_check_is_said(
    browser: Any, with_photos: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(with_photos, tmp_path / "site")
    (graph,) = (folder / "bundles/any_size").glob("denoiser.*.onnx")
    graph.unlink()
    with opened(browser, folder) as page:
        assert "is missing, though the manifest names it" in page.text("#photo .problem")
        assert page.text("#verdict") == "Check failed"
        assert page.tab.is_visible("#drawn")
