"""A person of whom everything is stored that the file can hold, for its tests."""

from __future__ import annotations

import io
import json
from datetime import timedelta
from typing import Any
from uuid import UUID
from zipfile import ZipFile

from preference_center import contacts
from preference_center.contacts.rules.contact import ContactUpdate
from preference_center.core.addresses import Address, Channel, parse_address
from preference_center.core.events import ALL_MARKETING, EventKind, Retraction
from preference_center.core.staff import AccessAction, AccessReason, StaffAccess
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.ledger import bounces, record
from preference_center.ledger.bounces import CountedBounce
from preference_center.ledger.rules import RequestOrigin
from preference_center.rights.access_file.build import build_access_file, read_access_file
from preference_center.rights.requests.correct import move_address
from preference_center.rights.requests.handle import open_request
from preference_center.rights.rules.lifecycle import RightsRequest
from preference_center.rights.rules.new_request import NewRequest
from preference_center.rights.rules.requests import IdentityLevel, RequestKind, RequestVia
from preference_center.web.console.looks import insert_person_access
from tests.clock import START
from tests.core.histories import NEWS
from tests.ledger.changes import add_destination, change, id_of

DAY = timedelta(days=1)
ADA, OLD, GRACE = (
    parse_address(f"{name}@people.example", Channel.EMAIL) for name in ("ada", "old", "grace")
)
WORDING = "Ja, schicken Sie mir Neuigkeiten"


def origin() -> RequestOrigin:
    return RequestOrigin("test", "key:shop", services().now())


def ask(*addresses: Address, language: str = "de", **given: Any) -> RightsRequest:
    """A request for access whose identity is proven."""
    fields = {"level": IdentityLevel.CONTROLS_ADDRESS} | given
    return open_request(
        NewRequest(RequestKind.ACCESS, RequestVia.PAGE, language, addresses, **fields)
    )


def file_of(request: RightsRequest) -> ZipFile:
    assert build_access_file(request.id)
    return ZipFile(io.BytesIO(read_access_file(request.id)))


def data_of(archive: ZipFile) -> dict[str, Any]:
    return dict(json.loads(archive.read("data.json")))


def execute(statement: str, **given: object) -> None:
    run_in_transaction(lambda c: c.execute(statement.encode(), given))


def store_everything(who: Address = ADA) -> None:
    """Rows in every table that the file reads."""
    tool = add_destination("email-tool", NEWS)
    contacts.upsert_contacts([ContactUpdate("customer-77", "de", (who, OLD))], origin())
    evidence = {"source": "shop", "wording": WORDING, "language": "de"}
    record(
        [
            change(
                1, EventKind.OPTED_IN, address=who, at=START - 40 * DAY, evidence=evidence,
                source="senders",
            ),
            change(2, scope=ALL_MARKETING, address=who, at=START - 30 * DAY, source="one_click"),
            change(3, address=who, at=START - 20 * DAY, source="destination"),
            change(
                4, EventKind.PAUSED, address=who, at=START - DAY, until=START + 30 * DAY,
                source="=cmd|calc",
            ),
        ]
    )  # fmt: skip
    record([Retraction(UUID(int=9), (UUID(int=3),), START, "cli", "cli:maria.rossi")])
    move_address(OLD, who, origin=origin())
    address_id = id_of(who)
    assert address_id
    execute(
        """WITH pushed AS (
            INSERT INTO delivery (destination_id, address_id, version, outcome, note, at)
            VALUES (%(tool)s, %(address)s, 1, 'reflected', '', %(at)s) RETURNING id
        ) INSERT INTO delivery_ack (delivery_id, ack)
        SELECT id, 'id-of-ada-at-the-tool' FROM pushed""",
        tool=tool, address=address_id, at=START,
    )  # fmt: skip
    digest = services().keys.exact_digest(who)
    bounce = CountedBounce(UUID(int=70), digest, "4.2.2", START - DAY)
    run_in_transaction(
        lambda connection: bounces.insert_bounces(connection, [bounce], START - 9 * DAY)
    )
    execute(
        """INSERT INTO hold (id, reference, ground, address_id, placed_at, placed_by)
        VALUES (%(id)s, 'case 12', 'a claim', %(address)s, %(at)s, 'maria.rossi')""",
        id=UUID(int=71), address=address_id, at=START,
    )  # fmt: skip
    execute(
        """INSERT INTO erasure (id, address_id, extent, begun_at, give_up_at)
        VALUES (%(id)s, %(address)s, 'marketing', %(at)s, %(at)s)""",
        id=UUID(int=72), address=address_id, at=START - 100 * DAY,
    )  # fmt: skip
    execute(
        """INSERT INTO erasure_task (erasure_id, destination_id, destination, suppressed_at)
        VALUES (%(id)s, %(tool)s, 'email-tool', %(at)s)""",
        id=UUID(int=72), tool=tool, at=START,
    )  # fmt: skip
    look = StaffAccess(
        UUID(int=73),
        START,
        "console:maria.rossi",
        AccessAction.PERSON_VIEWED,
        AccessReason.COMPLAINT,
        "SUP-12",
    )
    run_in_transaction(lambda c: insert_person_access(c, services().keys, look, who))
    execute(
        """INSERT INTO policy_notice (version, address_id, reach, selected_at, noticed_at, via)
        VALUES ('2027-01', %(address)s, 'reachable', %(at)s, %(at)s, 'csv')""",
        address=address_id, at=START,
    )  # fmt: skip
