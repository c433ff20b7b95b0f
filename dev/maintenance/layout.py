"""The subjects of the product in their order, and what its modules import.

`tests/test_imports.py` holds every import to the order; docs/architecture.md draws it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = ("preference_center", "workers")

SUBJECTS = (
    "core",
    "integrations",
    "infra",
    "catalogue",
    "ledger",
    "web",
    "decisions",
    "destinations",
    "contacts",
    "lists",
    "cookies",
    "rights",
    "inbound",
    "senders",
    "recipients",
    "monitoring",
    "reports",
    "app",
)
"""From the bottom up: a subject imports those before it. The last builds what runs."""
RANK = {subject: rank for rank, subject in enumerate(SUBJECTS)}
MOUNTS = frozenset({"preference_center.app.web", "preference_center.app.console"})
"""The modules that mount the surfaces of all subjects."""
SURFACES = frozenset({"pages", "api", "console", "cli"})
"""The names of the modules and folders through which people and programs reach a subject."""


def packages() -> Mapping[str, str]:
    """Each package of the product but those of single vendors, and what its docstring begins with.

    The paths are relative to preference_center/, in the order of the subjects.
    """
    product = ROOT / "preference_center"
    found = {
        path.parent.relative_to(product): ast.get_docstring(parse(path)) or ""
        for path in product.rglob("__init__.py")
        if path.parent != product
    }
    ordered = sorted(found, key=lambda path: (RANK[path.parts[0]], path))
    return {
        f"{path}/": found[path].split("\n\n", maxsplit=1)[0].replace("\n", " ")
        for path in ordered
        if path.parts[0] != "integrations" or path.name in {"integrations", "base"}
    }


def modules(*folders: str, tree: Path = ROOT) -> list[Path]:
    """The Python files below these folders of a checkout."""
    return [path for folder in folders for path in sorted((tree / folder).rglob("*.py"))]


@cache  # several rules look at the same modules
def parse(path: Path) -> ast.Module:
    """The syntax tree of a file, which is not to be changed."""
    return ast.parse(path.read_text())


@cache
def imports(path: Path) -> tuple[str, ...]:
    """The dotted name of everything that a module imports, anywhere in it."""
    return tuple(_imports(path))


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            # `from preference_center import web` imports a module too
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def name_of(path: Path, tree: Path = ROOT) -> str:
    """The dotted name of a module."""
    return ".".join(path.relative_to(tree).with_suffix("").parts).removesuffix(".__init__")


def subject_of(name: str) -> str:
    """The subject of a module of preference_center, or of a name in it."""
    unit = name.split(".")[1] if "." in name else "app"
    return "app" if unit in {"__main__", "__version__"} else unit


def surface_of(name: str) -> str | None:
    """The surface of a subject that a module, or a name in it, belongs to: "rights.pages"."""
    _, subject, *rest = name.split(".")
    found = [part for part in rest if part in SURFACES]
    return f"{subject}.{found[0]}" if found else None


def fault(module: str, name: str) -> str | None:
    """What is wrong with an import of `name` in `module`, and what to do; None if it is right."""
    if not name.startswith("preference_center."):
        return None
    subject, target = subject_of(module), subject_of(name)
    own_surface, surface = surface_of(module), surface_of(name)
    if RANK[target] > RANK[subject] and not (own_surface and target == "web"):
        return f"{target} comes after {subject}: move the name down, or declare a hook in {subject}"
    if target == subject and surface and not own_surface and subject not in {"app", "web"}:
        return f"{surface} is a surface: move what is needed out of it"
    if target != subject and surface and target != "web" and module not in MOUNTS:
        return f"{surface} is another subject's surface: move what is needed out of it"
    return None


def find_cycles(tree: Path = ROOT) -> list[list[str]]:
    """Modules that import each other in a circle, those that a function imports included.

    Imports for the type check alone are left out. One circle is found for each import that would
    have to go.
    """
    paths = {name_of(path, tree): path for path in modules(*PRODUCT, tree=tree)}
    graph = {name: set(_run_time_imports(path, paths)) for name, path in paths.items()}
    found: list[list[str]] = []
    while True:
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as error:
            cycle: list[str] = error.args[1]  # each is imported by the next
            found.append(cycle)
            graph[cycle[1]].remove(cycle[0])
        else:
            return found


def _run_time_imports(path: Path, paths: Mapping[str, Path]) -> Iterator[str]:
    """The modules among `paths` that a module imports when it runs, and not itself."""
    tree = parse(path)
    for_types = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node not in for_types:
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                imported = name if name in paths else node.module or ""
                if paths.get(imported, path) != path:
                    yield imported
