"""Every client against whole bundles that somebody made to do harm."""

from __future__ import annotations

from pathlib import Path

import pytest

from clients.proof.hostile import judged
from clients.proof.program import Program

pytestmark = pytest.mark.clients


def test_hostile_bundles_do_no_harm(program: Program, made: Path, tmp_path: Path) -> None:
    found = judged(program, made / "vae", made / "noisy.png", tmp_path, count=140, seed=13)
    assert not found.harm, "\n".join(found.harm)
    assert found.refused > 100
