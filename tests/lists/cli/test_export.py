"""`flask export`: what leaves, for whom, and what can't."""

from __future__ import annotations

import csv
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from preference_center.core.addresses import Address, Channel, parse_address
from preference_center.core.events import (
    ALL_MARKETING,
    EVERYTHING,
    RESTRICTION,
    UNDELIVERABLE,
    EventKind,
    FrequencyChoice,
)
from preference_center.decisions.rules import find_denial
from preference_center.destinations.store import destinations
from preference_center.infra import audit
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.ledger import record
from preference_center.ledger.store.lookup import load_facts
from tests.clock import START
from tests.environment import empty
from tests.in_force import put_in_force
from tests.ledger.changes import change, id_of
from tests.ledger.oracle import hashed

if TYPE_CHECKING:
    from click.testing import Result
    from flask import Flask

NEWS, OFFERS = "acme.news", "acme.offers"


def person(name: str) -> Address:
    return parse_address(f"{name}@example.org", Channel.EMAIL)


ADA, BEA, CLEO, DORA, EVE = (person(name) for name in ("ada", "bea", "cleo", "dora", "eve"))


@pytest.fixture
def recorded(app: Flask) -> Flask:
    """Ada and Bea opted out, Cleo bounced, Dora paused, Eve consented."""
    put_in_force(app)
    evidence = {"source": "shop", "wording": "Yes, news", "language": "en"}
    changes = [
        change(1, scope=NEWS, address=ADA),
        change(2, scope=ALL_MARKETING, address=BEA),
        change(3, EventKind.BOUNCED, UNDELIVERABLE, address=CLEO),
        change(4, EventKind.PAUSED, NEWS, address=DORA, until=START + timedelta(days=30)),
        change(5, EventKind.CONSENTED, NEWS, address=EVE, evidence=evidence),
    ]
    with app.app_context():
        record(changes)
    return app


def flask(app: Flask, *words: object) -> Result:
    return app.test_cli_runner().invoke(args=["export", *map(str, words)])


def column(path: Path) -> list[str]:
    with path.open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    return [*header, *sorted(row[0] for row in rows)]


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def audited(app: Flask) -> list[Any]:
    with app.app_context():
        return run_in_transaction(
            lambda c: c.execute("SELECT action, detail FROM audit").fetchall()
        )


def test_sendgrid_gets_a_file_per_group_of_whom_a_check_denies(
    recorded: Flask, tmp_path: Path
) -> None:
    folder = tmp_path / "upload"
    result = flask(recorded, "--for", "sendgrid", "-o", folder)
    assert result.exit_code == 0, result.output
    assert column(folder / f"group-{NEWS}.csv") == [
        "email", ADA.exact, BEA.exact, CLEO.exact, DORA.exact,
    ]  # fmt: skip
    assert column(folder / f"group-{OFFERS}.csv") == ["email", BEA.exact, CLEO.exact]
    assert {path.name for path in folder.iterdir()} == {
        f"group-{NEWS}.csv", f"group-{OFFERS}.csv",
    }  # fmt: skip
    assert audited(recorded) == [
        ("export.written", {"for": "sendgrid", "rows": "6", "scopes": [NEWS, OFFERS]})
    ]


def test_a_destination_names_the_groups(recorded: Flask, tmp_path: Path) -> None:
    with recorded.app_context():
        run_in_transaction(
            lambda connection: destinations.insert_destination(
                connection,
                services().keys,
                name="mailer",
                kind="sendgrid",
                settings={},
                channels=frozenset({Channel.EMAIL}),
                mapping={OFFERS: "4711"},
                sends=frozenset({OFFERS}),
                sends_service=False,
                now=START,
            )
        )
    words = ["--for", "sendgrid", "--destination", "mailer"]
    assert flask(recorded, *words, "-o", tmp_path / "a").exit_code == 0
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["group-4711.csv"]
    result = flask(recorded, *words, "--scope", NEWS, "-o", tmp_path / "b")
    assert (result.exit_code, "does not send" in result.output) == (2, True)
    result = flask(recorded, "--for", "hubspot", "--destination", "mailer", "-o", tmp_path / "b")
    assert "kind sendgrid" in result.output
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize("command", [
    ["export", "--for", "csv", "-o", "upload"],
    ["feed", "export", "-o", "upload"],
    ["snapshot", "make", "upload"],
    ["scrub", "list.csv", "--message-type", "offers.weekly", "-o", "upload", "--removed", "no"],
])  # fmt: skip
def test_nothing_is_written_from_a_database_that_has_lost_opt_outs(
    recorded: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:  # I2
    monkeypatch.chdir(tmp_path)
    (tmp_path / "list.csv").write_text(f"email\n{ADA.exact}\n")
    with recorded.app_context():
        run_in_transaction(
            lambda c: c.execute("INSERT INTO history_loss (found_at) VALUES (now())")
        )
    result = recorded.test_cli_runner().invoke(args=command)
    assert result.exit_code == 1
    assert "flask ledger accept-restore" in result.output
    assert [each.name for each in tmp_path.iterdir()] == ["list.csv"]


def test_mailchimp_gets_cleaned_addresses_apart(recorded: Flask, tmp_path: Path) -> None:
    folder = tmp_path / "upload"
    flask(recorded, "--for", "mailchimp", "--topic", NEWS, "-o", folder)
    assert column(folder / f"{NEWS}.unsubscribed.csv") == [
        "Email Address", ADA.exact, BEA.exact, DORA.exact,
    ]  # fmt: skip
    assert column(folder / f"{NEWS}.cleaned.csv") == ["Email Address", CLEO.exact]


def test_hubspot_gets_only_those_who_want_no_marketing_at_all(
    recorded: Flask, tmp_path: Path
) -> None:
    # I10: its list stops everything that the account sends
    folder = tmp_path / "upload"
    result = flask(recorded, "--for", "hubspot", "-o", folder)
    assert column(folder / "all_marketing.opt-out-list.csv") == ["Email", BEA.exact, CLEO.exact]
    assert "It stops all marketing there" in result.output


def test_known_forms_of_a_mailbox_go_along_and_unknown_ones_do_not(
    recorded: Flask, tmp_path: Path
) -> None:  # I9
    tagged = parse_address("ada+shop@example.org", Channel.EMAIL)
    with recorded.app_context():
        record([change(9, EventKind.CONSENTED, OFFERS, address=tagged)])
    flask(recorded, "--for", "sendgrid", "--scope", NEWS, "-o", tmp_path / "upload")
    found = column(tmp_path / "upload" / f"group-{NEWS}.csv")
    assert {ADA.exact, tagged.exact} <= set(found)
    assert len(found) == len({*found})


def test_our_own_format_tells_all_that_stands_with_its_evidence(
    recorded: Flask, tmp_path: Path
) -> None:
    path = tmp_path / "all.csv"
    result = flask(recorded, "--for", "csv", "--subscriptions", "-o", path)
    assert result.exit_code == 0, result.output
    found = {row["address"]: row for row in rows(path)}
    assert {who: (row["status"], row["scope"]) for who, row in found.items()} == {
        ADA.exact: ("opted_out", NEWS),
        BEA.exact: ("opted_out", ALL_MARKETING),
        CLEO.exact: ("bounced", UNDELIVERABLE),
        DORA.exact: ("paused", NEWS),
        EVE.exact: ("subscription", NEWS),
    }
    assert found[DORA.exact]["until"] == (START + timedelta(days=30)).isoformat()
    assert found[EVE.exact]["wording"] == "Yes, news"
    assert found[ADA.exact]["occurred_at"] == START.isoformat()
    assert found[BEA.exact]["event"] == str(change(2).id)


def test_a_frequency_goes_along_with_subscriptions_while_the_topic_is_on(
    recorded: Flask, tmp_path: Path
) -> None:
    monthly = FrequencyChoice("monthly", 1)
    with recorded.app_context():
        record(
            [
                change(10 + n, EventKind.FREQUENCY_CHOSEN, topic, address=who, frequency=monthly)
                for n, (who, topic) in enumerate([(ADA, OFFERS), (EVE, NEWS), (BEA, OFFERS)])
            ]
        )
    plain, whole = tmp_path / "plain.csv", tmp_path / "whole.csv"
    flask(recorded, "--for", "csv", "-o", plain)
    assert {row["frequency"] for row in rows(plain)} == {""}
    flask(recorded, "--for", "csv", "--subscriptions", "-o", whole)
    chosen = [row for row in rows(whole) if row["status"] == "frequency"]
    assert {(row["address"], row["scope"], row["frequency"]) for row in chosen} == {
        (ADA.exact, OFFERS, "monthly"),
        (EVE.exact, NEWS, "monthly"),
    }, "Bea gets no marketing"
    assert {row["frequency"] for row in rows(whole) if row not in chosen} == {""}


def test_a_subscription_is_omitted_once_an_opt_out_of_the_mailbox_is_newer(
    recorded: Flask, tmp_path: Path
) -> None:  # I9
    later = START + timedelta(minutes=1)
    with recorded.app_context():
        record([change(8, EventKind.CONSENTED, NEWS, address=BEA)])
        record(
            [
                change(
                    9,
                    scope=NEWS,
                    address=parse_address("eve+x@example.org", Channel.EMAIL),
                    at=later,
                )
            ]
        )
    flask(recorded, "--for", "csv", "--subscriptions", "--scope", NEWS, "-o", tmp_path / "x.csv")
    expected = [row["status"] for row in rows(tmp_path / "x.csv")]
    assert "subscription" not in expected


def test_what_was_lifted_or_is_over_is_omitted(recorded: Flask, tmp_path: Path, clock: Any) -> None:
    clock.advance(timedelta(days=31))
    lift = {"occurred_at": clock.now, "received_at": clock.now, "address": ADA}
    with recorded.app_context():
        record([change(9, EventKind.OPTED_IN, NEWS, **lift)])
    flask(recorded, "--for", "csv", "-o", tmp_path / "x.csv")
    assert {row["address"] for row in rows(tmp_path / "x.csv")} == {BEA.exact, CLEO.exact}


def test_a_closed_account_is_written_as_an_opt_out_of_everything(
    recorded: Flask, tmp_path: Path
) -> None:
    with recorded.app_context():
        record([change(9, EventKind.DEACTIVATED, EVERYTHING, address=EVE)])
    flask(recorded, "--for", "csv", "-o", tmp_path / "x.csv")
    (row,) = [row for row in rows(tmp_path / "x.csv") if row["address"] == EVE.exact]
    assert (row["status"], row["scope"], row["reason"]) == ("opted_out", EVERYTHING, "deactivated")


def test_who_limits_the_use_of_their_data_is_in_every_file(recorded: Flask, tmp_path: Path) -> None:
    with recorded.app_context():
        record([change(9, EventKind.RESTRICTED, RESTRICTION, address=EVE)])
        record([change(10, EventKind.OPTED_IN, NEWS, address=EVE)])
    flask(recorded, "--for", "csv", "--subscriptions", "-o", tmp_path / "x.csv")
    (row,) = [row for row in rows(tmp_path / "x.csv") if row["address"] == EVE.exact]
    assert (row["status"], row["scope"], row["reason"]) == ("opted_out", RESTRICTION, "restricted")
    flask(recorded, "--for", "sendgrid", "--topic", NEWS, "-o", tmp_path / "files")
    assert any(EVE.exact in column(path) for path in (tmp_path / "files").iterdir())


@pytest.mark.parametrize("tool", ["csv", "sendgrid"])
def test_what_is_known_by_its_digest_only_is_counted(
    recorded: Flask, tmp_path: Path, tool: str
) -> None:  # I6
    with recorded.app_context():
        record([change(9, scope=NEWS, address=hashed("zoe@example.org", "md5", ADA))])
        erased = id_of(ADA)
        run_in_transaction(
            lambda c: c.execute("UPDATE address SET ciphertext = NULL WHERE id = %s", (erased,))
        )
    result = flask(recorded, "--for", tool, "--scope", NEWS, "-o", tmp_path / "out")
    assert "2 rows of which only a digest of the address is stored" in result.output
    paths = [*(tmp_path / "out").iterdir()] if tool == "sendgrid" else [tmp_path / "out"]
    assert ADA.exact not in "".join(path.read_text() for path in paths)


def test_an_address_like_a_formula_is_exact_and_reported(recorded: Flask, tmp_path: Path) -> None:
    odd = parse_address("=1+1@example.org", Channel.EMAIL)
    with recorded.app_context():
        record([change(9, scope=NEWS, address=odd)])
    result = flask(recorded, "--for", "sendgrid", "--scope", NEWS, "-o", tmp_path / "upload")
    assert odd.exact in column(tmp_path / "upload" / f"group-{NEWS}.csv")
    assert "1 addresses begin like a formula" in result.output


@pytest.mark.parametrize(
    "words,hint",
    [
        (["--for", "sendgrid", "--scope", "acme.nothing"], "no such topic"),
        (["--for", "sendgrid", "--scope", "acme.sms"], "only csv supports it"),
        (["--for", "sendgrid", "--subscriptions"], "only csv supports them"),
        (["--for", "sendgrid", "--destination", "nowhere"], "No destination is named nowhere"),
        (["--for", "mailjet"], "is not one of"),
    ],
)
def test_wrong_words_write_nothing(
    recorded: Flask, tmp_path: Path, words: list[str], hint: str
) -> None:
    result = flask(recorded, *words, "-o", tmp_path / "out")
    assert (result.exit_code, hint in result.output) == (2, True), result.output
    assert not [*tmp_path.iterdir()]
    assert audited(recorded) == []


def test_a_folder_that_is_in_use_is_left_alone(recorded: Flask, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    result = flask(recorded, "--for", "sendgrid", "-o", tmp_path)
    assert (result.exit_code, "new or empty folder" in result.output) == (2, True)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    assert flask(recorded, "--for", "csv", "-o", tmp_path).exit_code == 2
    assert flask(recorded, "--for", "csv", "-o", tmp_path / "no" / "x.csv").exit_code == 2


@pytest.mark.parametrize("tool", ["csv", "sendgrid"])
def test_an_export_that_fails_half_way_leaves_no_file(
    recorded: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tool: str
) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(audit, "insert_audit_entry", fail)
    result = flask(recorded, "--for", tool, "-o", tmp_path / "out")
    assert isinstance(result.exception, RuntimeError)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_more_addresses_than_are_read_at_once(
    recorded: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("preference_center.lists.export._FETCH_SIZE", 2)
    flask(recorded, "--for", "csv", "-o", tmp_path / "x.csv")
    assert len(rows(tmp_path / "x.csv")) == 4


def test_the_file_is_for_its_owner_only(recorded: Flask, tmp_path: Path) -> None:
    flask(recorded, "--for", "csv", "-o", tmp_path / "x.csv")
    assert (tmp_path / "x.csv").stat().st_mode & 0o077 == 0


def test_our_own_format_comes_back_by_an_import(
    recorded: Flask, tmp_path: Path, admin_url: str, redis_url: str
) -> None:
    path = tmp_path / "all.csv"
    everybody = [ADA, BEA, CLEO, EVE]
    with recorded.app_context():
        record([change(9, EventKind.DEACTIVATED, EVERYTHING, address=EVE)])
        before = denied(everybody)
    flask(recorded, "--for", "csv", "--subscriptions", "-o", path)
    empty(admin_url, redis_url)
    put_in_force(recorded)

    same = [word for scope in (NEWS, ALL_MARKETING) for word in ("--scope", f"{scope}={scope}")]
    words = [
        str(path), "--preset", "generic", *same, "--scope", f"{EVERYTHING}={ALL_MARKETING}",
    ]  # fmt: skip
    runner = recorded.test_cli_runner()
    planned = runner.invoke(args=["imports", "plan", *words])
    assert planned.exit_code == 0, planned.output
    name = planned.output.rsplit("--plan", 1)[1].split()[0]
    applied = runner.invoke(args=["imports", "apply", *words, "--plan", name])
    assert applied.exit_code == 0, applied.output
    with recorded.app_context():
        assert denied(everybody) == before


def denied(people: list[Address]) -> list[list[bool]]:
    """Per person, whether a "no" stands against each topic."""
    return [
        [find_denial(topic, facts, START) is not None for topic in (NEWS, OFFERS)]
        for facts in load_facts(people)
    ]
