"""`/w/<token>`: the status of opt-outs, and the receipt."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from datetime import timedelta
from html import unescape
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from preference_center.core.addresses import Channel, parse_address
from preference_center.core.events import ALL_MARKETING
from preference_center.integrations.base.contract import (
    DeliveryError,
    PushOutcome,
    PushResult,
    TooManyRequests,
)
from preference_center.ledger import record
from tests.clock import START, Clock
from tests.destinations.connected import connect, push
from tests.destinations.tool import Hook, Tool
from tests.docs.reading import ROOT
from tests.in_force import put_in_force
from tests.ledger.changes import change
from tests.ledger.tables import Ledger, restrict
from tests.web.pages.fixtures import CATALOGUE, MakeToken
from tests.web.pages.visits import proof

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient

REFERENCE = re.compile(r"[0-9A-HJKMNP-TV-Z]{4}(?:-[0-9A-HJKMNP-TV-Z]{4}){3}")


def text_of(client: FlaskClient, token: str, **query: str) -> str:
    """The words of the page, white space as one, the deadline's day as in British English."""
    answer = client.get(f"/w/{token}", query_string=query)
    assert answer.status_code == 200
    main = answer.text.partition("<main>")[2].partition("</main>")[0]
    text = " ".join(unescape(re.sub(r"<[^>]+>", " ", main)).split())
    text = re.sub(r" (?=[.,])", "", text)
    return text.replace("Friday, November 27", "Friday 27 November")


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


def answering(result: PushResult) -> Hook:
    return lambda batch: {item.ref: PushOutcome(result) for item in batch}


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
    assert "every system that checks with us refuses to send it" in text
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


def titled(*names: str) -> str:
    """The catalogue, with titles for these destinations."""
    tables = [
        f'[destinations.{name}]\ntitle = {{ en = "Our {name}", it = "Il nostro {name}" }}\n'
        'company = "Tools Inc."\ncountry = "US"\n'
        for name in names
    ]
    return "\n".join([CATALOGUE, *tables])


def test_with_proof_each_system_is_a_step_by_its_title(
    app: Flask, client: FlaskClient, token: str, proven: str, clock: Clock
) -> None:
    put_in_force(app, titled("crm", "newsletter", "shop_mails"))
    absent = Tool(before=answering(PushResult.ABSENT))
    ids = [connect(app, name, {"digest"}) for name in ("crm", "newsletter", "shop_mails")]
    connect(app, "elsewhere", {"offers"})
    opt_out(client, token)
    push(app, ids[0], Tool())
    push(app, ids[1], absent)
    text = text_of(client, proven)
    assert "2 of 3 done, the last by Friday 27 November" in text
    assert "Our crm Done on" in text
    assert "Our newsletter Nothing to do: it does not have your address." in text
    assert "Our shop_mails In progress, due by Friday 27 November." in text
    assert "lsewhere" not in text  # it sends nothing of what was turned off
    push(app, ids[2], Tool())
    assert "Done in all 3 systems that send it." in text_of(client, proven)


def test_a_late_system_says_so_in_words(
    app: Flask, client: FlaskClient, token: str, clock: Clock
) -> None:  # I3
    for name in ("crm", "shop"):
        connect(app, name, {"digest"})
    opt_out(client, token)
    clock.advance(timedelta(hours=73))
    text = text_of(client, proof(app, clock()))
    assert "0 of 2 done, 2 are late" in text
    assert "This is late: it was due by" in text
    assert "We keep trying until it is done." in text


@pytest.mark.parametrize(
    "error, shown, blocker",
    [
        (DeliveryError("500"), "This system is not answering.", "unreachable"),
        (
            DeliveryError("401", permanent=True),
            "This system does not give us access at the moment. Our staff can see this",
            "no_access",
        ),
        (TooManyRequests("429"), "In progress, due by Friday 27 November.", None),
    ],
    ids=["500", "401", "429"],
)
def test_why_a_system_waits_is_said_as_it_is(
    app: Flask,
    client: FlaskClient,
    token: str,
    proven: str,
    error: DeliveryError,
    shown: str,
    blocker: str | None,
) -> None:
    put_in_force(app, titled("crm"))
    number = connect(app, "crm", {"digest"})
    opt_out(client, token)

    def fail(_: object) -> None:
        raise error

    push(app, number, Tool(before=fail))
    assert f"Our crm {shown}" in text_of(client, proven)
    (system,) = receipt_of(client, proven)["systems"]
    assert system["blocker"] == blocker


def test_a_forwarded_link_shows_received_in_force_and_due_and_no_system(
    app: Flask, client: FlaskClient, token: str, proven: str, clock: Clock
) -> None:
    put_in_force(app, titled("crm"))
    number = connect(app, "crm", {"digest"})
    connect(app, "old-crm", {"digest"})
    opt_out(client, token)
    push(app, number, Tool())
    page, text = client.get(f"/w/{token}").text, text_of(client, token)
    assert "Received" in text
    assert "In force Since" in text
    assert "Due By Friday 27 November, in every system that sends it." in text
    for hidden in ("crm", "A system", "of 2 done", "Done on"):
        assert hidden not in page
    receipt = receipt_of(client, token)
    assert receipt["systems"] is None
    assert receipt["completion"]["state"] == "pending"
    assert "crm" not in json.dumps(receipt)
    assert "Our crm" in text_of(client, proven)
    clock.advance(timedelta(hours=73))
    assert "Late This is late: it was due by" in text_of(client, token)
    assert receipt_of(client, token)["completion"]["state"] == "late"


def test_a_visit_that_has_ended_shows_no_system(
    app: Flask, client: FlaskClient, token: str, proven: str, clock: Clock
) -> None:
    connect(app, "crm", {"digest"})
    client.post(f"/u/{token}", data={"confirm": "all"})
    assert "A system that sends our messages" in text_of(client, proven)
    clock.advance(timedelta(minutes=31))
    assert "A system that sends our messages" not in text_of(client, proven)


def test_systems_without_a_title_are_numbered_and_never_named(
    app: Flask, client: FlaskClient, token: str, proven: str
) -> None:
    put_in_force(app, titled("crm"))
    for name in ("zeta", "crm", "alpha"):
        connect(app, name, {"digest"})
    opt_out(client, token)
    page, text = client.get(f"/w/{proven}").text, text_of(client, proven)
    assert "A system that sends our messages (1)" in text
    assert "A system that sends our messages (2)" in text
    assert "zeta" not in page
    assert "alpha" not in page


def test_what_a_system_can_not_do_is_shown_with_the_deadline(
    app: Flask, client: FlaskClient, token: str, proven: str
) -> None:
    put_in_force(app, titled("crm", "old-crm"))
    refusing = connect(app, "crm", {"digest"})
    connect(app, "old-crm", {"digest"}, status="paused")
    opt_out(client, token)
    push(app, refusing, Tool(before=answering(PushResult.REFUSED)))
    text = text_of(client, proven)
    due = "Due by Friday 27 November."
    assert f"This system did not accept the change. We try again every day. {due}" in text
    assert "Our old-crm We have paused our connection to this system." in text
    assert f"The change is made as soon as it is back. {due}" in text


def test_no_earlier_delivery_and_no_acknowledgement_is_shown(
    app: Flask, client: FlaskClient, token: str, proven: str
) -> None:
    number = connect(app, "crm", {"digest"})
    opt_out(client, token)
    opt_out(client, token, "all")
    done = PushOutcome(PushResult.REFLECTED, ack="vendor-id-7")
    push(app, number, Tool(before=lambda batch: {item.ref: done for item in batch}))
    for path in (f"/w/{proven}", f"/w/{proven}/receipt.json", f"/w/{token}"):
        page = client.get(path).text
        assert "superseded" not in page
        assert "replaced" not in page
        assert "vendor-id-7" not in page


@pytest.mark.parametrize(
    "language, expected",
    [
        ("it", "0 di 2 fatti, l’ultimo entro venerdì 27 novembre"),
        ("de", "0 von 2 erledigt, das letzte bis Freitag, 27. November"),
        ("fr", "0 sur 2 faits, le dernier au plus tard le vendredi 27 novembre"),
        ("es", "0 de 2 hechos, el último como muy tarde el viernes, 27 de noviembre"),
    ],
)
def test_days_and_plurals_are_those_of_the_language(
    app: Flask, client: FlaskClient, token: str, proven: str, language: str, expected: str
) -> None:
    for name in ("crm", "shop"):
        connect(app, name, {"digest"})
    opt_out(client, token)
    assert expected in text_of(client, proven, lang=language)


def test_a_lift_is_named_as_the_exception(
    app: Flask, client: FlaskClient, token: str, clock: Clock
) -> None:
    from preference_center.core.events import Change, EventKind
    from preference_center.infra.context import services
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


@pytest.mark.parametrize("kind", ["cli", "console"])
def test_neither_page_nor_receipt_names_who_of_the_staff_entered_it(
    app: Flask, client: FlaskClient, token: str, kind: str
) -> None:
    jane = parse_address("jane.doe@example.com", Channel.EMAIL)
    entered = change(1, scope=ALL_MARKETING, address=jane, source=kind, evidence={"via": "phone"})
    with app.app_context():
        record([replace(entered, actor=f"{kind}:hedy")])
    assert receipt_of(client, token)["opt_outs"]
    for path in (f"/w/{token}", f"/w/{token}/receipt.json", f"/p/{token}"):
        assert "hedy" not in client.get(path).text


def test_an_opt_out_by_mail_of_an_unknown_address_is_shown(
    app: Flask, client: FlaskClient, token: str
) -> None:
    from preference_center.core.links.tokens import DIGEST_PREFIX_BYTES
    from preference_center.infra.context import services
    from preference_center.infra.db.transactions import run_in_transaction
    from preference_center.ledger.store import suppressions
    from preference_center.ledger.store.suppressions import PendingMailOptOut

    with app.app_context():
        prefix = services().keys.exact_digest(services().links.read_token(token, START).address)[
            :DIGEST_PREFIX_BYTES
        ]
        row = PendingMailOptOut(
            services().new_id(), prefix, b"123456", "digest", "l1", START.date(), START, START
        )
        run_in_transaction(lambda connection: suppressions.insert_pending(connection, [row]))
    assert "By an email to our unsubscribe address" in text_of(client, token)
    assert receipt_of(client, token)["completion"] is None


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
    assert "doesn’t work" in answer.text


def test_the_receipt_holds_the_documented_fields(
    app: Flask, client: FlaskClient, token: str, proven: str, ledger: Ledger
) -> None:
    number = connect(app, "email-tool", {"digest"})
    opt_out(client, token)
    push(app, number, Tool())
    answer = client.get(f"/w/{proven}/receipt.json")
    receipt: dict[str, Any] = json.loads(answer.text)
    assert answer.headers["Content-Disposition"].startswith("attachment; filename=")
    assert answer.headers["Cache-Control"] == "no-store"
    [opt_out_json] = receipt["opt_outs"]
    assert REFERENCE.fullmatch(opt_out_json.pop("reference"))
    at = "2026-11-24T09:00:00Z"
    assert opt_out_json == {
        "kind": "opted_out",
        "scope": "digest",
        "title": "Weekly digest",
        "exempt_topics": [],
        "until": None,
        "received_via": "unsubscribe_page",
        "received_at": at,
        "recorded_at": at,
        "policy": None,
    }
    assert receipt["systems"] == [
        {
            "title": "A system that sends our messages",
            "state": "confirmed",
            "blocker": None,
            "at": at,
            "due_at": None,
            "late": False,
        }
    ]
    assert receipt["completion"] == {"state": "done", "due_at": None}
    assert receipt["brands"] == [{"name": "Acme", "legal": "Acme Ltd, 1 High Street"}]
    assert receipt["address"] == "j***@e***.com"
    assert "jane" not in answer.text
    [event] = ledger.events()
    assert receipt["text_version"] == event["evidence"]["text_version"]


def test_the_receipts_schema_is_published_and_followed(
    app: Flask, client: FlaskClient, token: str, proven: str
) -> None:
    from preference_center.recipients.pages.status import Receipt

    schema = json.loads((ROOT / "docs/schemas/receipt-2.json").read_text(encoding="utf-8"))
    assert schema == Receipt.model_json_schema() | {"$schema": schema["$schema"]}
    connect(app, "crm", {"digest"})
    validator = jsonschema.Draft202012Validator(
        schema, format_checker=jsonschema.FormatChecker(["date-time"])
    )
    for each in (token, proven):
        validator.validate(receipt_of(client, each))
        opt_out(client, token)
        validator.validate(receipt_of(client, each))


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
    assert "None of this is turned off." in text_of(client, old)
    assert receipt_of(client, old)["opt_outs"] == []
    opt_out(client, old)
    text = text_of(client, old)
    assert "Weekly digest" in text
    assert "Offers" not in text


def test_every_way_to_say_no_has_its_words() -> None:
    from preference_center.contacts import choices
    from preference_center.cookies.rules import SOURCE
    from preference_center.inbound.opt_outs import MAILTO
    from preference_center.ledger.rules import ReceivedVia

    template = (ROOT / "templates/recipients/opt_out_status.html").read_text(encoding="utf-8")
    ours = {
        choices.ONE_CLICK,
        choices.UNSUBSCRIBE_PAGE,
        choices.PREFERENCE_PAGE,
        SOURCE,
    }
    for way in {*ReceivedVia, *ours, MAILTO}:
        assert f'"{way}": _(' in template
