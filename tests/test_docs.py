"""Links between the pages, as a forge resolves them; `make docs` checks those of the site."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from docs.website import ROOT, links, pages


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, named as a forge names them."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def wrong(page: Path) -> list[str]:
    """The links of a page that lead nowhere. A folder has no page in the site."""
    found = []
    for target in links(page.read_text()):
        name, _, anchor = target.partition("#")
        path = page.parent / name if name else page
        if not path.is_file() or (anchor and anchor not in anchors(path)):
            found.append(target)
    return found


@pytest.mark.parametrize("page", [str(page.relative_to(ROOT)) for page in pages()])
def test_links_lead_somewhere(page: str) -> None:
    assert not wrong(ROOT / page)


def test_wrong_links_are_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# A `b`, (c)\n[here](#a-b-c) [no](#d) [gone](gone.md) ![x](x.png) [dir](.)\n"
        '<img src="y.png"> [title](z.md "z") `[code](code)` [web](https://example.org)\n\n'
        "    [indented](indented)\n\n```\n[fenced](fenced)\n```\n[name]: named.md\n"
    )
    assert wrong(page) == ["#d", "gone.md", "x.png", ".", "y.png", "z.md", "named.md"]
