"""Integrations of other distributions, and that no vendor is imported before it is needed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest
from flask import Flask

from preference_center.core.errors import ConfigError
from preference_center.integrations import registry
from preference_center.integrations.base.contract import DestinationConfig
from preference_center.integrations.base.http import HttpContext
from preference_center.integrations.base.integration import Integration, IntegrationError
from preference_center.integrations.registry import (
    find_webhook,
    get_integration,
    list_kinds,
    load_integrations,
    make_connector,
)
from tests.in_force import put_in_force

MODULE = """
from preference_center.core.addresses import Channel
from preference_center.integrations.base.contract import Capabilities, SupportedScope
from preference_center.integrations.base.contract import CheckReport
from preference_center.integrations.base.integration import Integration
from preference_center.integrations.base.webhook import SharedSecretWebhook
from preference_center.integrations.base.integration import ConnectorSpec, TestedAgainst

INTEGRATION = Integration(
    kind="pigeon",
    title="Pigeon Post",
    connector=f"{__name__}:SPEC",
    webhook=f"{__name__}:PigeonWebhook",
)


class Pigeon:
    kind = "pigeon"
    capabilities = Capabilities(
        channels=frozenset({Channel.EMAIL}),
        scopes=frozenset(SupportedScope),
        can_lift=True,
        batch_size=10,
    )

    def __init__(self, config, http):
        pass

    def check(self):
        return CheckReport()

    def push(self, batch):
        return {}


class PigeonWebhook(SharedSecretWebhook):
    def parse(self, body):
        return []


SPEC = ConnectorSpec(
    kind="pigeon",
    tested_against=TestedAgainst.DOCUMENTATION,
    capabilities=Pigeon.capabilities,
    own_settings={"loft": "the loft's name"},
    secret_settings=frozenset(),
    sources=(),
    build=Pigeon,
)
"""


class Site:
    """A folder on `sys.path` that distributions can be put into."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def install(self, distribution: str, module: str, source: str, *entry_points: str) -> None:
        """Put a distribution of one module there, with these entry points."""
        (self._folder / f"{module}.py").write_text(dedent(source))
        info = self._folder / f"{module}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n"
        )
        lines = [f"[{registry.ENTRY_POINT_GROUP}]", *entry_points]
        (info / "entry_points.txt").write_text("\n".join(lines) + "\n")


def forget_integrations() -> None:
    load_integrations.cache_clear()
    registry.load_presets.cache_clear()


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.syspath_prepend(tmp_path)
    forget_integrations()
    yield Site(tmp_path)
    monkeypatch.undo()
    forget_integrations()
    for name in ("pigeon_post", "broken_post"):
        sys.modules.pop(name, None)


@pytest.fixture
def pigeon(site: Site) -> None:
    site.install("pigeon-post", "pigeon_post", MODULE, "pigeon = pigeon_post:INTEGRATION")


@pytest.mark.usefixtures("pigeon")
def test_another_distribution_adds_a_kind() -> None:
    assert list_kinds()[-1] == "pigeon"
    assert get_integration("pigeon").title == "Pigeon Post"
    assert "loft" in get_integration("pigeon").load_settings()
    assert "webhook_secret?" in get_integration("pigeon").load_settings()
    webhook = find_webhook("pigeon")
    assert webhook is not None
    assert webhook.secret_in_path
    config = DestinationConfig("birds", {"loft": "roof"})
    assert make_connector("pigeon", config, HttpContext()).kind == "pigeon"


@pytest.mark.usefixtures("pigeon")
def test_a_destination_of_its_kind_can_be_added(app: Flask) -> None:
    put_in_force(app)
    words = ["--kind", "pigeon", "--set", "loft=roof", "--topic", "acme.offers=grain"]
    added = app.test_cli_runner().invoke(args=["destinations", "add", "birds", *words])
    assert added.exit_code == 0, added.output
    assert "/in/birds" in added.output
    shown = app.test_cli_runner().invoke(args=["destinations", "show", "birds"])
    assert "pigeon" in shown.output


@pytest.mark.parametrize(
    "entry_point, problem",
    [
        ("post = broken_post:MISSING", "can't be loaded"),
        ("post = missing_module:INTEGRATION", "can't be loaded"),
        ("post = broken_post:TEXT", "is not an Integration"),
        ("post = broken_post:CLASH", "the kind 'postmark' is taken by "),
    ],
)
def test_one_that_cannot_be_used_is_named(site: Site, entry_point: str, problem: str) -> None:
    source = """
        from preference_center.integrations.base.integration import Integration
        TEXT = "pigeon"
        CLASH = Integration("postmark", "Another Postmark", "broken_post:SPEC")
    """
    site.install("broken-post", "broken_post", source, entry_point)
    with pytest.raises(IntegrationError, match="broken-post") as caught:
        load_integrations()
    assert problem in str(caught.value)
    assert isinstance(caught.value, ConfigError)


def test_what_an_integration_refers_to_has_to_be_there() -> None:
    missing = Integration("pigeon", "Pigeon Post", "preference_center.integrations:SPEC")
    with pytest.raises(IntegrationError, match=r"preference_center\.integrations:SPEC"):
        missing.load_spec()
    other = Integration("pigeon", "P", "preference_center.integrations.postmark.connector:SPEC")
    with pytest.raises(IntegrationError, match="'postmark'"):
        other.load_spec()


def test_no_vendor_is_imported_before_it_is_needed() -> None:
    program = """
        import sys
        import preference_center.app.web
        from preference_center.integrations.registry import list_kinds
        for kind in list_kinds():
            prefix = f"preference_center.integrations.{kind}."
            print(*(name for name in sys.modules if name.startswith(prefix)), end="")
    """
    root = Path(__file__).parents[2]
    found = subprocess.run(
        [sys.executable, "-c", dedent(program)],
        capture_output=True,
        text=True,
        cwd=root,
        check=False,
    )
    assert (found.stdout, found.returncode) == ("", 0), found.stderr
