"""The stubs of the compiled modules promise what is there, and nothing else is."""

from __future__ import annotations

import ast
import importlib
import inspect
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "kahea" / "sip"


def promised(name: str) -> dict[str, set[str]]:
    """Names by owner ("" for the module) in a stub."""
    out: dict[str, set[str]] = {"": set()}
    for node in ast.parse((SOURCE / f"{name}.pyi").read_text()).body:
        if isinstance(node, ast.ClassDef):
            out[""].add(node.name)
            out[node.name] = _names(node.body)
        else:
            out[""] |= _names([node])
    return out


def _names(body: list[ast.stmt]) -> set[str]:
    names = set()
    for node in body:
        if isinstance(node, ast.FunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
    return names


def public(owner: object) -> set[str]:
    return {n for n in dir(owner) if not n.startswith("_")}


@pytest.mark.parametrize("name", ["message", "uri"])
def test_names(name: str) -> None:
    module = importlib.import_module(f"kahea.sip.{name}")
    stub = promised(name)
    for owner, names in stub.items():
        target = getattr(module, owner) if owner else module
        for each in names:
            assert hasattr(target, each), f"{owner}.{each} is promised but missing"
        if owner:
            assert public(target) == {n for n in names if not n.startswith("_")}, owner
    extra = {n for n in public(module) if not inspect.ismodule(getattr(module, n))} - stub[""]
    # `Edit` is the type of what a snapshot holds; the other is imported for use.
    assert extra <= {"ParseError", "Edit"}, extra


@pytest.mark.parametrize("name", ["message", "uri"])
def test_parameters(name: str) -> None:
    """Parameters of functions and methods have the stub's names and order."""
    module = importlib.import_module(f"kahea.sip.{name}")
    for node in ast.walk(ast.parse((SOURCE / f"{name}.pyi").read_text())):
        if isinstance(node, ast.ClassDef):
            members = [(getattr(module, node.name), f) for f in node.body if isinstance(f, ast.FunctionDef)]
        elif isinstance(node, ast.Module):
            members = [(module, f) for f in node.body if isinstance(f, ast.FunctionDef)]
        else:
            continue
        for owner, function in members:
            if function.decorator_list or function.name.startswith("__"):
                continue
            found = list(inspect.signature(getattr(owner, function.name)).parameters)
            wanted = [a.arg for a in function.args.args + function.args.kwonlyargs]
            assert found == wanted, function.name


def test_kinds_and_methods_have_the_stub_s_numbers() -> None:
    module = importlib.import_module("kahea.sip.message")
    for node in ast.parse((SOURCE / "message.pyi").read_text()).body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
            value = eval(compile(ast.Expression(node.value), "stub", "eval"))
            assert getattr(module, node.target.id) == value
