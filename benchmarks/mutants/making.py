"""Mutants of a source file: each is the file with one small fault."""

from __future__ import annotations

import ast
import difflib
import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names

_DELETED = "delete a statement"


@dataclass(frozen=True)
class Place:
    """Where a file can be changed, and the ways to.

    Args:
        file: relative to the root of the sources.
        line: first line of what is changed, from 1.
        last: its last line.
        column: its first column, from 0.
        ways: pairs of an operator and its occurrence in the file.
    """

    file: str
    line: int
    last: int
    column: int
    ways: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Mutant:
    """A file with one fault.

    Args:
        place: where.
        operator: of cosmic-ray, or "delete a statement".
        text: the whole file.
        diff: lines that differ, "-" before and "+" after.
    """

    place: Place
    operator: str
    text: str
    diff: str


def put_again(diff: str, line: int, source: str) -> str | None:
    """A later file with the fault of `diff`, near where it was; None if its lines are gone.

    Args:
        diff: of a mutant.
        line: where it was, from 1.
        source: the later file.
    """
    lines, text = diff.splitlines(), source.splitlines()
    before, after = ([item[1:] for item in lines if item.startswith(sign)] for sign in "-+")
    count = len(before)
    places = [place for place in range(len(text)) if text[place : place + count] == before]
    if not places:
        return None
    place = min(places, key=lambda place: abs(place + 1 - line))
    return "\n".join([*text[:place], *after, *text[place + count :], ""])


def places(root: Path, files: list[str]) -> list[Place]:
    """All places of these files, in order."""
    return [place for file in files for place in _places(file, (root / file).read_text())]


def choose(root: Path, all_places: list[Place], count: int, seed: int) -> Iterator[Mutant]:
    """`count` mutants of places drawn without replacement; all if `count` is larger.

    Mutants that are the same program are passed over: a changed annotation, for instance.
    """
    rng = random.Random(seed)  # noqa: S311  # draws places, no secrets
    made = 0
    for place in rng.sample(all_places, len(all_places)):
        if made == count:
            return
        mutant = _mutant(root, place, rng.choice(place.ways))
        if mutant is not None:
            made += 1
            yield mutant


def _places(file: str, source: str) -> Iterator[Place]:
    found: dict[tuple[int, int, int], list[tuple[str, int]]] = defaultdict(list)
    nodes = list(ast_nodes(get_ast(source)))
    for name in operator_names():
        operator_class = get_operator(name)
        if operator_class.arguments():  # variables to put in others' places: not asked for
            continue
        operator = operator_class()
        positions = [place for node in nodes for place in operator.mutation_positions(node)]
        for occurrence, (start, end) in enumerate(positions):
            found[start[0], end[0], start[1]].append((name, occurrence))
    for occurrence, statement in enumerate(_statements(source)):
        last = statement.end_lineno or statement.lineno
        found[statement.lineno, last, statement.col_offset].append((_DELETED, occurrence))
    for (line, last, column), ways in sorted(found.items()):
        yield Place(file, line, last, column, tuple(ways))


def _statements(source: str) -> list[ast.stmt]:
    """Calls and raises that stand alone: what a gate does by them is seen nowhere else."""
    return [
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Raise)
        or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call))
    ]


def _mutant(root: Path, place: Place, way: tuple[str, int]) -> Mutant | None:
    source = (root / place.file).read_text()
    name, occurrence = way
    if name == _DELETED:
        text = _without(source, _statements(source)[occurrence])
    else:
        try:
            text = mutate_code(source, get_operator(name)(), occurrence)
        except AttributeError:  # cosmic-ray's own, on `except module.Error`
            return None
    if text is None or _program(text) == _program(source):
        return None
    lines = difflib.unified_diff(source.splitlines(), text.splitlines(), lineterm="", n=0)
    diff = "\n".join(line for line in lines if line[:2] not in ("--", "++", "@@"))
    return Mutant(place, name, text, diff)


def _without(source: str, statement: ast.stmt) -> str:
    lines = source.splitlines(keepends=True)
    first, last = statement.lineno - 1, statement.end_lineno or statement.lineno
    lines[first:last] = [" " * statement.col_offset + "pass\n"]
    return "".join(lines)


def _program(text: str) -> str | None:
    """What runs: the syntax tree without annotations and docstrings; None if it is no Python."""
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return None
    for node in ast.walk(tree):
        if isinstance(node, ast.AnnAssign):
            node.annotation = ast.Constant(None)
        elif isinstance(node, ast.arg):
            node.annotation = None
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            node.returns = None
    return ast.dump(tree)
