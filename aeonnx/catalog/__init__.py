"""The catalog of models and recipes: names, parts and options with their ranges, without torch.

Each model and each recipe is declared by a decorated function in its own file, and importing that
file imports torch, which takes seconds. Help texts and argument errors need only the declaration,
so it is parsed from the source: the arguments of `register`, and the signature and docstring of a
recipe. What the running process has registered takes precedence over what the sources declare.
Standard library only.
"""

from __future__ import annotations

import ast
import importlib
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

from aeonnx.catalog import ranges
from aeonnx.catalog.ranges import Allowed
from aeonnx.errors import UnknownNameError, UsageError

__all__ = [
    "KnownModel",
    "RecipeOption",
    "add_model",
    "add_recipe",
    "forget",
    "model",
    "models",
    "options_of",
    "recipes",
]


@dataclass(frozen=True)
class KnownModel:
    """A model as `aeonnx.models.register` declares it.

    Args:
        name: value of `--model`.
        archs: names of its architectures, the default first.
        parts: names of its parts, without the sampler, which is made at export.
        classifies: whether it is trained with labels and has a classifier.
        conditional: whether it can be trained with labels that its parts take.
        tables: names of its architectures for rows of a table, the default first.
        fewer: names of the parts of each architecture that has only some of them.
    """

    name: str
    archs: tuple[str, ...]
    parts: tuple[str, ...]
    classifies: bool
    conditional: bool = False
    tables: tuple[str, ...] = ()
    fewer: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def parts_of(self, arch: str) -> tuple[str, ...]:
        """Names of the parts that it has in an architecture."""
        return tuple(self.fewer.get(arch, self.parts))

    @property
    def every_arch(self) -> tuple[str, ...]:
        """Names of the architectures for images, then of those that are for tables alone."""
        return tuple(dict.fromkeys((*self.archs, *self.tables)))


@dataclass(frozen=True)
class RecipeOption:
    """One option of a recipe: a keyword-only argument of the function that makes the recipe.

    Args:
        name: name of the argument.
        default: its default value.
        allowed: its type and the values that it accepts.
        help: the first sentence about it in the docstring's `Args:`; "" if there is none.
    """

    name: str
    default: str | float
    allowed: Allowed
    help: str


Options = Mapping[str, RecipeOption]

_models: dict[str, KnownModel] = {}
_recipes: dict[str, Options] = {}
_read = False


def models() -> dict[str, KnownModel]:
    """All models by name, sorted."""
    _read_sources()
    return dict(sorted(_models.items()))


def model(name: str) -> KnownModel:
    """The model of that name.

    Raises:
        UnknownNameError: there is no such model; suggests the nearest name.
    """
    known = models()
    if name not in known:
        raise UnknownNameError("model", name, known)
    return known[name]


def recipes() -> dict[str, Options]:
    """The options of every recipe, by model, sorted."""
    _read_sources()
    return dict(sorted(_recipes.items()))


def options_of(name: str) -> Options:
    """The options of one model's recipe, by name.

    Raises:
        UnknownNameError: the model has no recipe.
    """
    known = recipes()
    if name not in known:
        raise UnknownNameError("recipe", name, known)
    return known[name]


def add_model(known: KnownModel) -> None:
    """Add a model to the catalog of this process."""
    _models[known.name] = known


def add_recipe(name: str, maker: Callable[..., Any]) -> None:
    """Add a model's recipe to the catalog of this process.

    Args:
        name: name of the model.
        maker: the function that makes the recipe; its keyword-only arguments are the options.

    Raises:
        TypeError: an option has no type, or no default of that type.
    """
    explained = _explained(inspect.getdoc(maker) or "")
    _recipes[name] = {
        found.name: _option(found.name, found.annotation, found.default, explained)
        for found in inspect.signature(maker, eval_str=True).parameters.values()
        if found.kind is inspect.Parameter.KEYWORD_ONLY
    }


def forget(name: str) -> None:
    """Remove a model and its recipe from the catalog of this process."""
    _models.pop(name, None)
    _recipes.pop(name, None)


def _option(name: str, annotation: Any, default: Any, explained: Mapping[str, str]) -> RecipeOption:
    try:
        allowed = ranges.allowed_by(annotation)
        allowed.check("its default", default)
    except (TypeError, UsageError) as error:
        raise TypeError(f"option {name!r} of a recipe: {error}") from None
    return RecipeOption(name, default, allowed, explained.get(name, ""))


def _explained(docstring: str) -> dict[str, str]:
    """The first sentence about each argument in a docstring's `Args:`."""
    found: dict[str, str] = {}
    name = ""
    inside = False
    for line in docstring.splitlines():
        if not line.startswith(" ") and line.strip():
            inside = line.strip() == "Args:"
        elif inside and line.startswith("    ") and line[4:5].strip():
            name, _, text = line.strip().partition(":")
            found[name] = text.strip()
        elif inside and name and line.strip():
            found[name] += f" {line.strip()}"
    return {name: text.partition(". ")[0].rstrip(".") for name, text in found.items()}


def _read_sources() -> None:
    """Parse all declarations once; if that fails, import the modules instead."""
    global _read
    if _read:
        return
    _read = True
    try:
        found = {item.name: item for item in _declared("models", _model_of)}
        options = dict(_declared("training/recipes", _recipe_of))
    except (OSError, SyntaxError, ValueError, TypeError, NameError, AttributeError):
        # A frozen program has no sources, and a declaration may contain more than literals.
        for package in ("aeonnx.models", "aeonnx.training.recipes"):
            importlib.import_module(package)
        return
    for name, item in found.items():
        _models.setdefault(name, item)
    for name, known in options.items():
        _recipes.setdefault(name, known)


def _declared(folder: str, read: Callable[[ast.FunctionDef, ast.Call], Any]) -> Iterator[Any]:
    for file in (resources.files("aeonnx") / folder).iterdir():
        if file.name.endswith(".py") and not file.name.startswith("_"):
            tree = ast.parse(file.read_text(encoding="utf-8"))
            yield read(*_registered(tree, file.name))


def _registered(tree: ast.Module, file: str) -> tuple[ast.FunctionDef, ast.Call]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            for call in node.decorator_list:
                if isinstance(call, ast.Call) and ast.unparse(call.func) == "register":
                    return node, call
    raise ValueError(f"{file}: no function is decorated with register(...)")


def _model_of(_: ast.FunctionDef, call: ast.Call) -> KnownModel:
    name, widths = call.args
    if not isinstance(widths, ast.Dict):
        raise ValueError("the widths are not a dict literal")
    tables = next((word.value for word in call.keywords if word.arg == "tables"), ast.Dict([], []))
    if not isinstance(tables, ast.Dict):
        raise ValueError("the widths for tables are not a dict literal")
    others = [word for word in call.keywords if word.value is not tables]
    named = {keyword.arg: ast.literal_eval(keyword.value) for keyword in others}
    return KnownModel(
        ast.literal_eval(name),
        tuple(ast.literal_eval(key) for key in widths.keys if key),
        tuple(named["parts"]),
        named.get("classifies", False),
        named.get("conditional", False),
        tuple(ast.literal_eval(key) for key in tables.keys if key),
        named.get("fewer", {}),
    )


def _recipe_of(maker: ast.FunctionDef, call: ast.Call) -> tuple[str, Options]:
    explained = _explained(ast.get_docstring(maker) or "")
    options = {}
    for argument, default in zip(maker.args.kwonlyargs, maker.args.kw_defaults, strict=True):
        if argument.annotation is None or default is None:
            raise ValueError(f"{argument.arg} has no type or no default")
        # Safe: this is aeonnx's own source, and importing it would execute more of it.
        hint = eval(ast.unparse(argument.annotation), vars(ranges))  # noqa: S307
        options[argument.arg] = _option(argument.arg, hint, ast.literal_eval(default), explained)
    return ast.literal_eval(call.args[0]), options
