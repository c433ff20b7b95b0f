"""Tryton's module marketing_email: a topic is a mailing list, "off" is an inactive address in it.

https://docs.tryton.org/latest/modules-marketing_email/
https://docs.tryton.org/latest/server/ref/protocols.html
Messages of a list go to its active addresses. An address that waits for its confirmation is
inactive from the start and was never changed: nobody has opted out there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from functools import partial
from typing import ClassVar

from preference_center.integrations.base import runtime
from preference_center.integrations.base.bisecting import send_bisecting
from preference_center.integrations.tryton.client import (
    ModelAccess,
    TrytonClient,
    TrytonRow,
    open_database,
)

_DOCS = "https://docs.tryton.org/latest"
RowsByAddressAndList = Mapping[tuple[str, int], TrytonRow]
"""By address in lower case, and list."""


class Tryton(runtime.ReadableApiConnector[TrytonClient], runtime.ErasingConnector[TrytonClient]):
    """Some mailing lists of one Tryton database."""

    kind = "tryton"
    # Tryton has no limits of its own. Addresses can't be created inactive by its API, and
    # one that is active for a moment may be mailed: so none is created.
    capabilities = runtime.Capabilities(
        channels=frozenset({runtime.Channel.EMAIL}),
        scopes=frozenset({runtime.SupportedScope.TOPIC}),
        can_lift=True,
        batch_size=500,
        can_read=True,
        scans=runtime.ListingMode.CHANGES,
        pulls=runtime.ListingMode.CHANGES,
        checks_permissions=True,
        erase=runtime.EraseMode.FORGETS_OPT_OUT,
        erase_note="The address is deleted from all mailing lists (marketing_email). Parties, web "
        "users and their documents are accounts and bookkeeping, and stay: erase them in Tryton by "
        "hand where nothing has to be kept.",
        confirms_erasure=True,
    )
    settings: ClassVar[Mapping[str, str]] = {
        "base_url": "where Tryton's server is, as in https://tryton.example.com",
        "database": "name of the database",
        "user": "login of a user of the group Marketing",
        "password": "the user's password",
        **runtime.NETWORKS_OF_TOOL,
    }

    rules = runtime.ConnectorRules(
        target_noun="list",
        credentials_hint="base_url, database, user and password",
        numeric_ids=True,
    )

    def open_client(self) -> AbstractContextManager[TrytonClient]:
        """See ApiConnector."""
        return open_database(self.config, self.http)

    def list_targets(self, client: TrytonClient) -> Iterator[runtime.Target]:
        """See ApiConnector."""
        for id_, name in client.lists().items():
            yield runtime.Target(str(id_), name)

    def find_permissions(self, client: TrytonClient) -> Iterator[runtime.Permission]:
        """See ApiConnector."""
        return _list_permissions(client.get_access())

    def push_batch(self, client: TrytonClient, batch: runtime.Items) -> runtime.Outcomes:
        """See ApiConnector. Opt-outs go first, a list at a time."""
        rows = self._find_rows(client, batch)
        outcomes = runtime.run_steps(batch, self._build_steps(client, batch, rows))
        known = {email for email, _ in rows}
        absent = runtime.absent("in none of the lists")
        named = [item for item in batch if item.off or item.lift]
        return outcomes | {i.ref: absent for i in named if i.address.lower() not in known}

    def _find_rows(self, client: TrytonClient, batch: runtime.Items) -> RowsByAddressAndList:
        lists = [int(list_id) for list_id in self.config.topics.values()]
        client.ensure_lists(lists)
        found = client.find([item.address.lower() for item in batch], lists)
        return {(row.email.lower(), row.list_): row for row in found}

    def _build_steps(
        self, client: TrytonClient, batch: runtime.Items, rows: RowsByAddressAndList
    ) -> list[runtime.PushStep]:
        steps = []
        for active in (False, True):
            for topic, list_id in sorted(self.config.topics.items()):
                concerned = {
                    item.ref: row
                    for item in batch
                    if topic in (item.lift if active else item.off)
                    and (row := rows.get((item.address.lower(), int(list_id))))
                    and (row.is_off if active else row.active)
                }
                if concerned:
                    call = partial(_write_rows, client, concerned, active=active)
                    steps.append(runtime.PushStep(tuple(concerned), call))
        return steps

    def read_batch(self, client: TrytonClient, batch: runtime.Items) -> runtime.OffTopics:
        """See ReadableApiConnector. A list that doesn't mail the address is off if wanted off."""
        rows = self._find_rows(client, batch)
        known = {email for email, _ in rows}
        return {
            item.ref: self._off_topics(item, rows) if item.address.lower() in known else None
            for item in batch
        }

    def _off_topics(self, item: runtime.PushItem, rows: RowsByAddressAndList) -> frozenset[str]:
        off = set()
        for topic, list_id in self.config.topics.items():
            row = rows.get((item.address.lower(), int(list_id)))
            if (row and row.is_off) or (topic in item.off and not (row and row.active)):
                off.add(topic)
        return frozenset(off)

    def erase_contact(self, client: TrytonClient, item: runtime.EraseItem) -> runtime.PushOutcome:
        """See ErasingConnector."""
        rows = client.find_everywhere([item.address.lower()])
        if not rows:
            return runtime.absent()
        client.delete([row.id for row in rows])
        return runtime.reflected("deleted")

    def holds_contact(self, client: TrytonClient, item: runtime.EraseItem) -> bool:
        """See ErasingConnector."""
        return bool(client.find_everywhere([item.address.lower()]))

    def scan(self, cursor: str | None) -> runtime.SnapshotPage:
        """See SupportsScan. An address is listed once for each of its lists, without `off`."""
        rows, following, done = self._list_changed(cursor)
        return runtime.ContactPage(
            tuple(runtime.ContactSnapshot(row.email) for row in rows), following, done
        )

    def pull(self, cursor: str | None) -> runtime.EventPage:
        """See SupportsPull. The time is that of the last change of an inactive address."""
        rows, following, done = self._list_changed(cursor, only_off=True)
        events = [
            runtime.VendorEvent(
                runtime.VendorEventKind.OPTED_OUT, r.email, str(r.list_), occurred_at=r.write_date
            )
            for r in rows
        ]
        return runtime.ContactPage(tuple(events), following, done)

    def _list_changed(
        self, cursor: str | None, *, only_off: bool = False
    ) -> tuple[list[TrytonRow], str, bool]:
        lists = [int(list_id) for list_id in self.config.topics.values()]
        with self.open_client() as database:
            database.ensure_lists(lists)
            return database.changed(cursor, lists, only_off=only_off)


def _write_rows(
    client: TrytonClient, rows: Mapping[int, TrytonRow], *, active: bool
) -> runtime.Outcomes:
    outcomes = dict.fromkeys(rows, runtime.refused("UserError"))
    accepted = send_bisecting(
        list(rows), lambda refs: client.write([rows[r].id for r in refs], active=active)
    )
    for part, _ in accepted:
        outcomes |= dict.fromkeys(part, runtime.reflected(f"active: {active}"))
    return outcomes


def _list_permissions(access: ModelAccess) -> Iterator[runtime.Permission]:
    grant = "put the user into the group Marketing"
    for name, use, held in (
        ("read", "see who is in the lists", access.read),
        ("write", "turn addresses off and on", access.write),
    ):
        yield runtime.Permission(f"{name} on addresses of mailing lists", use, held, grant)
    yield runtime.Permission(
        "delete on addresses of mailing lists",
        "erase people",
        access.delete,
        grant,
        is_required=False,
    )


SPEC = runtime.ConnectorSpec.of(
    Tryton,
    tested_against=runtime.TestedAgainst.REAL_SERVER,
    tested_version="Tryton 8.2.1, by `make test-real`",
    secrets={"password"},
    sources=(f"{_DOCS}/modules-marketing_email/", f"{_DOCS}/server/ref/protocols.html"),
    notes=(
        "Map each topic to the number of a mailing list.",
        "Who unsubscribed in Tryton counts from the last change of the address there.",
        "An address that is not confirmed yet is not changed; once confirmed, it is found.",
    ),
)
