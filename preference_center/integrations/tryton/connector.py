"""Tryton's module marketing_email: a topic is a mailing list, "off" is an inactive address in it.

https://docs.tryton.org/latest/modules-marketing_email/
https://docs.tryton.org/latest/server/ref/protocols.html
Messages of a list go to its active addresses. An address that waits for its confirmation is
inactive from the start and was never changed: nobody has said no there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import ClassVar

from preference_center.domain.addresses import Channel
from preference_center.domain.sync.capabilities import Capabilities, ListingMode, SupportedScope
from preference_center.domain.sync.contract import (
    ContactPage,
    ContactSnapshot,
    PushItem,
    PushOutcome,
    PushResult,
)
from preference_center.domain.vendor_events import VendorEvent, VendorEventKind
from preference_center.integrations.base.batching import PushStep, run_steps
from preference_center.integrations.base.bisecting import send_bisecting
from preference_center.integrations.base.check_report import CheckReport, Permission
from preference_center.integrations.base.contract import DeliveryError, DestinationConfig
from preference_center.integrations.base.http import HttpContext
from preference_center.integrations.base.mapping import mapping_problems, validate_batch
from preference_center.integrations.base.spec import ConnectorSpec, TestedAgainst
from preference_center.integrations.tryton.client import (
    ModelAccess,
    TrytonClient,
    TrytonRow,
    open_database,
)

_DOCS = "https://docs.tryton.org/latest"
RowsByAddressAndList = Mapping[tuple[str, int], TrytonRow]
"""By address in lower case, and list."""


class Tryton:
    """Some mailing lists of one Tryton database."""

    kind: ClassVar[str] = "tryton"
    # Tryton has no limits of its own. Addresses can't be created inactive by its API, and
    # one that is active for a moment may be mailed: so none is created.
    capabilities: ClassVar[Capabilities] = Capabilities(
        channels=frozenset({Channel.EMAIL}),
        scopes=frozenset({SupportedScope.TOPIC}),
        can_lift=True,
        batch_size=500,
        can_read=True,
        scans=ListingMode.CHANGES,
        pulls=ListingMode.CHANGES,
        checks_permissions=True,
    )
    settings: ClassVar[Mapping[str, str]] = {
        "base_url": "where Tryton's server is, as in https://tryton.example.com",
        "database": "name of the database",
        "user": "login of a user of the group Marketing",
        "password": "the user's password",
    }

    def __init__(self, config: DestinationConfig, http: HttpContext) -> None:
        self._config = config
        self._http = http

    def check(self) -> CheckReport:
        """See Connector. Also says which lists no topic maps to."""
        problems = list(mapping_problems(self._config, "list"))
        try:
            with open_database(self._config, self._http) as database:
                access, lists = database.get_access(), database.lists()
        except DeliveryError as error:
            return CheckReport((*problems, f"{error}: check base_url, database, user and password"))
        problems += [
            f"topic {topic} is mapped to list {target}, which Tryton has not: "
            "map it to a list that exists"
            for topic, target in sorted(self._config.topics.items())
            if target.isdigit() and int(target) not in lists
        ]
        mapped = set(self._config.topics.values())
        unmapped = [f"{name} ({id_})" for id_, name in lists.items() if str(id_) not in mapped]
        return CheckReport(tuple(problems), tuple(unmapped)).with_permissions(
            _list_permissions(access)
        )

    def push(self, batch: Sequence[PushItem]) -> Mapping[int, PushOutcome]:
        """See Connector. Opt-outs go first, a list at a time."""
        if not batch:
            return {}
        validate_batch(batch, self._config, self.capabilities)
        with open_database(self._config, self._http) as database:
            rows = self._find_rows(database, batch)
            outcomes = run_steps(batch, self._build_steps(database, batch, rows))
        known = {email for email, _ in rows}
        absent = PushOutcome(PushResult.ABSENT, "in none of the lists")
        named = [item for item in batch if item.off or item.lift]
        return outcomes | {i.ref: absent for i in named if i.address.lower() not in known}

    def _find_rows(self, client: TrytonClient, batch: Sequence[PushItem]) -> RowsByAddressAndList:
        lists = [int(list_id) for list_id in self._config.topics.values()]
        client.ensure_lists(lists)
        found = client.find([item.address.lower() for item in batch], lists)
        return {(row.email.lower(), row.list_): row for row in found}

    def _build_steps(
        self, client: TrytonClient, batch: Sequence[PushItem], rows: RowsByAddressAndList
    ) -> list[PushStep]:
        steps = []
        for active in (False, True):
            for topic, list_id in sorted(self._config.topics.items()):
                concerned = {
                    item.ref: row
                    for item in batch
                    if topic in (item.lift if active else item.off)
                    and (row := rows.get((item.address.lower(), int(list_id))))
                    and (row.is_off if active else row.active)
                }
                if concerned:
                    call = partial(_write_rows, client, concerned, active=active)
                    steps.append(PushStep(tuple(concerned), call))
        return steps

    def read(self, batch: Sequence[PushItem]) -> Mapping[int, frozenset[str] | None]:
        """See Readable. A list that doesn't mail the address is off if we want it off."""
        if not batch:
            return {}
        validate_batch(batch, self._config, self.capabilities)
        with open_database(self._config, self._http) as database:
            rows = self._find_rows(database, batch)
        known = {email for email, _ in rows}
        return {
            item.ref: self._off_topics(item, rows) if item.address.lower() in known else None
            for item in batch
        }

    def _off_topics(self, item: PushItem, rows: RowsByAddressAndList) -> frozenset[str]:
        off = set()
        for topic, list_id in self._config.topics.items():
            row = rows.get((item.address.lower(), int(list_id)))
            if (row and row.is_off) or (topic in item.off and not (row and row.active)):
                off.add(topic)
        return frozenset(off)

    def scan(self, cursor: str | None) -> ContactPage[ContactSnapshot]:
        """See Scannable. An address comes once for each of its lists, so `off` is not told."""
        rows, following, done = self._list_changed(cursor)
        return ContactPage(tuple(ContactSnapshot(row.email) for row in rows), following, done)

    def pull(self, cursor: str | None) -> ContactPage[VendorEvent]:
        """See Pullable. When is the last change of an address that is inactive."""
        rows, following, done = self._list_changed(cursor, only_off=True)
        news = [
            VendorEvent(VendorEventKind.OPTED_OUT, r.email, str(r.list_), occurred_at=r.write_date)
            for r in rows
        ]
        return ContactPage(tuple(news), following, done)

    def _list_changed(
        self, cursor: str | None, *, only_off: bool = False
    ) -> tuple[list[TrytonRow], str, bool]:
        lists = [int(list_id) for list_id in self._config.topics.values()]
        with open_database(self._config, self._http) as database:
            database.ensure_lists(lists)
            return database.changed(cursor, lists, only_off=only_off)


def _write_rows(
    client: TrytonClient, rows: Mapping[int, TrytonRow], *, active: bool
) -> Mapping[int, PushOutcome]:
    outcomes = dict.fromkeys(rows, PushOutcome(PushResult.REFUSED, "UserError"))
    taken = send_bisecting(
        list(rows), lambda refs: client.write([rows[r].id for r in refs], active=active)
    )
    for part, _ in taken:
        outcomes |= dict.fromkeys(part, PushOutcome(PushResult.REFLECTED, f"active: {active}"))
    return outcomes


def _list_permissions(access: ModelAccess) -> Iterator[Permission]:
    grant = "put the user into the group Marketing"
    for name, use, held in (
        ("read", "see who is in the lists", access.read),
        ("write", "turn addresses off and on", access.write),
    ):
        yield Permission(f"{name} on addresses of mailing lists", use, held, grant)


SPEC = ConnectorSpec(
    kind=Tryton.kind,
    tested_against=TestedAgainst.REAL_SERVER,
    tested_version="Tryton 8.2.1, by `make test-real`",
    capabilities=Tryton.capabilities,
    own_settings=Tryton.settings,
    secret_settings=frozenset({"password"}),
    sources=(f"{_DOCS}/modules-marketing_email/", f"{_DOCS}/server/ref/protocols.html"),
    build=Tryton,
    notes=(
        "Map each topic to the number of a mailing list.",
        "Who unsubscribed in Tryton counts from the last change of the address there.",
        "An address that waits for its confirmation is left alone; confirmed, it is found.",
    ),
)
