"""A stand-in tool that deletes people, and what the tests of that say and look at."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, ClassVar
from uuid import UUID, uuid4

from preference_center.core.events import ALL_MARKETING, EventKind
from preference_center.destinations.erase import erase_due
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.integrations.base.contract import (
    Capabilities,
    EraseItem,
    EraseMode,
    PushOutcome,
    PushResult,
)
from tests.destinations.steps import ANNA, person, say, work
from tests.destinations.two_way_tool import TwoWayTool

Hook = Callable[[Sequence[EraseItem]], Mapping[int, PushOutcome] | None]
NOTE = "Delete the contact in the tool."


def erasing(mode: EraseMode, **changes: Any) -> Capabilities:
    """The abilities of a tool with this mode."""
    can = TwoWayTool.capabilities
    names = {name: getattr(can, name) for name in can.__slots__}
    return Capabilities(**{**names, "erase": mode, "erase_note": NOTE, **changes})


@dataclass
class ErasingTool(TwoWayTool):
    """Deletes its `contacts`; each call is in `calls`, with the addresses it was about."""

    capabilities: ClassVar[Capabilities] = erasing(EraseMode.FORGETS_OPT_OUT, confirms_erasure=True)
    calls: list[tuple[str, list[str]]] = field(default_factory=list)
    jobs: list[str] = field(default_factory=list)
    """The `job` of each item that it was given."""
    before_erase: Hook | None = None
    """As `before`, of `erase`."""
    before_read_back: Callable[[], None] | None = None

    def erase(self, batch: Sequence[EraseItem]) -> Mapping[int, PushOutcome]:
        self.calls.append(("erase", [item.address for item in batch]))
        self.jobs += [item.job for item in batch]
        answer = self.before_erase(batch) if self.before_erase else None
        return answer if answer is not None else {i.ref: self.delete(i.address) for i in batch}

    def delete(self, address: str) -> PushOutcome:
        """Forget one person, as if asked."""
        self.off.pop(address, None)
        known = self.contacts.pop(address, None) is not None
        return PushOutcome(PushResult.REFLECTED if known else PushResult.ABSENT, "204")

    def find_held(self, batch: Sequence[EraseItem]) -> Mapping[int, bool]:
        self.calls.append(("read back", [item.address for item in batch]))
        if self.before_read_back:
            self.before_read_back()
        return {item.ref: item.address in self.contacts for item in batch}


def begin_erasure(destination: int, *addresses: str) -> None:
    """Hide these addresses, and make the tasks of one destination."""
    context = services()
    now = context.now()

    def work(connection: Connection) -> None:
        for address in addresses:
            erasure = uuid4()
            connection.execute(
                """INSERT INTO erasure (id, address_id, extent, ciphertext, begun_at, give_up_at)
                SELECT %s, id, 'marketing', ciphertext, %s, %s FROM address WHERE digest = %s""",
                (
                    erasure,
                    now,
                    now + timedelta(days=30),
                    context.keys.exact_digest(person(address)),
                ),
            )
            connection.execute(
                """INSERT INTO erasure_task (erasure_id, destination_id, destination, next_at)
                VALUES (%s, %s, 'mailer', %s)""",
                (erasure, destination, now),
            )

    run_in_transaction(work)


def erase(destination: int, tool: ErasingTool) -> int:
    """Work on the destination's erasures for a tick."""
    until = services().now() + timedelta(seconds=5)
    return erase_due(destination, tool.connect, until=until, stop=lambda: False)


def task(column: str, address: str) -> Any:
    """A column of the task of this address."""
    digest = services().keys.exact_digest(person(address))
    rows = run_in_transaction(
        lambda c: c.execute(
            f"""SELECT t.{column} FROM erasure_task t JOIN erasure e ON e.id = t.erasure_id
            JOIN address a ON a.id = e.address_id WHERE a.digest = %s""",
            (digest,),
        ).fetchall()
    )
    return rows[0][0]


def set_task(erasure_lease: UUID | None) -> None:
    """Give every task this lease, as another worker that claimed it would."""
    run_in_transaction(lambda c: c.execute("UPDATE erasure_task SET lease = %s", (erasure_lease,)))


def suppress_and_begin(destination: int, tool: ErasingTool, *addresses: str) -> None:
    """Have these suppressed in the tool, and their erasure begun."""
    for address in addresses or (ANNA,):
        say(EventKind.OPTED_OUT, address, ALL_MARKETING)
    work(destination, tool)
    begin_erasure(destination, *addresses or (ANNA,))
