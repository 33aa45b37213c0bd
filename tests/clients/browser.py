"""A real Chromium, headless, and the page in it. Never a browser that was downloaded."""

from __future__ import annotations

import base64
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from clients.proof.browser import launched, served
from tests.clients.required import absent

__all__ = [
    "PARSE",
    "Array",
    "Page",
    "but_modules",
    "chromium",
    "driver",
    "opened",
]

Array = np.ndarray[Any, np.dtype[Any]]


@contextmanager
def driver() -> Iterator[Any]:
    """What starts browsers; there can be one at a time."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        absent("no playwright: pip install playwright")
    with sync_playwright() as playwright:
        yield playwright


@contextmanager
def chromium(playwright: Any, *flags: str) -> Iterator[Any]:
    """A browser, with flags of its own."""
    if shutil.which("chromium") is None:
        absent("no chromium on the PATH")
    with launched(playwright, *flags) as browser:
        yield browser


class Page:
    """The demo's page, once it is ready: what tests ask of it."""

    def __init__(self, browser: Any, address: str, script: str = "", **settings: Any) -> None:
        self.complaints: list[str] = []
        self.requests: list[str] = []
        context = browser.new_context(**settings)
        context.set_default_timeout(60_000)
        self.tab = context.new_page()
        self.tab.add_init_script(script)
        self.tab.on("request", lambda request: self.requests.append(request.url))
        self.tab.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.tab.on("console", self._note)
        self.tab.goto(address)
        self.tab.wait_for_selector("body[data-state=ready]")

    def _note(self, message: Any) -> None:
        if message.type == "error":
            self.complaints.append(message.text)

    def text(self, selector: str) -> str:
        """What an element says."""
        return str(self.tab.text_content(selector)).strip()

    def pixels(self, selector: str) -> Array:
        """Grey pixels of a canvas, uint8 [H, W]."""
        return self.colours(selector)[:, :, 0]

    def colours(self, selector: str) -> Array:
        """Pixels of a canvas, uint8 [H, W, 3]."""
        width, height, data = self.tab.evaluate(_READ, selector)
        rgba = np.frombuffer(base64.b64decode(data), np.uint8)
        return rgba.reshape(height, width, 4)[:, :, :3].copy()

    def press(self, *keys: str) -> None:
        """Keys, one after the other."""
        for key in keys:
            self.tab.keyboard.press(key)
        self.settle()

    def settle(self) -> None:
        """Wait until what was asked for is shown."""
        self.tab.wait_for_timeout(100)


_READ = """(selector) => {
  const canvas = document.querySelector(selector);
  const { width, height } = canvas;
  const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
  const pieces = [];
  for (let at = 0; at < data.length; at += 4096) {
    pieces.push(String.fromCharCode(...data.subarray(at, at + 4096)));
  }
  return [width, height, btoa(pieces.join(""))];
}"""


def but_modules(_: str, names: list[str]) -> set[str]:
    """What of the page is left out where the reader of manifests alone is wanted."""
    return {name for name in names if not name.endswith((".mjs", ".svg"))}


PARSE = """async (names) => {
  const { parseManifest, BundleError } = await import("/bundle.mjs");
  const said = {};
  for (const name of names) {
    const text = new Uint8Array(await (await fetch(`/manifests/${name}`)).arrayBuffer());
    try {
      parseManifest(text, name);
      said[name] = "accepted";
    } catch (error) {
      said[name] = error instanceof BundleError ? "refused" : `fault: ${error}`;
    }
  }
  return said;
}"""
"""What becomes of each manifest, in the page."""


@contextmanager
def opened(browser: Any, site: Path, script: str = "", **settings: Any) -> Iterator[Page]:
    """The page of a folder."""
    with served(site) as address:
        page = Page(browser, address, script, **settings)
        yield page
        page.tab.context.close()
