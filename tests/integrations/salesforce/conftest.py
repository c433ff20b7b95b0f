from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from preference_center.integrations.base.contract import (
    DestinationConfig,
)
from tests.integrations.contract import Rig
from tests.integrations.salesforce.org import TOPICS, Org
from tests.integrations.tools.described import Description
from tests.integrations.tools.salesforce import (
    CLIENT,
    LINK,
    SECRET,
    SalesforceStandIn,
)


@pytest.fixture(scope="module")
def description() -> Description:
    """Ours, from Salesforce's documentation: see its `info`."""
    return Description(Path(__file__).parents[1] / "contracts" / "salesforce.json")


@pytest.fixture
def server(description: Description) -> Iterator[SalesforceStandIn]:
    description.faults.clear()
    with SalesforceStandIn(description.watch) as server:
        yield server
    assert description.faults == []


@pytest.fixture
def rig(server: SalesforceStandIn) -> Rig:
    settings = {
        "url": server.url,
        "client_id": CLIENT,
        "client_secret": SECRET,
        "link_field": LINK,
        "erase_records": "yes",
    }
    return Rig(
        "salesforce",
        DestinationConfig("crm", settings, TOPICS),
        Org(server),
        requests_before_writing=3,
        requests_before_erasing=3,
    )
