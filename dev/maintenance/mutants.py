"""Small mistakes such as a maintainer makes, one at a time, in the tree of one module."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

_COMPARED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
_COUNTED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.Div: ast.Mult,
    ast.BitAnd: ast.BitOr, ast.LShift: ast.RShift,
}  # fmt: skip
_EXACT = (ast.Eq, ast.NotEq, ast.Is, ast.IsNot, ast.In, ast.NotIn)
_CALLED = {"max": "min", "min": "max", "any": "all", "all": "any"}
_SQL = re.compile(r"\b(SELECT|UPDATE|INSERT|DELETE|CASE|WHERE)\b")
_IN_SQL = {
    " <= ": " < ", " >= ": " > ", " < ": " <= ", " > ": " >= ", " = ": " <> ", " <> ": " = ",
    " AND ": " OR ", " OR ": " AND ", "NOT EXISTS": "EXISTS", "IS NOT NULL": "IS NULL",
    "IS NULL": "IS NOT NULL", "GREATEST(": "LEAST(", "LEAST(": "GREATEST(", "max(": "min(",
    "min(": "max(", " DESC": " ASC", "UNION ALL": "EXCEPT", "true": "false", "false": "true",
}  # fmt: skip
"""What is replaced in SQL; the longest that fits, so that no half of a word is."""
_WORDS = re.compile("|".join(re.escape(each) for each in sorted(_IN_SQL, key=len, reverse=True)))


@dataclass(frozen=True, slots=True)
class Mutant:
    """One mistake: `plant` makes it in the tree, `undo` takes it back."""

    line: int
    what: str
    """Function and change, the same wherever the lines move to."""
    plant: Callable[[], None]
    undo: Callable[[], None]


def mutants(tree: ast.Module) -> Iterator[Mutant]:
    """Every mistake that can be made in `tree`; one must be undone before the next is planted."""
    yield from _within(tree, "")


def _within(node: ast.AST, name: str) -> Iterator[Mutant]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        name = f"{name}.{node.name}".lstrip(".")
    elif not name and isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
        name = node.targets[0].id
    yield from _of(node, name)
    for field, value in ast.iter_fields(node):
        if field in {"annotation", "returns", "decorator_list", "type_params"}:
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not _is_docstring(child):
                yield from _within(child, name)


def _is_docstring(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _of(node: ast.AST, name: str) -> Iterator[Mutant]:
    match node:
        case ast.Compare():
            for n, op in enumerate(node.ops):
                other = [*node.ops[:n], _COMPARED[type(op)](), *node.ops[n + 1 :]]
                yield _change(node, "ops", other, name)
        case ast.BoolOp():
            yield _change(node, "op", ast.And() if isinstance(node.op, ast.Or) else ast.Or(), name)
        case ast.BinOp() if type(node.op) in _COUNTED:
            yield _change(node, "op", _COUNTED[type(node.op)](), name)
        case ast.UnaryOp(op=ast.Not()):
            yield _change(node, "operand", _not(node.operand), name)
        case ast.Constant(value=bool() | int() as value):
            other_value = not value if isinstance(value, bool) else value + 1
            yield _change(node, "value", other_value, name)
        case ast.Constant(value=str() as text) if _SQL.search(text):
            yield from _of_sql(node, text, name)
        case _:
            yield from _of_flow(node, name)


def _of_flow(node: ast.AST, name: str) -> Iterator[Mutant]:
    """What is done, rather than how it is computed."""
    match node:
        case ast.If() | ast.IfExp() | ast.While() if not _is_turned_anyway(node.test):
            yield _change(node, "test", _not(node.test), name, shown=node.test)
        case ast.comprehension():
            for n, each in enumerate(node.ifs):
                yield _change(node, "ifs", node.ifs[:n] + node.ifs[n + 1 :], name, shown=each)
        case ast.Call(func=ast.Name(id=called)) if called in _CALLED:
            yield _change(node, "func", _at(ast.Name(_CALLED[called], ast.Load()), node), name)
        case ast.Return(value=ast.expr() as value) if not _is_none(value):
            yield _change(node, "value", _at(ast.Constant(None), node), name)
        case ast.Expr(value=ast.Call(func=ast.Name(id="assert_never"))):
            return  # never run: the type checker sees to it
        case ast.Expr(value=ast.Call() as call):
            yield _change(node, "value", _at(ast.Constant(None), node), name, shown=call)


def _is_turned_anyway(test: ast.expr) -> bool:
    """Whether a mutant of the condition itself is its negation."""
    if isinstance(test, ast.Compare):
        return len(test.ops) == 1 and isinstance(test.ops[0], _EXACT)
    return isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not)


def _of_sql(node: ast.Constant, text: str, name: str) -> Iterator[Mutant]:
    for found in _WORDS.finditer(text):
        start, end = found.span()
        changed = text[:start] + _IN_SQL[found[0]] + text[end:]
        around = " ".join(text[max(0, start - 20) : end + 12].split())
        what = (
            f"{name or 'module'}: SQL `{around}`: {found[0].strip()} -> {_IN_SQL[found[0]].strip()}"
        )
        line = node.lineno + text[:start].count("\n")
        yield _mutant(node, "value", changed, what, line)


def _change(
    node: ast.AST, field: str, value: object, name: str, *, shown: ast.AST | None = None
) -> Mutant:
    before, old = ast.unparse(shown or node), getattr(node, field)
    if shown is None:
        setattr(node, field, value)
        after = ast.unparse(node)
        setattr(node, field, old)
    else:
        after = "left out" if field in {"ifs", "value"} else f"not ({before})"
    what = f"{name or 'module'}: {_short(before)} -> {_short(after)}"
    return _mutant(node, field, value, what, getattr(shown or node, "lineno", 0))


def _mutant(node: ast.AST, field: str, value: object, what: str, line: int) -> Mutant:
    old = getattr(node, field)
    return Mutant(
        line, what, lambda: setattr(node, field, value), lambda: setattr(node, field, old)
    )


def _short(code: str) -> str:
    return " ".join(code.split())[:90]


def _is_none(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and value.value is None


def _not(value: ast.expr) -> ast.expr:
    return _at(ast.UnaryOp(ast.Not(), value), value)


def _at(value: ast.expr, node: ast.AST) -> ast.expr:
    return ast.fix_missing_locations(ast.copy_location(value, node))
