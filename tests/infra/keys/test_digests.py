"""All digests are brought to a new key: nothing is missed, and nothing of the old one is left."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

import psycopg
import pytest

from preference_center.contacts.rules.contact import ContactRef
from preference_center.contacts.store import load_contacts
from preference_center.core.addresses import Channel, HashAlgorithm, HashedAddress, parse_address
from preference_center.core.errors import KeyMismatch, Unavailable, UnavailableCause
from preference_center.core.events import ALL_MARKETING
from preference_center.core.links.tokens import DIGEST_PREFIX_BYTES
from preference_center.core.staff import AccessAction, AccessReason, StaffAccess
from preference_center.destinations.store.erasure_tasks import claim_tasks
from preference_center.infra.context import db, services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.infra.keys import digest_tables, rotate_digests
from preference_center.infra.keys.digest_tables import DIGEST_COLUMNS
from preference_center.infra.keys.fingerprints import require_known_keys
from preference_center.infra.keys.rotate_digests import load_digest_status
from preference_center.ledger import record
from preference_center.ledger.rules import RequestOrigin
from preference_center.ledger.store import suppressions
from preference_center.ledger.store.addresses import find_by_digest_prefix, load_readable
from preference_center.ledger.store.lookup import load_exact_facts, load_facts
from preference_center.ledger.store.suppressions import FIRST_POSITION, PendingMailOptOut
from preference_center.rights.erasure.erase import erase_contacts
from preference_center.rights.erasure.personal_data import TABLES, Holds
from preference_center.rights.rules.requests import Extent
from preference_center.web.console.looks import (
    PersonAccess,
    insert_person_access,
    list_person_accesses,
    load_person_access,
)
from preference_center.web.emails import EMAIL_STOP_DURATION, find_stop, stop_emails
from tests.clock import START
from tests.infra.db.test_migrated_schema import QUERIES, described
from tests.ledger.changes import JANE, add_destination, change, id_of, waiting

if TYPE_CHECKING:
    from flask import Flask

    from preference_center.infra.config import Settings

from tests.infra.keys.processes import (
    FORM,
    GMAIL,
    GMAIL_FORM,
    Killed,
    denied,
    new_key,
    process_with,
    put_contact,
    restart,
    rotate,
    two_keys,
)


def test_every_column_of_digests_is_rotated_or_has_its_reason() -> None:
    inventory = {
        f"{table}.{column}"
        for table, content in TABLES.items()
        for column, holds in content.personal.items()
        if holds is Holds.DIGEST
    }
    assert DIGEST_COLUMNS.keys() == inventory


def test_a_key_that_waits_makes_no_digest(app: Flask, one_key: Settings) -> None:
    with process_with(one_key, digest_keys=two_keys(one_key)):
        require_known_keys()
        record([change(1)])
        stored = run_in_transaction(
            lambda c: c.execute("SELECT key FROM key_fingerprint").fetchall()
        )
        assert ("digest:d2",) not in stored
    with app.app_context():
        assert denied(JANE)  # to a process that does not have it


def test_every_form_and_kind_of_address_is_found_afterwards(  # I9
    app: Flask, one_key: Settings, database_url: str
) -> None:
    md5 = HashedAddress(
        Channel.EMAIL,
        HashAlgorithm.MD5,
        hashlib.md5(b"bo@example.org", usedforsecurity=False).digest(),
    )
    sha = HashedAddress(
        Channel.EMAIL, HashAlgorithm.SHA256, hashlib.sha256(b"cy@example.org").digest()
    )
    with app.app_context():
        record([change(1), change(2, address=GMAIL, scope=ALL_MARKETING)])
        record([change(3, address=md5, scope=ALL_MARKETING)])
        record([change(4, address=sha, scope=ALL_MARKETING)])
    before = {kind: described(kind, database_url) for kind in QUERIES}
    restart(app)
    with process_with(one_key, digest_keys=two_keys(one_key)):
        jane = id_of(JANE)
        rotate()
        assert load_digest_status().in_use == 2
        assert id_of(JANE) == jane
        for address in (JANE, FORM, GMAIL, GMAIL_FORM):
            assert denied(address), address.exact
        for text in ("bo@example.org", "cy@example.org"):
            assert denied(parse_address(text, Channel.EMAIL)), text
        assert not denied(parse_address("di@example.org", Channel.EMAIL))
        assert jane is not None
        found = run_in_transaction(lambda c: load_readable(c, services().keys, [jane]))
        assert found == {jane: (Channel.EMAIL, JANE.exact)}
        rotate()  # a repeat has nothing to do
    assert {kind: described(kind, database_url) for kind in QUERIES} == before


def test_nothing_of_the_old_key_is_left(app: Flask, one_key: Settings, database_url: str) -> None:
    with app.app_context():
        keys = services().keys
        record([change(1), change(2, address=GMAIL)])
        put_contact("c-1", JANE)
        old = {keys.exact_digest(each) for each in (JANE, GMAIL)}
        old |= {digest for each in (JANE, GMAIL) for digest in keys.match_keys(each)}
        old.add(keys.digest("external_id:c-1"))
    restart(app)
    with process_with(one_key, digest_keys=two_keys(one_key)):
        rotate()
    assert not {digest.hex() for digest in old} & set(every_digest(database_url))


def every_digest(url: str) -> Iterator[str]:
    with psycopg.connect(url) as connection:
        columns = connection.execute(
            """SELECT table_name, column_name FROM information_schema.columns
            WHERE table_schema = 'public' AND udt_name = 'bytea'"""
        ).fetchall()
        for table, column in columns:
            rows = connection.execute(f'SELECT "{column}" FROM "{table}"'.encode())
            yield from (row[0].hex() for row in rows if row[0] is not None)


def test_a_contact_keeps_its_addresses_and_ids(app: Flask, one_key: Settings) -> None:
    from preference_center.contacts.rules.contact import ContactRef

    with app.app_context():
        put_contact("c-1", JANE)
    restart(app)
    with process_with(one_key, digest_keys=two_keys(one_key)):
        rotate()
        put_contact("c-1", GMAIL)  # the same contact, not another one
        for ref in (ContactRef(external_id="c-1"), ContactRef(address=JANE)):
            found = run_in_transaction(
                lambda c, ref=ref: load_contacts(c, services().keys, [ref])  # type: ignore[misc]
            )
            (contact,) = found.stored.values()
            assert contact.external_ids == {"c-1"}
            assert contact.addresses == {JANE, GMAIL}


def test_a_mailbox_still_wants_no_emails_that_anybody_can_cause(
    app: Flask, one_key: Settings
) -> None:
    with app.app_context():
        run_in_transaction(lambda c: stop_emails(c, services().keys, JANE, START))
    restart(app)
    with process_with(one_key, digest_keys=two_keys(one_key)):
        rotate()
        ends_at = run_in_transaction(lambda c: find_stop(c, services().keys, JANE, START))
    assert ends_at == START + EMAIL_STOP_DURATION


def test_the_looks_at_a_person_are_still_found(app: Flask, one_key: Settings) -> None:
    action, reason = AccessAction.PERSON_VIEWED, AccessReason.CALLED
    access = StaffAccess(UUID(int=1), START, "console:ada", action, reason)
    with app.app_context():
        run_in_transaction(lambda c: insert_person_access(c, services().keys, access, JANE))
    restart(app)
    with process_with(one_key, digest_keys=two_keys(one_key)):
        rotate()
        found = run_in_transaction(lambda c: list_person_accesses(c, services().keys, JANE))
        opened = run_in_transaction(lambda c: load_person_access(c, services().keys, access.id))
    assert found == [access]
    assert opened == PersonAccess(access, JANE)


def test_an_erasure_that_waits_for_a_tool_can_still_name_the_address_to_it(
    app: Flask, one_key: Settings
) -> None:  # I6: else it would be given up after 30 days
    with app.app_context():
        crm = add_destination("crm", "acme.news")
        record([change(1)])
        origin = RequestOrigin("test", "test", START)
        erase_contacts([ContactRef(address=JANE)], Extent.MARKETING, origin=origin)
    restart(app)
    with process_with(one_key, digest_keys=two_keys(one_key)):
        rotate()
        now, until = services().now(), services().now() + timedelta(minutes=2)
        (claim,) = run_in_transaction(
            lambda c: claim_tasks(
                c, services().keys, crm, services().new_id(), now=now, until=until, limit=10
            )
        )
    assert claim.address == JANE.exact


def test_a_form_learned_later_gets_the_opt_out_of_its_mailbox(
    app: Flask, one_key: Settings
) -> None:  # I9
    with app.app_context():
        add_destination("crm", "acme.news")
        record([change(1, address=GMAIL, scope=ALL_MARKETING)])
    restart(app)
    with process_with(one_key, digest_keys=two_keys(one_key)):
        rotate()
        record([], known_addresses=[GMAIL_FORM])
        assert waiting(GMAIL_FORM).keys() == {"crm"}


def test_mails_from_before_still_name_their_address(app: Flask, one_key: Settings) -> None:  # I7
    stranger = parse_address("stranger@example.org", Channel.EMAIL)
    with app.app_context():
        keys = services().keys
        record([change(1)])
        sent = keys.exact_digest(JANE)[:DIGEST_PREFIX_BYTES]
        unknown = keys.exact_digest(stranger)[:DIGEST_PREFIX_BYTES]
        run_in_transaction(lambda c: insert_pending(c, unknown))
    restart(app)
    with process_with(one_key, digest_keys=two_keys(one_key)):
        rotate()
        found = run_in_transaction(lambda c: find_by_digest_prefix(c, services().keys, [sent]))
        assert found == {sent: JANE.exact}
        assert denied(stranger)  # I2: the mail was not attributed yet
        assert load_exact_facts([stranger])[0]
        record([], known_addresses=[stranger])
        page = run_in_transaction(
            lambda c: suppressions.list_resolvable(c, services().keys, FIRST_POSITION, 10)
        )
        assert [exact for _, exact in page.rows] == [stranger.exact]


def insert_pending(connection: Connection, prefix: bytes) -> None:
    row = PendingMailOptOut(UUID(int=9), prefix, b"scope", ALL_MARKETING, "l1", None, START, START)
    suppressions.insert_pending(connection, [row])


def test_evidence_of_before_is_still_proven(app: Flask, one_key: Settings) -> None:  # I8
    from preference_center.ledger.store.events import EvidenceState, verify_evidence

    with app.app_context():
        record([change(1, evidence={"a": "b"})])
    restart(app)
    with process_with(one_key, digest_keys=two_keys(one_key)):
        rotate()
        record([change(2, address=GMAIL)])
        found = run_in_transaction(lambda c: verify_evidence(c, services().keys))
        assert {each.state for each in found} == {EvidenceState.INTACT}


def test_a_process_without_the_key_is_named_before_and_refused_after(
    app: Flask, one_key: Settings
) -> None:  # I11: it would find no opt-out
    with app.app_context():
        record([change(1)])
    with process_with(one_key, digest_keys=two_keys(one_key)):
        with pytest.raises(KeyMismatch, match="restart them"):
            rotate()
        with app.app_context():  # what was refused has no effect on it
            db.engine.dispose()
            assert denied(JANE)
        restart(app)
        rotate()
    with app.app_context(), pytest.raises(Unavailable, match="add the newer key") as caught:
        load_facts([JANE])
    assert caught.value.cause is UnavailableCause.KEYS


def test_a_process_that_starts_without_the_key_during_a_rotation_is_refused(
    app: Flask, one_key: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:  # I2: its connections would outlive the swap, and find no opt-out
    restart(app)
    real, refused = digest_tables.add_next_indexes, list[bool]()

    def start_another(connection: Connection) -> None:
        with pytest.raises(KeyMismatch, match="being brought to the key 'd2'"), app.app_context():
            require_known_keys()
        refused.append(True)
        real(connection)

    with process_with(one_key, digest_keys=two_keys(one_key)):
        monkeypatch.setattr(rotate_digests, "add_next_indexes", start_another)
        rotate()
        assert refused
        require_known_keys()


def test_a_rotation_that_was_begun_is_not_finished_with_another_key(
    app: Flask, one_key: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:  # I2: half of the digests would be those of a key that nobody has
    with app.app_context():
        record([change(1)])
    restart(app)

    def stop(*_: object) -> None:
        raise Killed

    with process_with(one_key, digest_keys=two_keys(one_key)):
        monkeypatch.setattr(rotate_digests, "swap_columns", stop)
        with pytest.raises(Killed):
            rotate()
    monkeypatch.undo()
    another = f"{one_key.digest_keys},{new_key('d3', 8)}"
    with pytest.raises(Unavailable, match="'d2'"), process_with(one_key, digest_keys=another):
        pass


def test_through_a_pooler_somebody_must_state_that_every_process_has_the_key(
    app: Flask, one_key: Settings
) -> None:  # I11
    with app.app_context():
        record([change(1)])
    restart(app)
    given = {"digest_keys": two_keys(one_key), "database_pooler": "transaction"}
    with process_with(one_key, **given):
        with pytest.raises(KeyMismatch, match="--all-restarted"):
            rotate()
        rotate(all_restarted=True)
        assert denied(JANE)


def test_only_one_key_at_a_time(app: Flask, one_key: Settings) -> None:
    restart(app)
    three = f"{two_keys(one_key)},{new_key('d3', 8)}"
    with (
        process_with(one_key, digest_keys=three),
        pytest.raises(KeyMismatch, match="one key at a time"),
    ):
        rotate()


def test_a_second_rotation_follows_the_first(app: Flask, one_key: Settings) -> None:
    with app.app_context():
        sent = services().keys.exact_digest(JANE)[:DIGEST_PREFIX_BYTES]
        record([change(1)])
    restart(app)
    with process_with(one_key, digest_keys=two_keys(one_key)):
        rotate()
    restart(app, keys=2)
    with process_with(one_key, digest_keys=f"{two_keys(one_key)},{new_key('d3', 8)}"):
        rotate()
        assert denied(FORM)
        found = run_in_transaction(lambda c: find_by_digest_prefix(c, services().keys, [sent]))
        assert found == {sent: JANE.exact}


def test_the_command_says_what_waits_and_rotates(
    app: Flask, one_key: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    restart(app)
    with process_with(one_key, digest_keys=two_keys(one_key)) as service:

        def run(*words: str) -> list[str]:
            result = service.test_cli_runner().invoke(args=["keys", *words])
            assert result.exit_code == 0, result.output
            return list(result.output.splitlines())

        waits = "digests\td2\twaits for `flask keys rotate digests`"
        assert waits in run("status")
        assert waits in run("rotate", "digests", "--dry-run")
        assert "made with the key d2" in run("rotate", "digests")[-1]
        assert "digests\td2\tin use" in run("status")
