# ruff: noqa: F401 - a fixture of another folder is imported by name

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

import psycopg
import pytest

from dev.processes import wait_until
from preference_center.catalogue import catalogue_digest
from preference_center.catalogue import store as catalogues
from preference_center.core.addresses import Channel
from preference_center.core.addresses import parse_address as address
from preference_center.core.events import Change, EventKind, FrequencyChoice
from preference_center.infra.context import EXTENSION_NAME, services
from preference_center.infra.db.transactions import (
    Connection,
    override_limits,
    run_in_transaction,
)
from preference_center.ledger import record
from preference_center.ledger.spool.frames import encode_frame
from preference_center.web.api.keys import KeyScope, create_key, revoke_key
from tests.catalogue.catalogues import SECOND_TOPIC, SMALL, edited
from tests.clock import START, Clock
from tests.infra.cli.fixtures import _staff_name
from tests.ledger.changes import blocked_pids, change, patient

if TYPE_CHECKING:
    from click.testing import Result
    from flask import Flask


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "catalogue.toml"
    file.write_text(SMALL, encoding="utf-8")
    return file


def flask(app: Flask, *words: object) -> Result:
    return app.test_cli_runner().invoke(args=["catalogue", *map(str, words)])


def versions(app: Flask) -> list[tuple[object, ...]]:
    query = "SELECT text, digest, applied_at FROM catalogue_version ORDER BY id"
    with app.app_context():
        return run_in_transaction(lambda connection: connection.execute(query).fetchall())


def say_no_to(app: Flask, topic: str, until: datetime | None = None) -> None:
    """Opt out of the topic, or pause it."""
    with app.app_context():
        record(
            [
                Change(
                    id=services().new_id(),
                    address=address("anna@example.org", Channel.EMAIL),
                    kind=EventKind.PAUSED if until else EventKind.OPTED_OUT,
                    scope=topic,
                    occurred_at=START,
                    received_at=START,
                    source="test",
                    actor="person",
                    until=until,
                )
            ]
        )


def test_check_tells_what_a_good_file_holds(app: Flask, file: Path) -> None:
    result = flask(app, "check", file)

    assert result.exit_code == 0
    assert "1 brands" not in result.output
    assert "1 brand, 1 topic (0 retired), 2 message types, languages it, en" in result.output
    assert f"flask catalogue apply {file}" in result.output
    assert versions(app) == []


def test_a_brand_that_nobody_can_write_to_is_warned_of_and_applied(app: Flask, file: Path) -> None:
    result = flask(app, "apply", file)
    assert result.exit_code == 0
    assert "warning: brand acme has no contact" in result.stderr
    assert len(versions(app)) == 1


def test_check_tells_every_fault_and_ends_with_1(app: Flask, file: Path) -> None:
    file.write_text(edited(('"opt_in"', '"optin"'), ('"security"', '"safe"')), encoding="utf-8")

    result = flask(app, "check", file)

    assert result.exit_code == 1
    assert 'line 13: default can\'t be "optin"; did you mean "opt_in"?' in result.stderr
    assert 'line 24: ground can\'t be "safe"' in result.stderr
    assert "has 2 errors" in result.stderr


def test_a_file_that_is_not_utf_8_gets_its_line(app: Flask, file: Path) -> None:
    file.write_bytes(SMALL.encode("latin-1"))

    result = flask(app, "check", file)

    assert result.exit_code == 1
    assert result.stderr.startswith("line 5: not UTF-8; save the file as UTF-8")


def test_apply_keeps_the_source_with_its_digest_and_time(app: Flask, file: Path) -> None:
    result = flask(app, "apply", file)

    assert result.exit_code == 0
    assert "added topic acme.news" in result.output
    assert "Applied as version" in result.output
    assert versions(app) == [(SMALL, catalogue_digest(SMALL), START)]


def test_apply_is_in_force_at_once_in_this_process(app: Flask, file: Path) -> None:
    flask(app, "apply", file)
    with app.app_context():
        catalogues.current_catalogue()
    file.write_text(SMALL + SECOND_TOPIC, encoding="utf-8")

    flask(app, "apply", file)

    with app.app_context():
        assert "acme.offers" in catalogues.current_catalogue().topics


def test_applying_the_same_file_again_does_nothing(app: Flask, file: Path) -> None:
    flask(app, "apply", file)

    result = flask(app, "apply", file)

    assert result.exit_code == 0
    assert result.output.startswith("Nothing to do")
    assert len(versions(app)) == 1


def test_a_byte_order_mark_makes_no_other_version(app: Flask, file: Path) -> None:
    flask(app, "apply", file)
    file.write_bytes(b"\xef\xbb\xbf" + SMALL.encode())

    assert flask(app, "apply", file).output.startswith("Nothing to do")


def test_a_comment_is_kept_as_a_version_that_changes_nothing(app: Flask, file: Path) -> None:
    flask(app, "apply", file)
    file.write_text(SMALL + "# why\n", encoding="utf-8")

    result = flask(app, "apply", file)

    assert "Only comments or formatting differ." in result.output
    assert len(versions(app)) == 2


def test_a_dry_run_prints_the_difference_and_changes_nothing(app: Flask, file: Path) -> None:
    flask(app, "apply", file)
    file.write_text(edited(('"opt_in"', '"opt_out"')), encoding="utf-8")

    result = flask(app, "apply", "--dry-run", file)

    assert result.exit_code == 0
    assert "default: opt_in -> opt_out" in result.output
    assert "Dry run: nothing was applied." in result.output
    assert len(versions(app)) == 1


def test_a_faulty_file_is_not_applied(app: Flask, file: Path) -> None:
    file.write_text(edited(('"opt_in"', '"optin"')), encoding="utf-8")

    result = flask(app, "apply", file)

    assert result.exit_code == 1
    assert "has 1 error. Nothing was applied." in result.stderr
    assert versions(app) == []


def test_deleting_a_topic_that_somebody_opted_out_of_is_refused_and_retiring_it_is_not(
    app: Flask, file: Path
) -> None:
    # I5
    file.write_text(SMALL + SECOND_TOPIC, encoding="utf-8")
    flask(app, "apply", file)
    say_no_to(app, "acme.offers")

    file.write_text(SMALL, encoding="utf-8")
    refused = flask(app, "apply", file)
    file.write_text(SMALL + SECOND_TOPIC + "retired = true\n", encoding="utf-8")
    retired = flask(app, "apply", file)

    assert refused.exit_code == 1
    assert "refused: topic acme.offers still has opt-outs" in refused.stderr
    assert "Nothing was applied." in refused.stderr
    assert retired.exit_code == 0
    assert len(versions(app)) == 2


def test_deleting_a_topic_that_somebody_pauses_is_refused_until_the_pause_ends(
    app: Flask, file: Path, clock: Clock
) -> None:
    # I5
    file.write_text(SMALL + SECOND_TOPIC, encoding="utf-8")
    flask(app, "apply", file)
    say_no_to(app, "acme.offers", until=START + timedelta(days=30))
    file.write_text(SMALL, encoding="utf-8")

    assert "refused: topic acme.offers" in flask(app, "apply", file).stderr
    clock.advance(timedelta(days=30))
    assert flask(app, "apply", file).exit_code == 0


def test_deleting_a_topic_is_refused_while_opt_outs_wait_on_this_host_s_disk(
    app: Flask, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # I5
    file.write_text(SMALL + SECOND_TOPIC, encoding="utf-8")
    flask(app, "apply", file)
    with app.app_context():
        settings = services().settings.model_copy(update={"spool_dir": str(tmp_path)})
        found = replace(services(), settings=settings)
    monkeypatch.setitem(app.extensions, EXTENSION_NAME, found)
    spooled = tmp_path / "1-00.spool"
    spooled.write_bytes(encode_frame(b"x", START))

    file.write_text(SMALL, encoding="utf-8")
    assert "refused: topics acme.offers: of 1 opt-outs" in flask(app, "apply", file).stderr
    spooled.unlink()
    assert flask(app, "apply", file).exit_code == 0


@pytest.mark.owner  # who sees whether others wait
def test_of_two_at_once_the_second_is_held_against_what_the_first_applied(
    app: Flask, file: Path, database_url: str
) -> None:
    results: list[Result] = []

    def apply() -> None:
        with app.app_context(), override_limits(patient()):
            results.append(flask(app, "apply", file))

    second = Thread(target=apply, daemon=True)
    with (
        psycopg.connect(database_url) as first,
        psycopg.connect(database_url, autocommit=True) as observer,
    ):
        catalogues.lock_for_apply(first)
        second.start()
        assert wait_until(lambda: bool(blocked_pids(observer)) or not second.is_alive(), 30)
        catalogues.insert_version(first, SMALL, catalogue_digest(SMALL), START)
    second.join(timeout=30)
    assert results[0].output.startswith("Nothing to do")
    assert len(versions(app)) == 1


def test_the_texts_that_a_brand_can_replace_are_found_by_a_word(app: Flask) -> None:
    found = flask(app, "texts", "save", "--language", "de")
    assert found.exit_code == 0
    assert '"Save" = "Speichern"' in found.stdout.splitlines()
    assert "%(address)s" in flask(app, "texts").stdout  # placeholders are shown
    by_translation = flask(app, "texts", "SPEICHERN", "--language", "de")
    assert '"Save" = "Speichern"' in by_translation.stdout.splitlines()
    missing = flask(app, "texts", "zzz")
    assert (missing.exit_code, missing.stdout) == (1, "")
    assert "try a shorter word" in missing.stderr


def test_what_it_lists_can_be_pasted_into_a_catalogue(app: Flask, file: Path) -> None:
    for language in ("en", "de"):
        listed = flask(app, "texts", "--language", language).stdout
        file.write_text(f"{SMALL}\n[brands.acme.texts.{language}]\n{listed}", encoding="utf-8")
        assert flask(app, "check", file).exit_code == 0


def test_a_text_that_does_not_exist_is_refused_before_it_is_applied(app: Flask, file: Path) -> None:
    misspelt = '[brands.acme.texts.it]\n"Saev" = "Ricorda"\n'
    file.write_text(f"{SMALL}\n{misspelt}", encoding="utf-8")
    for command in ("check", "apply"):
        refused = flask(app, command, file)
        assert refused.exit_code == 1
        assert 'there is no text "Saev"; did you mean "Save"?' in refused.stderr


def test_files_next_to_the_catalogue_are_stored_with_it(app: Flask, file: Path) -> None:
    (file.parent / "logo.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg"/>')
    file.write_text(edited(('name = "Acme"\n', 'name = "Acme"\nlogo = "file:logo.svg"\n')))
    assert flask(app, "check", file).exit_code == 0
    assert flask(app, "apply", file).exit_code == 0
    [(text, _digest, _at)] = versions(app)
    assert "file:" not in str(text)
    assert 'logo = "data:image/svg+xml;base64,' in str(text)
    assert "Nothing to do" in flask(app, "apply", file).output
    (file.parent / "logo.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg"> </svg>')
    assert "    logo: image/svg+xml of 41 bytes" in flask(app, "apply", file).output


def test_a_file_that_is_missing_is_named(app: Flask, file: Path) -> None:
    file.write_text(edited(('name = "Acme"\n', 'name = "Acme"\nlogo = "file:logo.svg"\n')))
    result = flask(app, "apply", file)
    assert result.exit_code == 1
    assert "line 9: file:logo.svg can't be read: No such file or directory" in result.output
    assert versions(app) == []


def test_a_removed_frequency_counts_who_had_chosen_it(app: Flask, file: Path) -> None:
    offered = """frequencies.weekly = { it = "Ogni settimana", en = "Weekly" }
frequencies.fortnightly = { it = "Ogni due settimane", en = "Every two weeks" }
"""
    rare = 'frequencies.monthly = { it = "Ogni mese", en = "Monthly" }\n'
    place = 'description = { it = "Ogni mese", en = "Every month" }\n'
    file.write_text(edited((place, place + offered + rare)), encoding="utf-8")
    flask(app, "apply", file)
    with app.app_context():
        chosen = FrequencyChoice("fortnightly", 1)
        record([change(1, EventKind.FREQUENCY_CHOSEN, "acme.news", frequency=chosen)])
    file.write_text(edited((place, place + offered.splitlines()[0] + "\n" + rare)), "utf-8")

    result = flask(app, "apply", "--dry-run", file)

    assert "topic acme.news: 1 choice of fortnightly, now weekly" in result.output


def add_key(app: Flask, name: str, message_types: list[str], used_at: datetime | None) -> None:
    def add(connection: Connection) -> None:
        create_key(connection, name, [KeyScope.CHECK], message_types, START)
        connection.execute("UPDATE api_key SET last_used_at = %s WHERE name = %s", (used_at, name))

    with app.app_context():
        run_in_transaction(add)


@pytest.mark.parametrize(
    "removed, why",
    [
        (
            """[message_types."newsletter.monthly"]
class = "marketing"
topic = "acme.news"
""",
            "is removed",
        ),
        (None, "is of the retired topic acme.news"),
    ],
)
def test_keys_that_ask_about_what_ends_are_named_with_their_last_use(
    app: Flask, file: Path, removed: str | None, why: str
) -> None:  # I11: everybody is denied
    assert flask(app, "apply", file).exit_code == 0
    add_key(app, "shop", ["newsletter.monthly", "password_reset"], START)
    add_key(app, "every", ["*"], None)
    add_key(app, "other", ["password_reset"], START)
    add_key(app, "revoked", ["newsletter.monthly"], START)
    with app.app_context():
        run_in_transaction(lambda c: revoke_key(c, "revoked", START))
    topic = 'group = "news"\ntitle = { it = "Notizie"'
    change = (removed, "") if removed else (topic, f"retired = true\n{topic}")
    file.write_text(edited(change), encoding="utf-8")
    result = flask(app, "apply", "--dry-run", file)
    found = [line.strip() for line in result.output.splitlines() if "may ask about" in line]
    asks = f"may ask about message type newsletter.monthly, which {why}: everybody is denied"
    assert [line[line.index("key ") :] for line in found] == [
        f"key every (never used) {asks}",
        f"key shop (last used {START:%Y-%m-%d %H:%M} UTC) {asks}",
    ]
