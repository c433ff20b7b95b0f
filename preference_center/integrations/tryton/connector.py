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
from preference_center.domain.sync.capabilities import Capabilities, Listing, Scopes
from preference_center.domain.sync.contract import Item, Outcome, Page, Result, Seen
from preference_center.domain.vendor_events import News, NewsKind
from preference_center.integrations.base.batching import Step, carry_out, send_halving
from preference_center.integrations.base.check_report import Report, Right
from preference_center.integrations.base.contract import DeliveryError, Setup
from preference_center.integrations.base.http import Http
from preference_center.integrations.base.mapping import ensure_fits, mapping_problems
from preference_center.integrations.base.spec import Entry, Proof
from preference_center.integrations.tryton.client import Access, Database, Row, open_database

_DOCS = "https://docs.tryton.org/latest"
Rows = Mapping[tuple[str, int], Row]
"""By address in lower case, and list."""


class Tryton:
    """Some mailing lists of one Tryton database."""

    kind: ClassVar[str] = "tryton"
    # Tryton has no limits of its own. Addresses can't be created inactive by its API, and
    # one that is active for a moment may be mailed: so none is created.
    capabilities: ClassVar[Capabilities] = Capabilities(
        channels=frozenset({Channel.EMAIL}),
        scopes=frozenset({Scopes.TOPIC}),
        can_lift=True,
        batch_size=500,
        can_read=True,
        scans=Listing.CHANGES,
        pulls=Listing.CHANGES,
        tells_rights=True,
    )
    settings: ClassVar[Mapping[str, str]] = {
        "base_url": "where Tryton's server is, as in https://tryton.example.com",
        "database": "name of the database",
        "user": "login of a user of the group Marketing",
        "password": "the user's password",
    }

    def __init__(self, setup: Setup, http: Http) -> None:
        self._setup = setup
        self._http = http

    def check(self) -> Report:
        """See Connector. Also says which lists no topic maps to."""
        problems = list(mapping_problems(self._setup, "list"))
        try:
            with open_database(self._setup, self._http) as database:
                access, lists = database.rights(), database.lists()
        except DeliveryError as error:
            return Report((*problems, f"{error}: check base_url, database, user and password"))
        problems += [
            f"topic {topic} is mapped to list {target}, which Tryton has not: "
            "map it to a list that exists"
            for topic, target in sorted(self._setup.topics.items())
            if target.isdigit() and int(target) not in lists
        ]
        mapped = set(self._setup.topics.values())
        unmapped = [f"{name} ({id_})" for id_, name in lists.items() if str(id_) not in mapped]
        return Report(tuple(problems), tuple(unmapped)).with_rights(_rights(access))

    def push(self, batch: Sequence[Item]) -> Mapping[int, Outcome]:
        """See Connector. Opt-outs go first, a list at a time."""
        if not batch:
            return {}
        ensure_fits(batch, self._setup, self.capabilities)
        with open_database(self._setup, self._http) as database:
            rows = self._rows(database, batch)
            outcomes = carry_out(batch, self._steps(database, batch, rows))
        known = {email for email, _ in rows}
        absent = Outcome(Result.ABSENT, "in none of the lists")
        named = [item for item in batch if item.off or item.lift]
        return outcomes | {i.ref: absent for i in named if i.address.lower() not in known}

    def _rows(self, database: Database, batch: Sequence[Item]) -> Rows:
        lists = [int(list_id) for list_id in self._setup.topics.values()]
        database.ensure_lists(lists)
        found = database.find([item.address.lower() for item in batch], lists)
        return {(row.email.lower(), row.list_): row for row in found}

    def _steps(self, database: Database, batch: Sequence[Item], rows: Rows) -> list[Step]:
        steps = []
        for active in (False, True):
            for topic, list_id in sorted(self._setup.topics.items()):
                concerned = {
                    item.ref: row
                    for item in batch
                    if topic in (item.lift if active else item.off)
                    and (row := rows.get((item.address.lower(), int(list_id))))
                    and (row.is_off if active else row.active)
                }
                if concerned:
                    call = partial(_write, database, concerned, active=active)
                    steps.append(Step(tuple(concerned), call))
        return steps

    def read(self, batch: Sequence[Item]) -> Mapping[int, frozenset[str] | None]:
        """See Readable. A list that doesn't mail the address is off if we want it off."""
        if not batch:
            return {}
        ensure_fits(batch, self._setup, self.capabilities)
        with open_database(self._setup, self._http) as database:
            rows = self._rows(database, batch)
        known = {email for email, _ in rows}
        return {
            item.ref: self._off(item, rows) if item.address.lower() in known else None
            for item in batch
        }

    def _off(self, item: Item, rows: Rows) -> frozenset[str]:
        off = set()
        for topic, list_id in self._setup.topics.items():
            row = rows.get((item.address.lower(), int(list_id)))
            if (row and row.is_off) or (topic in item.off and not (row and row.active)):
                off.add(topic)
        return frozenset(off)

    def scan(self, cursor: str | None) -> Page[Seen]:
        """See Scannable. An address comes once for each of its lists, so `off` is not told."""
        rows, following, done = self._listed(cursor)
        return Page(tuple(Seen(row.email) for row in rows), following, done)

    def pull(self, cursor: str | None) -> Page[News]:
        """See Pullable. When is the last change of an address that is inactive."""
        rows, following, done = self._listed(cursor, only_off=True)
        news = [News(NewsKind.OPTED_OUT, r.email, str(r.list_), at=r.write_date) for r in rows]
        return Page(tuple(news), following, done)

    def _listed(self, cursor: str | None, *, only_off: bool = False) -> tuple[list[Row], str, bool]:
        lists = [int(list_id) for list_id in self._setup.topics.values()]
        with open_database(self._setup, self._http) as database:
            database.ensure_lists(lists)
            return database.changed(cursor, lists, only_off=only_off)


def _write(
    database: Database, concerned: Mapping[int, Row], *, active: bool
) -> Mapping[int, Outcome]:
    outcomes = dict.fromkeys(concerned, Outcome(Result.REFUSED, "UserError"))
    taken = send_halving(
        list(concerned), lambda refs: database.write([concerned[r].id for r in refs], active=active)
    )
    for part, _ in taken:
        outcomes |= dict.fromkeys(part, Outcome(Result.REFLECTED, f"active: {active}"))
    return outcomes


def _rights(access: Access) -> Iterator[Right]:
    grant = "put the user into the group Marketing"
    for name, use, held in (
        ("read", "see who is in the lists", access.read),
        ("write", "turn addresses off and on", access.write),
    ):
        yield Right(f"{name} on addresses of mailing lists", use, held, grant)


ENTRY = Entry(
    kind=Tryton.kind,
    title="Tryton",
    proof=Proof.REAL,
    against="Tryton 8.2.1, by `make test-real`",
    capabilities=Tryton.capabilities,
    own_settings=Tryton.settings,
    secrets=frozenset({"password"}),
    sources=(f"{_DOCS}/modules-marketing_email/", f"{_DOCS}/server/ref/protocols.html"),
    build=Tryton,
    notes=(
        "Map each topic to the number of a mailing list.",
        "Who unsubscribed in Tryton counts from the last change of the address there.",
        "An address that waits for its confirmation is left alone; confirmed, it is found.",
    ),
)
