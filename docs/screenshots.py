"""Takes the pictures of the browser page for the docs: `python docs/screenshots.py`.

Builds the page as `aeonnx demo --build-only` does, opens it in chromium with a 3 to denoise, and
writes docs/images/web.png, a wide window, and docs/images/web-phone.png, a phone in the dark.
`clients/setup.sh` installs chromium, `pip install --group clients` what drives it.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from clients.proof.browser import launched, served
from clients.proof.languages import ROOT

DEMO = ROOT / "build" / "demo"
PICTURES: Mapping[str, tuple[dict[str, Any], bool]] = {
    "web": ({"viewport": {"width": 1100, "height": 900}}, True),
    "web-phone": (
        {
            "viewport": {"width": 390, "height": 844},
            "device_scale_factor": 2,
            "is_mobile": True,
            "has_touch": True,
            "color_scheme": "dark",
        },
        False,
    ),
}
"""What the browser is, and whether all of the page is shown or a screenful, by name."""


def main() -> None:
    demo = [sys.executable, "-m", "aeonnx", "demo", "--build-only", "-o", str(DEMO)]
    subprocess.run(demo, check=True)
    with (
        sync_playwright() as playwright,
        launched(playwright) as browser,
        served(DEMO / "web") as address,
    ):
        for name, (settings, whole) in PICTURES.items():
            target = ROOT / "docs" / "images" / f"{name}.png"
            take(browser.new_context(**settings), address, target, whole)


def take(context: Any, address: str, target: Path, whole: bool) -> None:
    """A picture of the page with a 3 denoised, and what it decodes and generates by itself."""
    page = context.new_page()
    page.goto(address)
    page.wait_for_selector("body[data-state=ready]")
    page.click("#samples button >> nth=3")
    for _ in range(20):
        page.click("#new-noise")  # until it runs at its usual speed
    page.mouse.move(0, 0)
    page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
    page.wait_for_timeout(500)  # what glides comes to rest
    page.screenshot(path=target, full_page=whole)
    context.close()
    print(f"wrote {target.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
