"""`--from SOURCE:LOCATION`: how sources are named, found and refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

Cli = Callable[..., Result]


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (
            "mine",
            "--from: expected SOURCE:LOCATION, such as module:mine:build, got 'mine'. Sources",
        ),
        ("module:", "--from: expected SOURCE:LOCATION, such as module:mine:build, got 'module:'. "),
        (":mine", "--from: expected SOURCE:LOCATION, such as module:mine:build, got ':mine'. "),
        ("modul:mine:build", "unknown source of --from 'modul'. Did you mean 'module'? Known: "),
        ("mine:build", "A function in your own code is module:FILE:FUNCTION, and a checkpoint of "),
        ("module:mine", "--from module:mine: expected module:package.module:factory, such as "),
    ],
)
def test_what_names_no_source_is_refused(aeonnx: Cli, source: str, text: str) -> None:
    result = aeonnx("export", "--from", source, "-o", "b")
    assert result.exit_code == 2, result.stderr
    assert text in result.stderr
    assert not Path("b").exists()
