"""A person's file on real tables: what is in it, and what is not."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import jsonschema
import pytest
from flask import Flask

from preference_center.catalogue.store import clear_catalogue_cache
from preference_center.core.addresses import Channel, parse_address
from preference_center.core.events import ALL_MARKETING, EventKind, FrequencyChoice
from preference_center.core.links.tokens import DIGEST_PREFIX_BYTES
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.ledger import record
from preference_center.ledger.store.suppressions import PendingMailOptOut, insert_pending
from preference_center.rights.access_file.records import IN_FILE, NOT_IN_FILE, AccessFile
from preference_center.rights.erasure.personal_data import TABLES
from preference_center.rights.requests.handle import open_request
from preference_center.rights.requests.steps import load_request
from preference_center.rights.rules.new_request import NewRequest
from preference_center.rights.rules.requests import (
    IdentityLevel,
    RequestKind,
    RequestOutcome,
    RequestVia,
)
from preference_center.web.languages import LANGUAGES
from tests.clock import START, Clock
from tests.core.histories import NEWS
from tests.in_force import CATALOGUE, put_in_force
from tests.ledger.changes import change
from tests.rights.access_file.people import (
    ADA,
    DAY,
    GRACE,
    WORDING,
    ask,
    data_of,
    execute,
    file_of,
    store_everything,
)

OFFERS, HOUR = "acme.offers", timedelta(hours=1)
SCHEMA = Path(__file__).resolve().parents[3] / "docs/schemas/access-file-1.json"


def everything(**given: Any) -> dict[str, Any]:
    store_everything()
    return data_of(file_of(ask(ADA, **given)))


def test_the_schema_is_published() -> None:
    published = json.loads(SCHEMA.read_text(encoding="utf-8"))
    assert published == AccessFile.model_json_schema() | {"$schema": published["$schema"]}


def test_the_file_follows_the_published_schema() -> None:
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(
        schema, format_checker=jsonschema.FormatChecker(["date-time"])
    )
    assert list(validator.iter_errors(everything())) == []


def test_every_table_with_personal_data_is_in_the_file_or_has_a_reason_not_to_be() -> None:
    personal = {name for name, table in TABLES.items() if table.personal}
    assert IN_FILE.keys() | NOT_IN_FILE.keys() == personal
    assert not IN_FILE.keys() & NOT_IN_FILE.keys()
    assert {part for parts in IN_FILE.values() for part in parts} <= AccessFile.model_fields.keys()


def test_every_part_that_a_table_goes_to_is_filled() -> None:
    data = everything()
    assert [part for parts in IN_FILE.values() for part in parts if not data[part]] == []


def test_every_event_is_there_with_its_source_in_words() -> None:
    data = everything(language="en")
    shown = [(each["kind"], each["source_in_words"], each["retracted"]) for each in data["events"]]
    assert shown == [
        ("opted_in", "Sent by test, a system of ours", False),
        ("opted_out", "With the unsubscribe button of your email app", False),
        ("opted_out", "Reported by: A system that we no longer use", True),
        ("paused", "=cmd|calc", False),
        ("retracted", "Entered by our staff", False),
    ]


def test_a_consent_has_the_words_that_were_agreed_to() -> None:
    [consent] = everything()["consents"]
    assert consent["wording"] == WORDING
    assert consent["source"] == "shop"


WITH_FREQUENCIES = CATALOGUE.replace(
    'description = { it = "Sconti", en = "Discounts" }',
    """description = { it = "Sconti", en = "Discounts" }
frequencies.weekly = { it = "Ogni settimana", en = "Every week" }
frequencies.monthly = { it = "Ogni mese", en = "Every month" }""",
    1,
)


def choose_frequency(number: int, choice: FrequencyChoice, **given: Any) -> None:
    kind, at = EventKind.FREQUENCY_CHOSEN, START + (number - 9) * HOUR
    record([change(number, kind, OFFERS, frequency=choice, at=at, **given)])


def test_what_was_chosen_of_how_often_is_named_and_what_counts_now(app: Flask) -> None:
    put_in_force(app, WITH_FREQUENCIES)
    clear_catalogue_cache()
    choose_frequency(1, FrequencyChoice("yearly", 2), address=ADA)
    choose_frequency(2, FrequencyChoice("monthly", 1), address=ADA)
    archive = file_of(ask(ADA, language="en"))
    data = data_of(archive)
    named = [(each["frequency"], each["frequency_in_words"]) for each in data["events"]]
    assert named == [("yearly", "yearly"), ("monthly", "Every month")], "by its key once removed"
    in_force = {each["scope"]: each["frequency_in_words"] for each in data["choices"]}
    assert in_force[OFFERS] == "Every month"
    assert in_force[NEWS] is in_force["all_marketing"] is None, "no choice is offered"
    page = archive.read("index.html").decode()
    assert "How often you want it: Every month" in page
    assert "<td>Every month</td>" in page
    rows = list(csv.DictReader(io.StringIO(archive.read("choices.csv").decode())))
    assert {row["scope"]: row["frequency"] for row in rows}[OFFERS] == "monthly"


def test_who_chose_nothing_gets_the_default_whatever_another_form_chose(app: Flask) -> None:  # I9
    put_in_force(app, WITH_FREQUENCIES)
    clear_catalogue_cache()
    record([change(3, scope=NEWS, address=ADA)])
    form = parse_address("ada+shop@people.example", Channel.EMAIL)
    choose_frequency(1, FrequencyChoice("monthly", 1), address=form)
    data = data_of(file_of(ask(ADA, language="en")))
    assert {each["scope"]: each["frequency"] for each in data["choices"]}[OFFERS] == "weekly"
    assert [each["frequency"] for each in data["events"]] == [None]


def test_a_tools_answer_is_there_though_receipts_leave_it_out() -> None:
    [delivery] = everything()["deliveries"]
    assert delivery["tool"] == "Eines unserer Versandsysteme"
    assert delivery["acknowledgement"] == "id-of-ada-at-the-tool"


def test_the_file_names_no_staff_no_key_and_no_id_of_ours() -> None:
    store_everything()
    request = ask(ADA)
    archive = file_of(request)
    text = "".join(archive.read(name).decode() for name in archive.namelist())
    assert "maria" not in text
    assert "case 12" not in text
    for number in (1, 2, 3, 4, 9, 70, 71, 72, 73):
        assert str(UUID(int=number)) not in text
    assert str(request.id) not in text


def test_who_of_the_staff_looked_is_when_and_why_and_no_name() -> None:
    store_everything()
    archive = file_of(ask(ADA, language="en"))
    assert data_of(archive)["looks_by_staff"] == [
        {
            "address": 1,
            "at": "2026-11-24T09:00:00Z",
            "reason": "complaint",
            "reason_in_words": "A complaint",
            "reference": "SUP-12",
            "by": "console",
        }
    ]
    assert archive.read("looks_by_staff.csv").decode().splitlines() == [
        "address,at,reason,reason_in_words,reference,by",
        "1,2026-11-24T09:00:00Z,complaint,A complaint,SUP-12,console",
    ]
    assert "<td>A complaint</td><td>SUP-12</td>" in archive.read("index.html").decode()


def test_where_nobody_looked_the_page_says_so() -> None:
    record([change(1, address=GRACE)])
    archive = file_of(ask(GRACE, language="en"))
    assert data_of(archive)["looks_by_staff"] == []
    assert "Nobody of our staff has searched" in archive.read("index.html").decode()


@pytest.mark.parametrize("source", ["cli", "console"])
def test_what_the_staff_entered_is_theirs_and_names_nobody(source: str) -> None:
    entered = [
        change(1, EventKind.OPTED_IN, address=GRACE, source=source, at=START - DAY),
        change(2, scope=ALL_MARKETING, address=GRACE, source=source),
    ]
    record([replace(each, actor=f"{source}:maria.rossi") for each in entered])
    archive = file_of(ask(GRACE, language="en"))
    assert {each["source_in_words"] for each in data_of(archive)["events"]} == {
        "Entered by our staff"
    }
    assert "consent-records-1.json" in archive.namelist()
    assert not [name for name in archive.namelist() if b"maria" in archive.read(name)]


def test_nothing_about_anybody_else_is_there() -> None:  # I9
    store_everything()
    form = parse_address("ada+shop@people.example", Channel.EMAIL)
    record([change(50, address=form), change(51, EventKind.COMPLAINED, address=GRACE)])
    data = data_of(file_of(ask(ADA)))
    assert {each["address"] for each in data["addresses"]} == {ADA.exact}
    assert len(data["events"]) == 5
    assert "shop@" not in json.dumps(data)
    [move] = data["moves"]
    assert move["from_address"] is None


def test_ids_of_the_company_need_the_identity_of_the_contact() -> None:
    [contact] = everything()["contacts"]
    assert contact["external_ids"] is None
    [contact] = data_of(file_of(ask(ADA, level=IdentityLevel.CONTACT)))["contacts"]
    assert contact["external_ids"] == ["customer-77"]


def test_what_somebody_else_may_have_written_is_not_shown(clock: Clock) -> None:
    for level in (IdentityLevel.NONE, IdentityLevel.CONTROLS_ADDRESS):
        open_request(
            NewRequest(
                RequestKind.COMPLAINT, RequestVia.PAGE, "en", (ADA,), level=level, text=f"I {level}"
            )
        )
        clock.now += 2 * DAY
    shown = data_of(file_of(ask(ADA)))["requests"]
    assert [each["text"] for each in shown] == [None, "I 2", None]


def test_an_address_of_which_nothing_is_stored_is_an_answer() -> None:
    request = ask(GRACE, language="en")
    data = data_of(file_of(request))
    [address] = data["addresses"]
    assert address["what"] == "We hold nothing about this address."
    assert address["known_since"] is None
    assert load_request(request.id).outcome is RequestOutcome.NOTHING_HELD


def test_an_opt_out_by_mail_that_waits_for_its_address_is_an_answer(clock: Clock) -> None:
    prefix = services().keys.exact_digest(GRACE)[:DIGEST_PREFIX_BYTES]
    waiting = PendingMailOptOut(
        UUID(int=5), prefix, b"-", "all_marketing", "k", None, clock.now, clock.now
    )
    run_in_transaction(lambda c: insert_pending(c, [waiting]))
    data = data_of(file_of(ask(GRACE, language="en")))
    assert data["addresses"][0]["what"].startswith("We hold nothing readable of this address, but")
    assert [each["scope"] for each in data["suppressions"]] == ["all_marketing"]


def test_a_mailbox_that_another_form_has_locked_is_not_a_known_address() -> None:  # I9
    record([change(1, address=parse_address("grace+x@people.example", Channel.EMAIL))])
    [address] = data_of(file_of(ask(GRACE)))["addresses"]
    assert address["known_since"] is None


def test_a_mark_without_a_readable_address_is_an_answer() -> None:  # I6
    record([change(1, address=ADA, scope="all_marketing", at=START - 9 * DAY)])
    execute("UPDATE address SET ciphertext = NULL, erased_at = %(at)s", at=START - DAY)
    archive = file_of(ask(ADA, language="en"))
    [address] = data_of(archive)["addresses"]
    assert address["what"].startswith("We hold nothing readable of this address, but a mark that")
    assert address["off_since"] == (START - 9 * DAY).isoformat().replace("+00:00", "Z")
    assert ADA.exact not in archive.read("index.html").decode()


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_is_in_the_persons_language(language: str) -> None:
    store_everything()
    page = file_of(ask(ADA, language=language)).read("index.html").decode()
    assert f'<html lang="{language}">' in page
    title = {
        "en": "Your data", "de": "Ihre Daten", "fr": "Vos données", "es": "Sus datos",
        "it": "I suoi dati",
    }[language]  # fmt: skip
    assert f"<h1>{title}</h1>" in page
    assert "<script" not in page
    assert "http://" not in page


def test_no_cell_is_run_as_a_formula_and_the_data_stays_exact() -> None:
    store_everything()
    archive = file_of(ask(ADA))
    rows = list(csv.DictReader(io.StringIO(archive.read("events.csv").decode())))
    assert "'=cmd|calc" in {row["source"] for row in rows}
    assert "=cmd|calc" in {each["source"] for each in data_of(archive)["events"]}


def test_a_sentence_of_somebody_else_is_no_markup() -> None:
    evidence = {"source": "shop", "wording": "<img src=x onerror=alert(1)>", "language": '"><b>'}
    record([change(1, EventKind.OPTED_IN, address=ADA, evidence=evidence)])
    page = file_of(ask(ADA)).read("index.html").decode()
    assert "<img" not in page
    assert '"><b>' not in page
