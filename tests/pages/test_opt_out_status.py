"""`/w/<token>`: the status of opt-outs, and the receipt."""

from __future__ import annotations

import hashlib
import json
import re
from datetime import timedelta
from html import unescape
from typing import TYPE_CHECKING, Any

import pytest

from preference_center.domain.sync.contract import PushOutcome, PushResult
from tests.clock import START, Clock
from tests.docs.reading import ROOT
from tests.pages.conftest import MakeToken
from tests.pages.ledger import Ledger, restrict
from tests.pages.tools import connect, push
from tests.sync.tool import Tool

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient

REFERENCE = re.compile(r"[0-9A-HJKMNP-TV-Z]{4}(?:-[0-9A-HJKMNP-TV-Z]{4}){3}")


def text_of(client: FlaskClient, token: str, **query: str) -> str:
    """The words of the page, white space as one."""
    answer = client.get(f"/w/{token}", query_string=query)
    assert answer.status_code == 200
    main = answer.text.partition("<main>")[2].partition("</main>")[0]
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", main)).split())


def receipt_of(client: FlaskClient, token: str) -> dict[str, Any]:
    answer = client.get(f"/w/{token}/receipt.json")
    assert answer.status_code == 200
    found: dict[str, Any] = json.loads(answer.text)
    return found


def opt_out(client: FlaskClient, token: str, scope: str = "this") -> None:
    assert (
        client.post(f"/u/{token}", data={"confirm": scope}, follow_redirects=True).status_code
        == 200
    )


def test_without_an_opt_out_it_shows_that_nothing_is_off(client: FlaskClient, token: str) -> None:
    assert "Nothing is turned off" in text_of(client, token)
    assert receipt_of(client, token)["opt_outs"] == []


def test_it_shows_when_we_received_it_and_from_when_it_counts(
    client: FlaskClient, token: str
) -> None:
    opt_out(client, token)
    text = text_of(client, token)
    assert "j***@e***.com" in text
    assert "jane" not in text  # RULES C6
    assert "Weekly digest" in text
    assert "On our unsubscribe page" in text
    assert "no sender who asks us is allowed to use your address" in text
    assert REFERENCE.search(text)


def test_each_no_stands_with_its_own_reference(
    client: FlaskClient, make_token: MakeToken, clock: Clock
) -> None:
    opt_out(client, make_token())
    clock.advance(timedelta(hours=1))
    opt_out(client, make_token(), "all")
    text = text_of(client, make_token())
    assert len(set(REFERENCE.findall(text))) == 2
    assert text.index("All marketing") < text.index("Weekly digest")


def test_only_the_exact_address_is_shown(
    client: FlaskClient, token: str, make_token: MakeToken
) -> None:  # I9
    opt_out(client, token)
    assert "Nothing is turned off" in text_of(client, make_token("jane.doe+x@example.com"))


def test_tools_are_confirmed_pending_late_and_absent(
    app: Flask, client: FlaskClient, token: str, clock: Clock
) -> None:
    confirmed, absent = Tool(), Tool()
    absent.before = lambda batch: {item.ref: PushOutcome(PushResult.ABSENT) for item in batch}
    ids = [connect(app, name, {"digest"}) for name in ("crm", "email-tool", "shop_mails")]
    connect(app, "elsewhere", {"offers"})
    opt_out(client, token)
    push(app, ids[0], confirmed)
    push(app, ids[1], absent)
    text = text_of(client, token)
    assert "CRM Done. It confirmed on" in text
    assert "Email tool Not there. This tool does not know your address" in text
    assert "Shop mails On its way. It is due by" in text
    assert "Elsewhere This tool sends nothing of what you turned off." in text
    clock.advance(timedelta(hours=73))
    assert "Shop mails This is late. It was due by" in text_of(client, token)  # I3


def test_what_a_tool_can_not_do_is_shown_with_the_deadline(
    app: Flask, client: FlaskClient, token: str
) -> None:
    tool = Tool(before=lambda batch: {item.ref: PushOutcome(PushResult.REFUSED) for item in batch})
    refusing = connect(app, "crm", {"digest"})
    connect(app, "old-crm", {"digest"}, status="paused")
    opt_out(client, token)
    push(app, refusing, tool)
    text = text_of(client, token)
    assert "CRM Not yet: this tool refuses your address. We keep trying. It is due by" in text
    assert "Old CRM Not yet: our connection to this tool is paused. It is due by" in text


def test_what_was_overtaken_is_folded_away(app: Flask, client: FlaskClient, token: str) -> None:
    number = connect(app, "crm", {"digest"})
    opt_out(client, token)
    opt_out(client, token, "all")
    push(app, number, Tool())
    page = client.get(f"/w/{token}").text
    folded = page.partition("<details")[2].partition("</details>")[0]
    assert "replaced by something newer" in page
    assert not folded or "confirmed" not in folded


def test_a_lift_is_named_as_the_exception(
    app: Flask, client: FlaskClient, token: str, clock: Clock
) -> None:
    from preference_center.context import services
    from preference_center.domain.events import Change, EventKind
    from preference_center.ledger import record

    opt_out(client, token, "all")
    clock.advance(timedelta(minutes=1))
    with app.app_context():
        link, now = services().links.read_token(token, clock()), clock()
        change = Change(
            services().new_id(), EventKind.OPTED_IN, link.address, "digest", now, now, "t", "t"
        )
        record([change])
    assert "turned these on again since: Weekly digest" in text_of(client, token)


def test_a_restriction_is_shown_for_what_it_is(app: Flask, client: FlaskClient, token: str) -> None:
    with app.app_context():
        restrict("jane.doe@example.com", START)
    assert "Marketing, since you have limited what we do with your data" in text_of(client, token)
    [shown] = receipt_of(client, token)["opt_outs"]
    assert (shown["kind"], shown["scope"], shown["title"]) == ("restricted", "restriction", None)


def test_an_opt_out_by_mail_of_an_unknown_address_is_shown(
    app: Flask, client: FlaskClient, token: str
) -> None:
    from preference_center.context import services
    from preference_center.links import DIGEST_PREFIX_BYTES
    from preference_center.storage.db.database import run_in_transaction
    from preference_center.storage.mail import pending_mail_opt_outs
    from preference_center.storage.mail.pending_mail_opt_outs import PendingMailOptOut

    with app.app_context():
        prefix = services().keys.exact_digest(services().links.read_token(token, START).address)[
            :DIGEST_PREFIX_BYTES
        ]
        row = PendingMailOptOut(
            services().new_id(), prefix, b"123456", "digest", "l1", START.date(), START, START
        )
        run_in_transaction(
            lambda connection: pending_mail_opt_outs.insert_pending(connection, [row])
        )
    assert "By a mail to our unsubscribe address" in text_of(client, token)
    assert receipt_of(client, token)["destinations"] == []


def test_reading_writes_nothing(client: FlaskClient, token: str, ledger: Ledger) -> None:  # I7
    opt_out(client, token)
    before = ledger.rows()
    for path in (f"/w/{token}", f"/w/{token}/receipt.json"):
        for method in ("GET", "HEAD", "OPTIONS"):
            assert client.open(path, method=method).status_code == 200
        assert client.post(path).status_code == 405
    assert ledger.rows() == before


@pytest.mark.parametrize("path", ["/w", "/w/", "/w/broken", "/w/broken/receipt.json", "/w//"])
def test_a_broken_link_gets_the_page_for_one(client: FlaskClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert "can’t be read" in answer.text


def test_the_receipt_holds_the_documented_fields(
    app: Flask, client: FlaskClient, token: str, ledger: Ledger
) -> None:
    number = connect(app, "email-tool", {"digest"})
    opt_out(client, token)
    push(app, number, Tool())
    answer = client.get(f"/w/{token}/receipt.json")
    receipt: dict[str, Any] = json.loads(answer.text)
    assert answer.headers["Content-Disposition"].startswith("attachment; filename=")
    assert answer.headers["Cache-Control"] == "no-store"
    [opt_out_json] = receipt["opt_outs"]
    assert REFERENCE.fullmatch(opt_out_json.pop("reference"))
    at = START.isoformat()
    assert opt_out_json == {
        "kind": "opted_out",
        "scope": "digest",
        "title": "Weekly digest",
        "exempt_topics": [],
        "until": None,
        "received_via": "unsubscribe_page",
        "received_at": at,
        "recorded_at": at,
    }
    assert receipt["destinations"] == [
        {
            "name": "email-tool",
            "state": "confirmed",
            "blocker": None,
            "at": at,
            "due_at": None,
            "late": False,
        }
    ]
    assert receipt["brands"] == [{"name": "Acme", "legal": "Acme Ltd, 1 High Street"}]
    assert receipt["address"] == "j***@e***.com"
    assert "jane" not in answer.text
    [event] = ledger.events()
    assert receipt["text_version"] == event["evidence"]["text_version"]


def test_the_receipts_hash_is_of_its_content(client: FlaskClient, token: str) -> None:
    opt_out(client, token)
    receipt = receipt_of(client, token)
    claimed = receipt.pop("sha256")
    plain = json.dumps(receipt, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert hashlib.sha256(plain.encode()).hexdigest() == claimed


def test_it_is_linked_from_where_a_person_opts_out(client: FlaskClient, token: str) -> None:
    done = client.post(f"/u/{token}?lang=it", data={"confirm": "this"}, follow_redirects=True).text
    assert f'href="/w/{token}?lang=it"' in done


def test_an_old_link_shows_only_what_it_can_turn_off_itself(
    app: Flask, client: FlaskClient, make_token: MakeToken, clock: Clock
) -> None:
    opt_out(client, make_token(scope="offers"))
    old = make_token(age=timedelta(days=61))
    assert "Nothing of it is turned off." in text_of(client, old)
    assert receipt_of(client, old)["opt_outs"] == []
    opt_out(client, old)
    text = text_of(client, old)
    assert "Weekly digest" in text
    assert "Offers" not in text


def test_every_way_to_say_no_has_its_words() -> None:
    from preference_center.domain.sender_requests import ReceivedVia
    from preference_center.inbound.mail_opt_outs import MAILTO
    from preference_center.pages import ledger_changes

    template = (ROOT / "templates/pages/opt_out_status.html").read_text(encoding="utf-8")
    ours = {
        ledger_changes.ONE_CLICK,
        ledger_changes.UNSUBSCRIBE_PAGE,
        ledger_changes.PREFERENCE_PAGE,
        ledger_changes.GLOBAL_PRIVACY_CONTROL,
    }
    for way in {*ReceivedVia, *ours, MAILTO}:
        assert f'"{way}": _(' in template
