"""The operator's setting and the destination's own decide together where a webhook may go."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from preference_center.infra.context import EXTENSION_NAME, services
from tests.destinations.commands import flask, ready_to_connect
from tests.integrations.tools.receiver import SECRET

if TYPE_CHECKING:
    from flask import Flask

ADD = "destinations add shop --kind webhook --set secret=env:HOOK_SECRET --topic acme.offers=offers"


@pytest.mark.parametrize(
    "permitted, own, problem",
    [
        ("", "10.20.0.0/16", "PRIVATE_NETWORKS"),
        ("10.21.0.0/16", "10.20.0.0/16", "PRIVATE_NETWORKS"),
        ("10.20.0.0/16", "", "it needs `private_networks`"),
        ("10.20.0.0/16", "10.20.5.0/24", "not public"),
        ("10.20.0.0/16", "10.20.4.0/24", "can't connect"),  # there is none, but it was tried
    ],
)
def test_a_receiver_inside_needs_both(
    app: Flask, monkeypatch: pytest.MonkeyPatch, permitted: str, own: str, problem: str
) -> None:
    ready_to_connect(app, monkeypatch)
    monkeypatch.delenv("CONNECTORS_ALLOW_PRIVATE")
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    with app.app_context():
        settings = services().settings.model_copy(update={"private_networks": permitted})
        context = replace(services(), settings=settings)
    monkeypatch.setitem(app.extensions, EXTENSION_NAME, context)
    words = [*ADD.split(), "--set", "url=https://10.20.4.9/hooks"]
    result = flask(app, *words, *(("--set", f"private_networks={own}") if own else ()))
    assert result.exit_code == 1
    assert problem in result.output
