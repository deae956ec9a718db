"""What the package promises to others by name."""

import ast
import pathlib
import re
import types

import noria.security
from noria.registry import NoriaError
from noria.security import errors

FOLDER = pathlib.Path(noria.security.__file__).parent


def test_the_door_shows_what_it_lists_and_nothing_else():
    shown = {
        name
        for name, value in vars(noria.security).items()
        if not name.startswith("_") and not isinstance(value, types.ModuleType)
    }

    assert shown == set(noria.security.__all__)


def test_functions_of_the_door_are_not_hidden_by_modules_of_the_same_name():
    assert callable(noria.security.scope)
    assert callable(noria.security.principal)


def test_the_package_imports_only_the_registry():
    above = {
        node.module.split(".")[0]
        for path in FOLDER.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and node.level == 2 and node.module
    }

    assert above == {"registry"}


def test_the_tree_of_errors_is_the_one_that_is_drawn():
    drawn = {}
    parents = []
    for indent, name in re.findall(r"^( *)(\w+)  ", errors.__doc__, re.MULTILINE):
        del parents[len(indent) // 2 :]
        drawn[name] = parents[-1] if parents else None
        parents.append(name)

    defined = {
        name: value.__base__.__name__
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, NoriaError) and value is not NoriaError
    }
    assert drawn == {"NoriaError": None, **defined}
