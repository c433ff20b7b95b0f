"""This connector maps a topic to a mailing list of Tryton's module marketing_email.

https://docs.tryton.org/latest/modules-marketing_email/
https://docs.tryton.org/latest/server/ref/protocols.html
Messages of a list go to its active addresses: "off" is an inactive address in the list. An address
that waits for its confirmation is inactive from the start and was never changed: nobody has opted
out there.

The module is called by JSON-RPC. Errors have the status 200 and name a class; their texts are for
people, and may contain addresses.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import BaseModel, BeforeValidator, TypeAdapter, ValidationError

from preference_center.integrations.base import runtime
from preference_center.integrations.base.push_results import send_bisecting

PAGE_SIZE = 1_000


OVERLAP = timedelta(minutes=10)
"""Rows have the time at which their transaction began, and are visible when it has ended."""


_ADDRESS = "model.marketing.email"


_LIST = "model.marketing.email.list"


_FIELDS = ["email", "list_", "active", "create_date", "write_date"]


# Without this, inactive rows are left out of every search. (A clause about `active` would do
# at the top of a domain, but not for an OR inside it.)
_INCLUDE_INACTIVE = {"active_test": False}


ResponseT = TypeVar("ResponseT")


def _parse_datetime(value: Any) -> Any:
    """Tryton's datetime, which is in UTC without naming it."""
    if isinstance(value, dict) and value.pop("__class__", None) == "datetime":
        return datetime(**value, tzinfo=UTC)
    return value


TrytonDatetime = Annotated[datetime, BeforeValidator(_parse_datetime)]


class TrytonRow(BaseModel):
    """One address in one list."""

    id: int
    email: str
    list_: int
    active: bool
    create_date: TrytonDatetime
    write_date: TrytonDatetime | None

    @property
    def is_off(self) -> bool:
        """Whether it was turned off; one that was never changed is not confirmed yet."""
        return not self.active and self.write_date is not None

    @property
    def changed_at(self) -> datetime:
        """When it was last written, or made."""
        return self.write_date or self.create_date


@dataclass(frozen=True, slots=True)
class TrytonCursor:
    """The position of a listing; all times are Tryton's own (UTC)."""

    since: datetime | None = None
    """When this pass lists from."""
    newest: datetime | None = None
    """The newest time that it has listed."""
    last_id: int = 0


class _TrytonList(BaseModel):
    id: int
    name: str


class ModelAccess(BaseModel):
    """What may be done with a model."""

    read: bool
    write: bool
    delete: bool


class _Answer(BaseModel):
    result: Any = None
    error: list[Any] | None = None


_RPC_RESPONSE = TypeAdapter(_Answer)


_LOGIN = TypeAdapter(tuple[int, str, Any])


_LISTS = TypeAdapter(list[_TrytonList])


_ROWS = TypeAdapter(list[TrytonRow])


_RIGHTS = TypeAdapter(dict[str, ModelAccess])


_NOTHING = TypeAdapter(None)


class TrytonClient:
    """One database.

    Its session is not logged out but times out: nobody else has its key, and logging out could
    fail.
    """

    def __init__(self, name: str, session: runtime.Session, database: str) -> None:
        self._name = name
        self._session = session
        self._database = database
        self._headers: dict[str, str] = {}

    def log_in(self, user: str, password: str) -> None:
        """Start a session."""
        parameters = [user, {"password": password}]
        number, key, _ = self._call("common.db.login", parameters, _LOGIN)
        credentials = b64encode(f"{user}:{number}:{key}".encode()).decode()
        self._headers = {"Authorization": f"Session {credentials}"}

    def lists(self) -> dict[int, str]:
        """List id -> its name."""
        found = self._search(_LIST, [], ["name"], None, _LISTS)
        return {each.id: each.name for each in found}

    def ensure_lists(self, lists: Collection[int]) -> None:
        """Raise DeliveryError (permanent) when one of them is gone.

        Every address would be absent from it, by the same response.
        """
        if gone := sorted(set(lists) - self.lists().keys()):
            names = ", ".join(map(str, gone))
            raise runtime.DeliveryError(
                f"{self._name}: the lists {names} are gone: map their topics again", permanent=True
            )

    def get_access(self) -> ModelAccess:
        """What the user may do with addresses of lists."""
        model = _ADDRESS.removeprefix("model.")
        return self._call("model.ir.model.access.get_access", [[model], {}], _RIGHTS)[model]

    def find(self, addresses: Sequence[str], list_ids: Sequence[int]) -> list[TrytonRow]:
        """The rows of these addresses, in lower case as Tryton keeps them, in these lists."""
        domain = [["email", "in", list(addresses)], ["list_", "in", list(list_ids)]]
        return self._search(_ADDRESS, domain, _FIELDS, None, _ROWS)

    def write(self, row_ids: Sequence[int], *, active: bool) -> None:
        """Turn rows on or off, all or none of them. Raises RequestRejected."""
        self._call(f"{_ADDRESS}.write", [list(row_ids), {"active": active}, {}], _NOTHING)

    def find_everywhere(self, addresses: Sequence[str]) -> list[TrytonRow]:
        """The rows of these addresses in whatever list."""
        return self._search(_ADDRESS, [["email", "in", list(addresses)]], _FIELDS, None, _ROWS)

    def delete(self, row_ids: Sequence[int]) -> None:
        """Delete rows, all or none of them. Raises RequestRejected."""
        self._call(f"{_ADDRESS}.delete", [list(row_ids), {}], _NOTHING)

    def changed(
        self, cursor: str | None, list_ids: Sequence[int], *, only_off: bool
    ) -> tuple[list[TrytonRow], str, bool]:
        """A page of rows by id that were made or written since, the next cursor, the end.

        See TrytonCursor.
        """
        position = runtime.decode_cursor(TrytonCursor, cursor) or TrytonCursor()
        domain: list[Any] = [["list_", "in", list(list_ids)], ["id", ">", position.last_id]]
        if position.since:
            since = _as_tryton(position.since)
            domain.append(["OR", ["create_date", ">=", since], ["write_date", ">=", since]])
        if only_off:
            domain += [["active", "=", False], ["write_date", "!=", None]]
        rows = self._search(_ADDRESS, domain, _FIELDS, PAGE_SIZE, _ROWS)
        times = [*(row.changed_at for row in rows), *([position.newest] if position.newest else [])]
        newest = max(times, default=None)
        done = len(rows) < PAGE_SIZE
        following = (
            TrytonCursor(newest and newest - OVERLAP, newest)
            if done
            else TrytonCursor(position.since, newest, rows[-1].id)
        )
        return rows, runtime.encode_cursor(following), done

    def _search(
        self,
        model: str,
        domain: list[Any],
        fields: list[str],
        limit: int | None,
        shape: TypeAdapter[ResponseT],
    ) -> ResponseT:
        parameters = [domain, 0, limit, [["id", "ASC"]], fields, _INCLUDE_INACTIVE]
        return self._call(f"{model}.search_read", parameters, shape)

    def _call(self, method: str, parameters: list[Any], shape: TypeAdapter[ResponseT]) -> ResponseT:
        answer = self._session.send(
            "POST",
            "/{database}/rpc/",
            path_params={"database": self._database},
            headers=self._headers,
            body={"id": 1, "method": method, "params": parameters},
        ).parse(_RPC_RESPONSE)
        if answer.error is not None:
            named = answer.error[0] if answer.error else ""
            if named == "UserError":
                raise runtime.RequestRejected(
                    f"{self._name}: {method}: UserError", HTTPStatus.BAD_REQUEST
                )
            raise runtime.DeliveryError(f"{self._name}: {method}: an error in Tryton")
        if "result" not in answer.model_fields_set:
            raise runtime.DeliveryError("the answer is not what the tool's API promises")
        try:
            return shape.validate_python(answer.result)
        except ValidationError:
            # Not chained: pydantic's message quotes the answer.
            raise runtime.DeliveryError("the answer is not what the tool's API promises") from None


def _as_tryton(time: datetime) -> dict[str, Any]:
    names = ("year", "month", "day", "hour", "minute", "second", "microsecond")
    return {"__class__": "datetime"} | {name: getattr(time, name) for name in names}


_DOCS = "https://docs.tryton.org/latest"


RowsByAddressAndList = Mapping[tuple[str, int], TrytonRow]
"""By address in lower case, and list."""


class Tryton(runtime.ReadableApiConnector[TrytonClient], runtime.ErasingConnector[TrytonClient]):
    """Some mailing lists of one Tryton database."""

    kind = "tryton"
    # Tryton has no limits of its own. Addresses can't be created inactive by its API, and
    # one that is active for a moment may be mailed: so none is created.
    capabilities = runtime.Capabilities(
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

    def headers(self) -> Mapping[str, str]:
        """See ApiConnector."""
        # By its headers, long responses are compressed whatever we accept (8.2): so we accept it.
        return {"Accept-Encoding": "gzip"}

    def make_client(self, session: runtime.Session) -> TrytonClient:
        """See ApiConnector. Logs in."""
        settings = self.config.settings
        client = TrytonClient(self.config.name, session, settings["database"])
        client.log_in(settings["user"], settings["password"])
        return client

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
    open_points=(
        (
            "Its API can't make an address inactive from the start, so none is ever added. An "
            "address corrected before it was confirmed looks like one that was turned off."
        ),
    ),
)
