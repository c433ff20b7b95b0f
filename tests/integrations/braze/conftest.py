from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from werkzeug.wrappers import Request, Response

from preference_center.integrations.base.contract import (
    DestinationConfig,
)
from tests.integrations.braze.workspace import DESCRIPTION, TOPICS, Workspace, correct
from tests.integrations.contract import Rig
from tests.integrations.tools.braze import KEY, BrazeStandIn
from tests.integrations.tools.described import Description
from tests.shared import SHARED


@pytest.fixture(scope="module")
def descriptions() -> list[Description]:
    """Ours, see its `info`; and the community's, which has no responses."""
    ours = Description(Path(__file__).parents[1] / "contracts" / "braze.json")
    theirs = SHARED / DESCRIPTION
    if not theirs.exists():
        return [ours]
    cut = Description(
        theirs, ignored=lambda path: path in {"/users/delete", "/users/track"}, fix=correct
    )
    return [ours, cut]


@pytest.fixture
def server(descriptions: list[Description]) -> Iterator[BrazeStandIn]:
    def watch(request: Request, response: Response) -> None:
        for description in descriptions:
            description.watch(request, response)

    for description in descriptions:
        description.faults.clear()
    with BrazeStandIn(watch) as server:
        yield server
    for description in descriptions:
        assert description.faults == []


@pytest.fixture
def rig(server: BrazeStandIn) -> Rig:
    settings = {"api_key": KEY, "url": server.url, "frequency_fields": "news=News frequency"}
    setup = DestinationConfig("engage", settings, TOPICS)
    # A push looks first who is there.
    return Rig(
        "braze", setup, Workspace(server), requests_before_writing=1, requests_before_erasing=1
    )
