"""The page at `/` in a browser."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aeonnx.io.images import png
from aeonnx.serving import Server
from tests.clients.browser import chromium, driver
from tests.serving.conftest import running

Maker = Callable[..., Path]
pytestmark = pytest.mark.clients


def test_each_form_shows_what_the_server_answers(plain: Server, tmp_path: Path) -> None:
    picture, rows = tmp_path / "picture.png", tmp_path / "rows.json"
    picture.write_bytes(png(np.full((1, 1, 28, 28), 90, np.uint8)))
    rows.write_text("[1, 2]")
    wrong: list[str] = []
    with driver() as playwright, chromium(playwright) as browser:
        tab = browser.new_page(viewport={"width": 390, "height": 844})  # of a phone
        tab.on("console", lambda message: message.type == "error" and wrong.append(message.text))
        tab.on("pageerror", lambda error: wrong.append(str(error)))

        def send(form: str, file: Path | None = None) -> Any:
            section = tab.locator(f"#{form}")
            if file:
                section.locator("input[type=file]").set_input_files(file)
            section.locator("button").click()
            tab.wait_for_selector(f"#{form} button:enabled")
            return section

        tab.goto(plain.address)
        tab.wait_for_selector("#models tr")
        assert tab.text_content("#state") == "Ready: 5 models."
        assert not tab.is_visible("#denoise")  # this bundle cannot
        for unneeded in ("#generate .bundle", "#generate .class", "#score .class"):
            assert not tab.is_visible(unneeded)
        assert send("generate").locator(".result").is_visible()
        assert send("reconstruct", picture).locator(".result").is_visible()
        scores = send("score", picture).locator(".scores")
        assert scores.locator("tbody tr").count() == 1
        assert not wrong
        says = send("score", rows).locator(".says").text_content()
        assert says.startswith("expected a PNG, JPEG")
        assert not scores.is_visible()  # they are not of this file
        for path in ("", "docs"):
            tab.goto(plain.address + path)
            assert tab.evaluate("document.documentElement.scrollWidth") == 390
        assert tab.evaluate("document.querySelector('.wide').scrollWidth") < 390


def test_a_browser_asks_for_the_token_and_sends_it(bundle_of: Maker) -> None:
    token = "0123456789abcdef"
    with (
        running(bundle_of(), token=token) as server,
        driver() as playwright,
        chromium(playwright) as browser,
    ):
        assert browser.new_context().request.get(server.address).status == 401
        login = {"username": "anyone", "password": token}
        tab = browser.new_context(http_credentials=login).new_page()
        tab.goto(server.address)
        tab.wait_for_selector("#models tr")
        tab.click("#generate button")
        tab.wait_for_selector("#generate button:enabled")
        assert tab.locator("#generate .result").is_visible()
        tab.click("text=all routes")
        tab.wait_for_selector("table")
