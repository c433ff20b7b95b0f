"""A life from signing up to being erased, and what has to be true of it at its end."""

from __future__ import annotations

import io
import re
from collections.abc import Collection
from datetime import timedelta
from zipfile import ZipFile

from tests.life.backup import Backup
from tests.life.company import Company
from tests.life.person import (
    EXTERNAL_ID,
    FIRST,
    FIRST_ADDRESS,
    LOCALE,
    MARKERS,
    SECOND,
    SECOND_ADDRESS,
)
from tests.life.traces import Places, find_traces
from tests.life.visitors import Visitor

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)

EXPIRING = {"webhook_inbox", "review_queue", "idempotent_response"}
"""What can't be searched by person, is sealed, and deleted by age (docs/rights.md)."""
KEPT_FOR_A_MONTH = {"erasure", "outgoing_mail", "rights_request"}
"""Where the address is sealed until tools have erased it, its last mail is sent, and what she
still asks for is answered."""


def whole_life(visitor: Visitor, company: Company, places: Places) -> None:
    """From signing up to 32 days after the erasure; then again from a backup of the day before."""
    backup = Backup(places.database_url)
    live(visitor, company)
    reference = ask_to_be_erased(visitor, company)
    assert_traces_can_be_found(places)
    backup.take()
    company.support_completes(reference)
    assert_hidden_at_once(company, places)
    assert_erased_in_tools(company)
    everything_arrives_again(visitor, company)
    assert_no_trace(company, places)
    restore(company, backup)
    assert_hidden_at_once(company, places)
    assert_erased_in_tools(company)
    assert_no_trace(company, places)


def live(visitor: Visitor, company: Company) -> None:
    """She signs up, says no and yes by every way, sees her data, limits its use, and moves."""
    company.sign_up()
    _choose(visitor, company)
    _say_no_elsewhere(visitor, company)
    company.support_looks()
    company.work()
    _see_data(visitor, company)
    _limit(visitor, company)
    _move(visitor, company)
    company.work()
    for tool in company.tools.values():
        tool.add(SECOND_ADDRESS.exact)
    company.export()


def ask_to_be_erased(visitor: Visitor, company: Company) -> str:
    """She asks for her account to be deleted; returns the reference."""
    _prove(visitor, company, "erase", SECOND)
    visitor.press(extent="account")
    visitor.press(confirm="yes")
    found = re.search(r"<code>(.*)</code>", visitor.text)
    assert found
    return found[1]


def assert_traces_can_be_found(places: Places) -> None:
    """The search is worth something: before the erasure it finds everything."""
    found = find_traces(MARKERS, places)
    assert {name for name, _ in found} == set(MARKERS), MARKERS.keys() - {n for n, _ in found}
    assert {"address", "contact_external_id", "contact", "files"} <= {place for _, place in found}
    never = {"logs", "redis", "journal", "spool"}
    _none({pair for pair in found if pair[1] in never})  # I12


def assert_hidden_at_once(company: Company, places: Places) -> None:
    """The moment it is answered, only tools' work and expiring rows can be opened (I6)."""
    company.export()
    allowed = EXPIRING | KEPT_FOR_A_MONTH
    _none({pair for pair in find_traces(MARKERS, places) if pair[1] not in allowed})
    _none(company.allowed())


def assert_erased_in_tools(company: Company) -> None:
    """Each tool has had the opt-out, and then nobody."""
    company.work()
    company.clock.advance(5 * MINUTE)
    company.work()
    for name, tool in company.tools.items():
        assert not {FIRST_ADDRESS.exact, SECOND_ADDRESS.exact} & tool.contacts.keys(), name
        steps = [call for call, _ in tool.calls]
        assert "erase" in steps, (name, tool.calls)
        assert steps[-1] == "read back", (name, tool.calls)


def everything_arrives_again(visitor: Visitor, company: Company) -> None:
    """Whatever old copies of her data the world has: each is answered, nothing is kept."""
    token = company.message_link()
    visitor.open(f"/u/{token}")
    assert "You are already unsubscribed" in visitor.text
    client = company.app.test_client()
    assert client.post(f"/u/{token}", data={"confirm": "this"}).status_code == 303
    company.import_list(FIRST, SECOND)
    company.webhook_arrives(SECOND)
    company.mail_arrives("Please stop, zqownwords", FIRST)
    body = {"external_id": EXTERNAL_ID, "locale": LOCALE, "addresses": [{"address": FIRST}]}
    assert company.sender.post("/v1/contacts", body).status_code == 200
    visitor.open("/form")
    visitor.press(address=FIRST)
    company.work()


def assert_no_trace(company: Company, places: Places) -> None:
    """After the longest retention of what expires nothing is left anywhere (I6)."""
    for _ in range(32):
        company.clock.advance(DAY)
        company.work()
    company.export()
    _none(find_traces(MARKERS, places))
    _none(company.allowed())
    assert "events verified" in company.cli("ledger", "verify")  # I8


def restore(company: Company, backup: Backup) -> None:
    """Her data is back from a backup, in tools as well, until the journal is replayed."""
    backup.restore()
    for tool in company.tools.values():
        tool.calls.clear()
        tool.add(FIRST_ADDRESS.exact, SECOND_ADDRESS.exact)
    company.clock.advance(HOUR)
    answer = company.sender.client.get("/v1/changes", headers=company.sender.headers)
    assert answer.status_code == 503
    company.cli("erasures", "replay")
    company.clock.advance(MINUTE)
    answer = company.sender.client.get("/v1/changes", headers=company.sender.headers)
    assert answer.status_code == 503  # I1: what else was recorded since is not back
    company.cli("ledger", "accept-restore", "--yes")
    company.clock.advance(MINUTE)


def _none(found: Collection[object]) -> None:
    assert not found, found


# --- chapters


def _choose(visitor: Visitor, company: Company) -> None:
    visitor.open("/form")
    visitor.press(address=FIRST)
    visitor.open(company.link_in_mail())
    visitor.press(open="yes")
    company.clock.advance(MINUTE)
    visitor.press(topics="acme.news")
    company.clock.advance(HOUR)
    visitor.open(f"/u/{company.message_link('acme.offers')}")
    visitor.press(confirm="this")


def _say_no_elsewhere(visitor: Visitor, company: Company) -> None:
    company.opt_out_by_phone()
    company.import_list(FIRST, "grace@example.com")
    company.webhook_arrives(FIRST)
    company.mail_arrives("I moved, zqownwords", FIRST)
    portal = company.sender.post("/v1/portal-links", {"address": FIRST}).get_json()["url"]
    visitor.open("/" + portal.split("/", 3)[3])
    with company.database_is_away():
        path = f"/u/{company.message_link('acme.news')}"
        answer = company.sender.client.post(path, data={"List-Unsubscribe": "One-Click"})
        assert answer.status_code == 202  # I1
    company.replay_spool()


def _prove(visitor: Visitor, company: Company, act: str, address: str) -> None:
    """Have a link mailed, and open the page of a right with it."""
    company.hours_pass()
    visitor.open(f"/rights/{act}")
    visitor.press(address=address)
    visitor.open(company.link_in_mail())
    visitor.press(open="yes")


def _see_data(visitor: Visitor, company: Company) -> None:
    _prove(visitor, company, "access", FIRST)
    visitor.press(confirm="yes")
    company.work()
    visitor.open(visitor.path)
    with ZipFile(io.BytesIO(visitor.download("/rights/download/"))) as archive:
        data = archive.read("data.json").decode()
    assert FIRST_ADDRESS.exact in data
    assert "zqwording" in data


def _limit(visitor: Visitor, company: Company) -> None:
    _prove(visitor, company, "restrict", FIRST)
    visitor.press(confirm="yes")
    company.work()
    _prove(visitor, company, "unrestrict", FIRST)
    visitor.press(confirm="yes")


def _move(visitor: Visitor, company: Company) -> None:
    _prove(visitor, company, "correct", FIRST)
    page = visitor.path
    visitor.open(f"{page}?what=words")
    visitor.press(text="My name is spelt zqownwords")
    visitor.open(f"{page}?what=address")
    visitor.press(address=SECOND)
    visitor.open(company.link_in_mail())
    visitor.press(confirm="yes")
