"""Every hook has its function in an application, or there is no application."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest
from flask import Flask

from preference_center.app.web import create_app
from preference_center.infra import hooks
from preference_center.infra.config import Settings
from preference_center.infra.hooks import Hook

REQUIRED = {name for name, field in Settings.model_fields.items() if field.is_required()}
ROOT = Path(__file__).resolve().parents[1]


def declarations() -> list[str]:
    """The names of all functions in the source that `@Hook` decorates."""
    return [
        f"{'.'.join(path.relative_to(ROOT).with_suffix('').parts)}.{node.name}"
        for path in sorted((ROOT / "preference_center").rglob("*.py"))
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef)
        and any(ast.unparse(each) == "Hook" for each in node.decorator_list)
    ]


@pytest.mark.parametrize("name", declarations())
def test_an_application_without_one_of_its_hooks_is_not_built(
    name: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    register = Hook.register

    def forget(self: Hook[..., object], app: Flask, function: object) -> None:
        if self.name != name:
            register(self, app, function)  # type: ignore[arg-type]  # of the same hook

    monkeypatch.setattr(Hook, "register", forget)
    with pytest.raises(RuntimeError, match=f"no function is registered for {name}$"):
        create_app(settings)


_CHECK = "from preference_center.infra.hooks import require_registered as check\n"
_OF_WORKERS = f"""{_CHECK}
import workers.jobs, workers.mail_receiver, workers.scheduler, workers.worker
from preference_center.app.service import create_service
check(create_service())
"""
_OF_PUBLIC_PAGES = f"""{_CHECK}
from preference_center.app.web import Surface, create_app
check(create_app(surface=Surface.PUBLIC))
"""


@pytest.mark.parametrize("code", [_OF_WORKERS, _OF_PUBLIC_PAGES], ids=["workers", "public pages"])
def test_a_process_has_every_hook_of_what_it_imports(code: str, settings: Settings) -> None:
    given = settings.model_dump(include=REQUIRED)
    environ = {**os.environ, **{name.upper(): str(value) for name, value in given.items()}}
    subprocess.run([sys.executable, "-c", code], env=environ, check=True, timeout=300)


def test_an_application_calls_what_is_registered_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hooks, "_declared", set())  # other tests build applications

    @Hook
    def answer(number: int) -> int:
        raise NotImplementedError

    one, other = Flask("one"), Flask("other")
    answer.register(one, lambda number: number + 1)
    answer.register(other, lambda number: -number)
    with one.app_context():
        assert answer(41) == 42
    with other.app_context():
        assert answer(41) == -41
