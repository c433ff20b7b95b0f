"""`make house`: how the code is laid out, in figures (docs/architecture.md has the table).

`--tree DIR` counts another checkout, e.g. an older one; `--trace` starts the service and follows
four requests through its modules.
"""

from __future__ import annotations

import argparse
import ast
import io
import sys
import tokenize
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import FrameType

from dev.maintenance.layout import (
    PRODUCT,
    ROOT,
    SUBJECTS,
    fault,
    find_cycles,
    imports,
    modules,
    name_of,
    parse,
    subject_of,
)

MOST_CLASSES = 3
"""For how many classes one name may stand."""
ENUMS = {
    "channel": "Channel",
    "kind of event": "EventKind",
    "decision rule": "DecisionRule",
    "extent of erasure": "Extent",
    "kind of retention": "RetainedData",
    "state of a request": "RequestState",
    "way of a request": "RequestVia",
}
_LANGUAGES = {"it", "de", "fr", "es"}
_LAYOUT = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tree", type=Path, default=ROOT, help="the checkout to count")
    parser.add_argument("--trace", action="store_true", help="follow four requests, too")
    given = parser.parse_args()
    print("| figure | |\n|---|--:|")
    for name, figure in figures(given.tree.resolve()).items():
        print(f"| {name} | {figure} |")
    if given.trace:
        from bench import ground, traces  # noqa: PLC0415 - they need engines

        with ground.engines() as engines:
            for name, figure in traces.traces(engines).items():
                print(f"| {name} | {figure} |")


def figures(tree: Path) -> Mapping[str, str]:
    """What is counted of a checkout, in words."""
    files = modules(*PRODUCT, tree=tree)
    largest, most = Counter(path.parent for path in files).most_common(1)[0]
    package = tree / "preference_center"
    entries = [path for path in package.iterdir() if path.name != "__pycache__"]
    subjects = Counter(_unit(path, tree) for path in files)
    is_by_subject = {*subjects} <= {*SUBJECTS, "workers"}
    return {
        "lines, without comments and docstrings": f"{sum(map(count_lines, files)):,}",
        "files": str(len(files)),
        "entries of `preference_center/`": str(len(entries)),
        "largest flat folder": f"{largest.relative_to(tree)}, {most} files",
        "upward imports": str(_count_faults(package, tree)) if is_by_subject else "no order",
        "circles of imports": str(len(find_cycles(tree))),
        "files that branch on a value": _list_branching(files),
    } | ({"files of each subject": _in_order(subjects)} if is_by_subject else {})


def count_lines(path: Path) -> int:
    """The lines with code; those of SQL count, comments, docstrings and empty lines don't."""
    source = path.read_text(encoding="utf-8")
    texts = {
        line
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    code = {
        line
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type not in _LAYOUT
        for line in range(token.start[0], token.end[0] + 1)
    }
    return len(code - texts)


def shared_class_names(files: list[Path]) -> dict[str, int]:
    """Names that stand for more than `MOST_CLASSES` classes."""
    names = Counter(
        node.name
        for path in files
        for node in ast.walk(parse(path))
        if isinstance(node, ast.ClassDef)
    )
    return {name: count for name, count in names.items() if count > MOST_CLASSES}


def _list_branching(files: list[Path]) -> str:
    found = Counter(kind for path in files for kind in find_branches(parse(path)))
    return ", ".join(f"{kind} {found[kind]}" for kind in ("language", *ENUMS))


def find_branches(tree: ast.Module) -> set[str]:
    """The enums on whose values a module branches; "language" for tags of our texts.

    It compares with one, has a `case` or a key of a dictionary for one, or lists two or more. A
    single value that is passed, returned or listed is none, nor is an argument by name: a
    connector states its channels so.
    """
    stated = {id(each) for node in ast.walk(tree) if isinstance(node, ast.keyword)
              for each in ast.walk(node.value)}  # fmt: skip
    found: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Compare():
                parts, least = [*ast.walk(node)], 1
            case ast.MatchValue():
                parts, least = [node.value], 1
            case ast.Dict():
                parts, least = [key for key in node.keys if key], 1
            case ast.Set() | ast.Tuple() | ast.List() if id(node) not in stated:
                parts, least = [*node.elts], 2
            case _:
                continue
        values = Counter(filter(None, map(_kind_of_value, parts)))
        found |= {kind for kind, count in values.items() if count >= least}
    return found


def _kind_of_value(node: ast.AST) -> str | None:
    match node:
        case ast.Attribute(value=ast.Name(id=name) | ast.Attribute(attr=name), attr=member):
            kinds = (kind for kind, enum in ENUMS.items() if enum == name and member.isupper())
            return next(kinds, None)
        case ast.Constant(value=str(text)) if text in _LANGUAGES:
            return "language"
        case _:
            return None


def _unit(path: Path, tree: Path) -> str:
    name = name_of(path, tree)
    return "workers" if name.startswith("workers") else subject_of(name)


def _in_order(subjects: Counter[str]) -> str:
    return ", ".join(f"{name} {subjects[name]}" for name in (*SUBJECTS, "workers"))


def _count_faults(package: Path, tree: Path) -> int:
    return sum(
        fault(name_of(path, tree), name) is not None
        for path in modules(package.name, tree=tree)
        for name in imports(path)
    )


class Trace:
    """Which modules of the product a call enters, in order."""

    def __init__(self) -> None:
        self.entered: dict[str, None] = {}

    def of(self, *calls: Callable[[], object]) -> Trace:
        """Follow these calls."""
        sys.setprofile(self._enter)
        try:
            for call in calls:
                call()
        finally:
            sys.setprofile(None)
        return self

    def _enter(self, frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            self.entered[frame.f_code.co_filename] = None

    def _modules(self) -> Iterator[Path]:
        for name in self.entered:
            path = Path(name)
            if any(path.is_relative_to(ROOT / folder) for folder in PRODUCT):
                yield path

    def __str__(self) -> str:
        files = [*self._modules()]
        subjects = {_unit(path, ROOT) for path in files}
        return f"{len(files)} files of {len(subjects)} subjects"


if __name__ == "__main__":
    main()
