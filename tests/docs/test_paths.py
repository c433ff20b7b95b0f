"""Files, modules and names that pages and docstrings mention exist."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from dev.maintenance.layout import PRODUCT, ROOT, SUBJECTS, modules, parse
from tests.docs.reading import pages, prose

DEVELOPMENT = ("dev", "tests", "bench", "chaos", "fuzz", "simulation")
OURS = {*PRODUCT, *DEVELOPMENT, *SUBJECTS, "templates", "docs"}
"""Where paths begin."""
NOT_OURS = {
    "app.extensions",  # Flask's
    "contacts.json",  # a vendor's
    "preference_center_links.py",
    "preference_center/_root",  # in a wheel
    *("rights.laws", "rights.target_days", "rights.closing"),  # settings of the catalogue
    *("rights.requested", "rights.erase_requested", "rights.close_requested"),  # webhooks
    *("rights.due_soon", "rights.decided"),
}
"""What looks like a file or a module of this repository, and is none."""

_SPAN = re.compile(r"`([^`\n]+)`")
_PATH = re.compile(r"\w[\w.-]*(?:/[\w.-]+)*\.py|\w[\w.-]*/(?:[\w.-]+/)*[\w.-]*")
_NAME = re.compile(r"[a-z_]+(?:\.\w+)+")


def test_every_path_and_name_on_a_page_exists() -> None:
    faults = [
        f"{page.relative_to(ROOT)}: {found}"
        for page in pages()
        if page.name != "CHANGELOG.md"  # a record of its time
        for found in missing(prose(page), page.parent)
    ]
    assert not faults, "\n".join(faults)


def test_every_path_and_name_in_a_docstring_exists() -> None:
    faults = [
        f"{path.relative_to(ROOT)}: {found}"
        for path in modules(*PRODUCT, *DEVELOPMENT)
        if any(missing(path.read_text(), path.parent))  # far quicker to search than to parse
        for text in docstrings(path)
        for found in missing(text, path.parent)
    ]
    assert not faults, "\n".join(faults)


def docstrings(path: Path) -> Iterator[str]:
    """Its docstrings, those of constants included."""
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            value = node.value.value
            if isinstance(value, str):
                yield value


def missing(text: str, folder: Path) -> Iterator[str]:
    """The paths and dotted names in spans of code that lead nowhere from `folder`."""
    for span in _SPAN.findall(text):
        word = span.split()[0].rstrip(",;:")
        path, name = _PATH.fullmatch(word), _NAME.fullmatch(word)
        if word in NOT_OURS:
            continue
        if (path and not is_path(word, folder)) or (name and not path and not is_name(word)):
            yield word


def is_path(word: str, folder: Path) -> bool:
    """Whether it is a file or folder here, or, without .py, of something else."""
    bases = (ROOT, ROOT / "preference_center", folder)
    if any((base / word).exists() for base in bases):
        return True
    if word.endswith(".py"):
        return any(f"/{path}".endswith(f"/{word}") for path in sources())
    return word.split("/", maxsplit=1)[0] not in {
        *PRODUCT,
        *DEVELOPMENT,
        *SUBJECTS,
        "templates",
        "docs",
    }


@cache
def sources() -> tuple[str, ...]:
    """The paths of all Python files."""
    folders = (*PRODUCT, *DEVELOPMENT, "clients", "migrations")
    return tuple(str(path.relative_to(ROOT)) for path in modules(*folders))


@cache
def is_name(word: str) -> bool:
    """Whether it is a name of the product, or of something else, as of a library."""
    first = word.split(".", maxsplit=1)[0]
    if first in {*PRODUCT, *DEVELOPMENT}:
        return resolves(word)
    return first not in SUBJECTS or resolves(f"preference_center.{word}")


def resolves(word: str) -> bool:
    """Whether there is such a module, or a module with such a name on its top level."""
    parts = word.split(".")
    for count in range(len(parts), 0, -1):
        base = ROOT.joinpath(*parts[:count])
        for path in (base / "__init__.py", base.with_suffix(".py")):
            if path.exists():
                return count == len(parts) or parts[count] in names(path)
    return ROOT.joinpath(*parts).is_dir()


@cache
def names(path: Path) -> frozenset[str]:
    """What a module defines or imports on its top level."""
    found: set[str] = set()
    for node in parse(path).body:
        if isinstance(node, ast.ImportFrom):
            found |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {target.id for target in targets if isinstance(target, ast.Name)}
    return frozenset(found)
