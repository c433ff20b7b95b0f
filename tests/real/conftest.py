"""Real tools, each started once and only for `make test-real`."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import pytest

from dev.maintenance.real_tools import GHOST, ghost_package, runs_here
from tests.real.tools.ghost import ghost
from tests.real.tools.listmonk import PROGRAM, listmonk
from tests.real.tools.mailman import mailman
from tests.real.tools.moto import moto
from tests.real.tools.running import RealTool
from tests.real.tools.tryton import tryton

STARTS: dict[str, Callable[[Path], AbstractContextManager[RealTool]]] = {
    "mailman": mailman,
    "tryton": tryton,
    "moto": moto,
    "listmonk": listmonk,
    "ghost": ghost,
}
Start = Callable[[str], RealTool]


def hindrance(name: str) -> str:
    """Why a tool can't be run here; "" if it can."""
    if name == "listmonk" and not os.environ.get(PROGRAM):
        return f"set {PROGRAM} to the program of listmonk: no registry has it"
    if name == "ghost" and not shutil.which("node"):
        return "Ghost needs Node.js"
    if name == "ghost" and not ghost_package():
        return f"`make real-ghost` installs Ghost, or set {GHOST} to its installed package"
    return "" if runs_here(name) else f"{name} does not run on so new a Python"


@pytest.fixture(scope="session")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """`start(name)`: the tool, running until the end of the session."""
    if not os.environ.get("TEST_REAL"):
        pytest.skip("`make test-real` runs Mailman, Tryton and moto themselves")
    found: dict[str, RealTool] = {}
    with ExitStack() as stack:

        def once(name: str) -> RealTool:
            if reason := hindrance(name):
                pytest.skip(reason)
            if name not in found:
                home = tmp_path_factory.mktemp(name)
                found[name] = stack.enter_context(STARTS[name](home))
            return found[name]

        yield once


@pytest.fixture(params=STARTS)
def tool(request: pytest.FixtureRequest, start: Start) -> Iterator[RealTool]:
    """Each tool in turn, with nobody in it."""
    tool = start(request.param)
    tool.forget()
    yield tool
    tool.forget()
