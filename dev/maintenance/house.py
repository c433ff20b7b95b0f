"""`make house`: how the code is laid out, in figures (docs/architecture.md has the table).

`--tree DIR` counts another checkout, e.g. an older one; `--trace` starts the service and
follows three requests through its modules.
"""

from __future__ import annotations

import argparse
import ast
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from statistics import median
from types import FrameType

from dev.maintenance.words import banned_in

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = ("preference_center", "workers")
MOST_CLASSES = 3
"""For how many classes one name may stand."""
_APART = {"__init__", "webhook", "webhook_events", "import_presets"}
"""Modules of an integration's folder that are neither its connector nor its client."""
_OLD_CONNECTORS = "workers/connectors"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tree", type=Path, default=ROOT, help="the checkout to count")
    parser.add_argument("--trace", action="store_true", help="follow three requests, too")
    given = parser.parse_args()
    print("| figure | |\n|---|--:|")
    for name, figure in figures(given.tree).items():
        print(f"| {name} | {figure} |")
    if given.trace:
        from bench import ground, traces  # noqa: PLC0415 - they need engines

        with ground.engines() as engines:
            for name, figure in traces.traces(engines).items():
                print(f"| {name} | {figure} |")


def figures(tree: Path) -> Mapping[str, str]:
    """What is counted of a checkout, in words."""
    files = [path for part in PRODUCT for path in sorted((tree / part).rglob("*.py"))]
    folders = Counter(path.parent for path in files)
    largest, most = folders.most_common(1)[0]
    integrations = files_by_integration(tree).values()
    names = class_names(files)
    shared = [name for name, count in names.items() if count > MOST_CLASSES]
    docs = [*(tree / "docs").glob("*.md"), tree / "README.md"]
    own_words = [path for path in files if not is_phrase_table(path)]
    return {
        "product files / folders": f"{len(files)} / {len(folders)}",
        "product lines": f"{sum(map(_lines, files)):,}",
        "largest flat folder": f"{largest.relative_to(tree)}, {most} files",
        "integrations with a connector": str(len(integrations)),
        "lines of connector and client, median": f"{_median(_lines, integrations):.0f}",
        "of them statements in functions, median": f"{_median(_statement_lines, integrations):.0f}",
        "banned words in product code": f"{sum(len(banned_in(path)) for path in own_words):,}",
        "banned words in docs": f"{sum(len(banned_in(path)) for path in docs):,}",
        "class names": f"{len(names):,}, {len(shared)} of them for more than three classes",
    }


def is_phrase_table(path: Path) -> bool:
    """Whether it is a table of what people write in one language, in their words."""
    return path.parent.name == "objections" and len(path.stem) == len("en")


def files_by_integration(tree: Path) -> Mapping[str, list[Path]]:
    """Connector, client and what else they consist of, per integration that has one."""
    old = tree / _OLD_CONNECTORS
    if old.exists():
        kinds = {path.stem.removesuffix("_api") for path in old.glob("*_api.py")} | {
            path.stem for path in old.glob("*.py") if "ENTRY = " in path.read_text()
        }
        return {
            kind: [path for path in old.glob("*.py") if path.stem.split("_")[0] == kind]
            for kind in sorted(kinds)
            if not kind.startswith("_")
        }
    folder = tree / "preference_center" / "integrations"
    return {
        path.parent.name: [o for o in path.parent.glob("*.py") if o.stem not in _APART]
        for path in sorted(folder.glob("*/connector.py"))
    }


def class_names(files: list[Path]) -> Counter[str]:
    """How many classes each name stands for."""
    return Counter(
        node.name
        for path in files
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
    )


def shared_class_names(files: list[Path]) -> dict[str, int]:
    """Names that stand for more than `MOST_CLASSES` classes."""
    return {name: count for name, count in class_names(files).items() if count > MOST_CLASSES}


def _lines(path: Path) -> int:
    return path.read_text(encoding="utf-8").count("\n")


def _statement_lines(path: Path) -> int:
    """Lines of statements in functions: without signatures, docstrings, models and constants."""
    functions = (
        node
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef)
    )
    return len(
        {
            line
            for function in functions
            for each in function.body[ast.get_docstring(function) is not None :]
            for line in range(each.lineno, (each.end_lineno or each.lineno) + 1)
        }
    )


def _median(count: Callable[[Path], int], integrations: Iterable[list[Path]]) -> float:
    return median(sum(map(count, files)) for files in integrations)


class Trace:
    """Which modules of the product one call enters, in order.

    A module is entered when a function of another one calls into it.
    """

    def __init__(self) -> None:
        self.entered: list[str] = []
        self._product = str(ROOT / "preference_center")

    def of(self, call: Callable[[], object]) -> Trace:
        """Follow this call."""
        sys.setprofile(self._enter)
        try:
            call()
        finally:
            sys.setprofile(None)
        return self

    def _enter(self, frame: FrameType, event: str, _: object) -> None:
        name = frame.f_code.co_filename
        caller = frame.f_back
        if event != "call" or not name.startswith(self._product):
            return
        while caller and not caller.f_code.co_filename.startswith(self._product):
            caller = caller.f_back
        if caller is None or caller.f_code.co_filename != name:
            self.entered.append(name)

    def __str__(self) -> str:
        by_module = Counter(self.entered)
        most, times = by_module.most_common(1)[0] if by_module else ("", 0)
        name = most.removeprefix(self._product + "/")
        return f"{len(by_module)} modules, {len(self.entered)} entries, {name} {times} times"


if __name__ == "__main__":
    main()
