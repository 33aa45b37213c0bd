"""What mkdocs builds the site from, as a hook of mkdocs.yml; a test reads the links with it.

The site mirrors the repository, so that a relative link between pages, or to a file of the source,
works on a forge and in the site alike. The API reference is made from `__all__` of each module.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mkdocs.structure.files import Files

ROOT = Path(__file__).resolve().parents[1]
PAGES = ("*.md", "docs/**/*.md", "clients/*.md", "clients/*/*.md", "benchmarks/results/*.md")
MODULES = (
    "aeonnx",
    "aeonnx.training",
    "aeonnx.exporting",
    "aeonnx.models",
    "aeonnx.runtime",
    "aeonnx.runtime.stream",
    "aeonnx.scale.ray",
    "aeonnx.scale.serve",
    "aeonnx.bundle",
    "aeonnx.io.images",
    "aeonnx.io.readers",
    "aeonnx.io.writers",
    "aeonnx.errors",
)
"""In the order of the navigation: what several modules offer is described with the first."""

_FENCE = re.compile(r"^(`{3,}|~{3,}).*?^\1", flags=re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"^ {4}.*$|`[^`\n]*`", flags=re.MULTILINE)
_LINK = re.compile(
    r"""\]\(([^)\s]+)(?:\s+"[^"]*")?\)  # [text](target "title")
    |^\[[^\]]+\]:\s*(\S+)  # [name]: target
    |<(?:img|a)\b[^>]*?(?:src|href)="([^"]+)\"""",
    flags=re.MULTILINE | re.VERBOSE,
)


def pages() -> list[Path]:
    """Every page of the repository, whether of docs/ or not."""
    return sorted({path for pattern in PAGES for path in ROOT.glob(pattern)})


def links(text: str) -> Iterator[str]:
    """Targets of the links and pictures on a page that are no addresses of other hosts."""
    for found in _LINK.finditer(_CODE.sub("", _FENCE.sub("", text))):
        target = found[1] or found[2] or found[3]
        if not re.match(r"\w+:", target):
            yield target


def reference() -> dict[str, str]:
    """Pages of the API by module, with what its `__all__` says; each thing is described once."""
    import griffe

    package = griffe.load(
        "aeonnx", search_paths=[str(ROOT)], allow_inspection=False, resolve_aliases=True
    )
    pages: dict[str, str] = {}
    described: dict[str, str] = {}
    for module in MODULES:
        room = package[module.removeprefix("aeonnx.")] if "." in module else package
        own, links = [], []
        for name in sorted(str(name) for name in room.exports if not name.startswith("__")):
            path = room[name].canonical_path
            if path in MODULES:
                links.append(f"[`{name}`]({path}.md)")
            elif path in described:
                links.append(f"[`{name}`][{described[path]}]")
            else:
                own.append(name)
                described[path] = f"{module}.{name}"
        pages[module] = _page(module, own, links)
    return pages


def _page(module: str, own: list[str], links: list[str]) -> str:
    members = "".join(f"\n        - {name}" for name in own) or " []"
    lines = [f"# {module}", "", f"::: {module}", f"    options:\n      members:{members}"]
    if links:
        lines += ["", f"Also in this module: {', '.join(links)}."]
    return "\n".join([*lines, ""])


def on_files(files: Files, config: Any) -> Files:
    """Called by mkdocs: the repository's pages and what they link to, in the place of docs/."""
    from mkdocs.structure.files import File, Files

    kept = [file for file in files if file.src_dir != config.docs_dir]
    sources = {*pages(), ROOT / "docs/website.css"}
    for page in pages():
        for target in links(page.read_text()):
            path = Path(os.path.normpath(page.parent / target.partition("#")[0]))
            sources |= {path} if path.is_file() else set()
    for path in sorted(sources):
        name = path.relative_to(ROOT).as_posix()
        kept.append(File.generated(config, name, abs_src_path=str(path)))
    for module, text in reference().items():
        kept.append(File.generated(config, f"reference/{module}.md", content=text))
    return Files(kept)
