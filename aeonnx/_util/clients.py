"""Where the clients in other languages are, and the page, whose files servers share."""

from __future__ import annotations

from pathlib import Path

__all__ = ["clients_folder"]


def clients_folder() -> Path:
    """The folder of the clients in other languages: in the wheel, or in the repository."""
    package = Path(__file__).parents[1]
    packed = package / "_clients"
    return packed if packed.is_dir() else package.parent / "clients"
