from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, cast

import pytest

from preference_center.core.addresses import Channel
from preference_center.integrations.base.contract import (
    DeliveryError,
    DestinationConfig,
    FieldItem,
    PushResult,
    UnsupportedByDestination,
)
from preference_center.integrations.base.vendor_events import VendorEventKind
from preference_center.integrations.intercom.connector import Intercom
from tests.integrations.both_ways_contract import (
    AbsentContract,
    FieldContract,
    ReadContract,
    ScanContract,
    WholePullContract,
    whole,
    with_settings,
)
from tests.integrations.contract import ANNA, BO, CY, JsonApiContract, Rig, lift, off, results
from tests.integrations.erase_contract import EraseContract, EraseHttpContract, erase
from tests.integrations.mapped_contract import MappedContract
from tests.integrations.odd_answers_contract import OddAnswersContract
from tests.integrations.rig import field_of
from tests.integrations.tools.described import Description
from tests.integrations.tools.intercom import LINK, TOKEN, IntercomStandIn
from tests.integrations.tools.stand_in import Fault
from tests.shared import SHARED, shared_path

TOPICS = {"news": "11", "offers": "12"}
DESCRIPTION = "contracts/intercom-contact-optout.json"


@dataclass(slots=True)
class Workspace:
    server: IntercomStandIn

    def off(self, address: str) -> set[str]:
        held = [self.server.attached[c["id"]] for c in self.server.of(address)]
        return {t for t, id_ in TOPICS.items() if held and all(id_ in each for each in held)}

    def turn_off(self, address: str, topic: str) -> None:
        for contact in self.server.of(address) or [self.server.add(address)]:
            self.server.attached[contact["id"]].add(TOPICS[topic])

    def requests(self) -> int:
        return len(self.server.seen)

    def reject(self, address: str) -> None:
        self.server.poison.add(address)

    def add(self, address: str) -> None:
        self.server.everybody = False
        self.server.add(address)

    def has(self, address: str) -> bool:
        return bool(self.server.of(address))

    def link(self, address: str) -> str | None:
        return cast("str | None", self.server.of(address)[0]["custom_attributes"].get(LINK))

    def leave(self, address: str) -> None:
        for contact in self.server.of(address) or [self.server.add(address)]:
            contact["unsubscribed_from_emails"] = True
            self.server.touch(contact)

    def has_left(self, address: str) -> bool:
        return all(contact["unsubscribed_from_emails"] for contact in self.server.of(address))


@pytest.fixture(scope="module")
def description() -> Description | None:
    if not (SHARED / DESCRIPTION).exists():
        return None  # the stand-in alone then; one test below skips
    # Attributes of contacts are described elsewhere.
    return Description(
        SHARED / DESCRIPTION, ignored=lambda path: path == "/data_attributes", fix=add_deletion
    )


def add_deletion(spec: dict[str, Any]) -> None:
    """What the cut of Intercom's description leaves out: `DeleteContact`."""
    properties = {"type": {"enum": ["contact"]}, "id": {"type": "string"}}
    answer = {"type": "object", "properties": properties | {"deleted": {"type": "boolean"}}}
    path = spec["paths"]["/contacts/{contact_id}"]
    path["delete"] = {
        "parameters": path["get"]["parameters"],
        "responses": {
            "200": {
                "description": "successful",
                "content": {"application/json": {"schema": answer}},
            }
        },
    }


@pytest.fixture
def server(description: Description | None) -> Iterator[IntercomStandIn]:
    if description:
        description.faults.clear()
    with IntercomStandIn(description.watch if description else None) as server:
        yield server
    if description:
        assert description.faults == []


@pytest.fixture
def rig(server: IntercomStandIn) -> Rig:
    settings = {"access_token": TOKEN, "base_url": server.url, "link_field": LINK}
    # The types, the contacts, and what one of them is attached to.
    setup = DestinationConfig("chat", settings, TOPICS)
    return Rig(
        "intercom",
        setup,
        Workspace(server),
        requests_before_writing=3,
        requests_before_erasing=1,
        one_by_one=True,
    )


class TestIntercom(JsonApiContract, MappedContract, ReadContract, ScanContract, FieldContract):
    def test_what_was_done_before_a_failure_counts_and_the_rest_is_later(self, rig: Rig) -> None:
        server = cast("IntercomStandIn", rig.tool.server)  # type: ignore[attr-defined]
        server.fail(Fault(503, after=4))  # types, contacts; look and attach; look
        outcomes = rig.make().push([off(1, ANNA, "news"), off(2, BO, "news")])
        assert results(outcomes) == {1: PushResult.REFLECTED, 2: PushResult.RETRY_LATER}


class TestOddAnswers(OddAnswersContract):
    pass


class TestWhoLeftEverything(WholePullContract):
    pass


class TestStrangers(AbsentContract, EraseContract, EraseHttpContract):
    @pytest.fixture(autouse=True)
    def strangers(self, server: IntercomStandIn) -> None:
        server.everybody = False


def connect(rig: Rig, **changes: Any) -> Intercom:
    return cast("Intercom", replace(rig, setup=replace(rig.setup, **changes)).make())


def test_requests_and_answers_obey_intercoms_own_description(
    rig: Rig, description: Description | None
) -> None:
    shared_path(DESCRIPTION)
    assert description is not None
    before = description.checked
    rig.make().push([off(1, ANNA, "news")])
    rig.make().push([lift(1, ANNA, "news")])
    connect(rig).write_field(
        field_of(rig), [FieldItem(1, ANNA, Channel.EMAIL, "https://choices.example.com")]
    )
    rig.make().check()
    assert description.checked - before == 4 + 4 + 2 + 2


def test_every_contact_of_an_address_is_changed_and_the_last_one_counts(
    rig: Rig, server: IntercomStandIn
) -> None:
    user, lead = server.add(ANNA), server.add(ANNA, "lead")
    server.attached[user["id"]].add("11")
    connector = connect(rig)
    assert connector.read([off(1, ANNA)]) == {1: frozenset()}
    assert results(connector.push([off(1, ANNA.upper(), "news")])) == {1: PushResult.REFLECTED}
    assert server.attached[lead["id"]] == {"11"}
    assert server.writes == 1, "the user had opted out already"


def test_an_opt_in_type_is_turned_off_by_leaving_it(rig: Rig, server: IntercomStandIn) -> None:
    server.consent["11"] = "opt_in"
    contact = server.add(ANNA)
    server.attached[contact["id"]] = {"11", "12"}
    connector = connect(rig)
    assert results(connector.push([off(1, ANNA, "news")])) == {1: PushResult.REFLECTED}
    assert server.attached[contact["id"]] == {"12"}
    assert connector.read([off(1, ANNA, "news")]) == {1: frozenset({"news", "offers"})}
    # Who never joined has not opted out.
    assert connector.read([off(1, ANNA)]) == {1: frozenset({"offers"})}
    connector.push([lift(1, ANNA, "news")])
    assert server.attached[contact["id"]] == {"11", "12"}


def test_a_contact_that_went_away_is_absent(rig: Rig, server: IntercomStandIn) -> None:
    server.fail(Fault(404, after=2))
    assert results(rig.make().push([off(1, ANNA, "news")])) == {1: PushResult.ABSENT}


@pytest.mark.parametrize("how", ["archived", "gone", "sms"])
def test_a_type_that_is_no_good_is_reported(rig: Rig, server: IntercomStandIn, how: str) -> None:
    if how == "archived":
        server.archived.add("12")
    elif how == "gone":
        del server.types["12"]
    else:
        server.content["12"] = "sms_message"
    (problem,) = rig.make().check().problems
    assert "offers" in problem
    if how != "sms":
        with pytest.raises(DeliveryError, match="offers") as caught:
            rig.make().push([off(1, ANNA, "news")])
        assert caught.value.permanent
        assert server.writes == 0


def test_all_email_may_stand_for_the_only_topic(rig: Rig, server: IntercomStandIn) -> None:  # I10
    connector = connect(rig, topics={"news": "email"})
    assert connector.check().ok
    for _ in range(2):
        assert results(connector.push([off(1, ANNA, "news")])) == {1: PushResult.REFLECTED}
    assert server.writes == 1
    assert connector.read([off(1, ANNA)]) == {1: frozenset({"news"})}
    assert [n.target for n in whole(connector.pull)[0]] == ["email"]
    assert results(connector.push([lift(1, ANNA, "news")])) == {1: PushResult.REFLECTED}
    assert connector.read([off(1, ANNA)]) == {1: frozenset()}


@pytest.mark.parametrize(
    "changes, named",
    [
        ({"topics": {"news": "email"}, "sends_service": True}, "service mail"),
        ({"topics": {"news": "email", "offers": "12"}}, "offers"),
    ],
)
def test_all_email_is_refused_where_more_is_sent(
    rig: Rig, server: IntercomStandIn, changes: dict[str, Any], named: str
) -> None:  # I10, I4
    connector = connect(rig, **changes)
    assert any(named in problem for problem in connector.check().problems)
    with pytest.raises(UnsupportedByDestination, match=named):
        connector.push([off(1, ANNA, "news")])
    assert server.writes == 0


def test_what_people_did_there_is_pulled(rig: Rig, server: IntercomStandIn) -> None:  # I13
    server.page = 1
    server.add("quiet@example.com")
    server.add("", unsubscribed_from_emails=True)
    server.add(ANNA, unsubscribed_from_emails=True)
    server.add(BO, marked_email_as_spam=True)
    connector = connect(rig)
    events, cursor = whole(connector.pull)
    assert [(n.kind, n.address, n.target) for n in events] == [
        (VendorEventKind.COMPLAINED, BO, None),
        (VendorEventKind.OPTED_OUT, ANNA, None),
    ]
    assert connector.read([off(1, ANNA)]) == {1: frozenset(TOPICS)}
    server.add(CY, has_hard_bounced=True)
    assert (VendorEventKind.BOUNCED, CY) in {
        (n.kind, n.address) for n in whole(connector.pull, cursor)[0]
    }


def test_a_scan_stops_where_the_last_one_began(rig: Rig, server: IntercomStandIn) -> None:
    server.page = 5
    server.clock = server.clock.replace(day=24)
    for n in range(40):
        server.add(f"p{n}@example.com")
    connector = connect(rig)
    seen, cursor = whole(connector.scan)
    assert len(seen) == 40
    server.clock = server.clock.replace(day=25, hour=12)
    server.add(CY)
    before = len(server.seen)
    seen, _ = whole(connector.scan, cursor)
    assert seen[0].address == CY
    assert len(server.seen) - before == 1


def test_a_page_that_is_too_old_to_go_on_from_begins_the_listing_anew(
    rig: Rig, server: IntercomStandIn
) -> None:
    server.page = 2
    everybody = {f"p{n}@example.com" for n in range(5)}
    for address in sorted(everybody):
        server.add(address)
    connector = connect(rig)
    cursor = connector.scan(None).cursor
    server.fail(Fault(400))
    assert {s.address for s in whole(connector.scan, cursor)[0]} == everybody


def test_a_link_field_that_holds_no_text_is_reported(rig: Rig) -> None:
    (problem,) = with_settings(rig, link_field="age").make().check().problems
    assert "age" in problem


@pytest.mark.parametrize("consent", [None, "opt_maybe"], ids=["none", "a new one"])
def test_a_type_whose_consent_is_not_known_is_not_written(
    rig: Rig, server: IntercomStandIn, consent: str | None
) -> None:  # I5: attaching might be a yes
    types = [
        {"id": id_, "consent_type": consent, "content_types": ["email"]} for id_ in ("11", "12")
    ]
    server.fail(Fault(200, body=json.dumps({"type": "list", "data": types})))
    with pytest.raises(DeliveryError, match="neither opt-in nor opt-out") as caught:
        rig.make().push([off(1, ANNA, "news")])
    assert caught.value.permanent


def test_a_contact_without_an_address_makes_nobody_absent(
    rig: Rig, server: IntercomStandIn
) -> None:
    server.add(BO)
    contacts = [{"id": "c-9", "email": None, "updated_at": None}, *server.of(BO)]
    server.fail(Fault(200, body=json.dumps({"type": "list", "data": contacts}), after=1))
    found = rig.make().push([off(1, ANNA, "news"), off(2, BO, "news")])
    assert results(found) == {1: PushResult.RETRY_LATER, 2: PushResult.REFLECTED}


def test_every_user_and_lead_of_an_address_is_deleted(rig: Rig, server: IntercomStandIn) -> None:
    server.everybody = False
    server.add(ANNA)
    server.add(ANNA, "lead")
    server.add(BO)
    assert results(erase(rig, ANNA)) == {0: PushResult.REFLECTED}
    assert [contact["email"] for contact in server.contacts.values()] == [BO]
