"""Rules for the source files: where kernels are, which modules import which, docstrings, and the page about the architecture."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from numba.core.extending import _Intrinsic
from numba.core.registry import CPUDispatcher

import model2vec_numba
from model2vec_numba.jit.cache import kernel_sources

PACKAGE = Path(model2vec_numba.__file__).parent
NAME = PACKAGE.name
FILES = sorted(PACKAGE.rglob("*.py"))
ARCHITECTURE = Path(__file__).parents[1] / "docs" / "architecture.md"
COMPILING = {"compiled", "inner", "inner_always", "intrinsic", "jit", "njit", "overload"}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def path_name(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def hashed_files() -> set[str]:
    """Return the files that the cache of compiled code depends on."""
    return {name for name, _ in kernel_sources(PACKAGE)}


def module_file(module: str) -> str | None:
    """Return the file of a module of the package, relative to the package. ``None`` if there is none."""
    path = PACKAGE.joinpath(*module.split(".")[1:])
    for file in (path.with_suffix(".py"), path / "__init__.py"):
        if module.partition(".")[0] == NAME and file.is_file():
            return path_name(file)
    return None


def imported_names(nodes: list[ast.AST]) -> Iterator[tuple[str, str]]:
    """Give each name that imports from the package define, and the file that it comes from."""
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and node.module is not None and node.module.partition(".")[0] == NAME:
            for alias in node.names:
                # An imported name may be a module itself.
                file = module_file(f"{node.module}.{alias.name}") or module_file(node.module)
                assert file is not None, f"{node.module}.{alias.name} has no file"
                yield alias.asname or alias.name, file
        elif isinstance(node, ast.Import):
            for alias in node.names:
                file = module_file(alias.name)
                if file is not None:
                    yield alias.asname or alias.name, file


# Kernels


def is_compiled(node: ast.AST) -> bool:
    """Return whether a function has one of the decorators of compiled code."""
    if not isinstance(node, Function):
        return False
    decorators = [decorator.func if isinstance(decorator, ast.Call) else decorator for decorator in node.decorator_list]
    return any((decorator.attr if isinstance(decorator, ast.Attribute) else getattr(decorator, "id", "")) in COMPILING for decorator in decorators)


class UsedNames(ast.NodeVisitor):
    """Collects the names that code uses. Annotations do not count, because compiled code does not see them."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def visit_Name(self, node: ast.Name) -> None:
        self.names.add(node.id)

    def visit_arg(self, node: ast.arg) -> None:
        pass

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        for part in (*node.args.defaults, *node.args.kw_defaults, *node.body):
            if part is not None:
                self.visit(part)


def used_names(node: ast.AST) -> set[str]:
    visitor = UsedNames()
    visitor.visit(node)
    return visitor.names


def definitions(module: ast.Module) -> dict[str, list[ast.AST]]:
    """Return the statements at the top of a module that define each name."""
    found: dict[str, list[ast.AST]] = {}
    for node in module.body:
        if isinstance(node, Function | ast.ClassDef):
            found.setdefault(node.name, []).append(node)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for name in {each.id for target in targets for each in ast.walk(target) if isinstance(each, ast.Name)}:
                found.setdefault(name, []).append(node)
    return found


def test_files_with_compiled_functions_are_hashed() -> None:
    """The cache of compiled code is stale if one of its files has changed, so each kernel must be in one of them."""
    with_kernels = {path_name(path) for path in FILES if any(map(is_compiled, ast.walk(parsed(path))))}
    assert len(with_kernels) > 20
    assert with_kernels - hashed_files() == set()
    assert hashed_files() - with_kernels <= {"jit/decorators.py", "jit/linking.py"}


def test_modules_with_dispatchers_are_hashed() -> None:
    """Kernels that are made without a decorator count too."""
    modules = []
    for found in pkgutil.walk_packages([str(PACKAGE)], f"{NAME}."):
        if found.name == f"{NAME}.__main__":
            continue
        try:
            modules.append(importlib.import_module(found.name))
        except ImportError:
            # It needs an optional package.
            assert found.name.startswith(f"{NAME}.integrations.")
    files = set()
    for module in modules:
        for value in vars(module).values():
            function = value.py_func if isinstance(value, CPUDispatcher) else value._defn if isinstance(value, _Intrinsic) else None
            if function is not None:
                files.add(module_file(function.__module__))
    assert len(files) > 20
    assert files - hashed_files() == set()


def test_kernels_use_only_names_of_hashed_files() -> None:
    """Constants and functions that a kernel uses become part of its machine code."""
    found = []
    for path in FILES:
        module = parsed(path)
        imports = dict(imported_names(list(module.body)))
        defined = definitions(module)
        waiting = {name for node in ast.walk(module) if is_compiled(node) for name in used_names(node)}
        seen: set[str] = set()
        while waiting:
            name = waiting.pop()
            seen.add(name)
            if name in imports and imports[name] not in hashed_files():
                found.append(f"{path_name(path)} uses {name} of {imports[name]}")
            # A constant may be computed from others, and a helper may call others.
            waiting |= {other for node in defined.get(name, []) for other in used_names(node)} - seen
    assert sorted(found) == []


# Imports


def top_level(body: list[ast.stmt]) -> Iterator[ast.AST]:
    """Give the statements that run when a module is imported, also those in blocks, but not those for type checkers."""
    for node in body:
        yield node
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from top_level(node.orelse)
        elif isinstance(node, ast.If | ast.Try | ast.With):
            for block in ("body", "orelse", "finalbody"):
                yield from top_level(getattr(node, block, []))


@cache
def direct_imports(file: str) -> set[str]:
    """Return the files of the package that a file imports at its top, and the ``__init__.py`` files of their folders."""
    files = {imported for _, imported in imported_names(list(top_level(parsed(PACKAGE / file).body)))}
    for imported in list(files):
        files |= {path_name(folder / "__init__.py") for folder in (PACKAGE / imported).parents if folder.is_relative_to(PACKAGE)}
    # A file runs after the `__init__.py` files of its own folders have begun. They do not wait for it.
    return files - {path_name(folder / "__init__.py") for folder in (PACKAGE / file).parents if folder.is_relative_to(PACKAGE)}


def all_imports(file: str) -> set[str]:
    """Return the files that a file imports, directly or through others."""
    found: set[str] = set()
    waiting = {file}
    while waiting:
        new = direct_imports(waiting.pop()) - found
        found |= new
        waiting |= new
    return found


def test_no_circle_of_imports() -> None:
    assert [path_name(path) for path in FILES if path_name(path) in all_imports(path_name(path))] == []


def test_no_import_inside_a_function_avoids_a_circle() -> None:
    """Imports inside functions are for optional and for slow modules. If such a module imports the function's module, there is a circle."""
    found = []
    for path in FILES:
        inside = [node for function in ast.walk(parsed(path)) if isinstance(function, Function) for node in ast.walk(function)]
        for name, imported in imported_names(inside):
            if imported == path_name(path) or path_name(path) in all_imports(imported):
                found.append(f"{path_name(path)} imports {name} of {imported}")
    # `model2vec_numba.StaticModel` and so on are imported when they are first used.
    assert [each for each in found if not each.startswith("__init__.py ")] == []


# Docstrings


def docstrings() -> list[Any]:
    found = []
    for path in FILES:
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.Module | ast.ClassDef | Function):
                text = ast.get_docstring(node)
                if text:
                    found.append(pytest.param(text, id=f"{path_name(path)}:{getattr(node, 'name', '')}"))
    return found


def test_docstrings_stand_alone() -> None:
    """A docstring that only refers to another one does not help its reader."""
    texts = docstrings()
    assert len(texts) > 500
    assert [text.id for text in texts if re.match(r"The same\b|See [^.]*\.?\Z", text.values[0])] == []


# The page about the architecture


def test_architecture_names_files_that_exist() -> None:
    """Paths in backticks are relative to the package, to the folder of a heading, or to the project."""
    text = ARCHITECTURE.read_text(encoding="utf-8")
    paths = [path.removeprefix(f"{NAME}/") for path in re.findall(r"`([\w./-]+(?:\.py|/))`", text)]
    assert len(paths) > 5
    missing = [path for path in paths if not ((PACKAGE / path).exists() or (ARCHITECTURE.parents[1] / path).exists())]
    assert missing == []


def test_architecture_shows_the_road_in_order() -> None:
    """The files that a text passes on its way to a vector."""
    road = ["model.py", "encoder.py", "text/strings.py", "tokenization/tokenizer.py", "tokenization/bert/core.py", "pooling/kernels.py"]
    text = ARCHITECTURE.read_text(encoding="utf-8")
    steps = ".*?".join(rf"(?<![\w/]){re.escape(file)}\b" for file in road)
    assert re.search(steps, text.replace(f"{NAME}/", ""), re.DOTALL), f"docs/architecture.md must name these files in this order: {road}"
