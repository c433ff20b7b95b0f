"""While digests are brought to a new key, the service runs on, and processes die."""

from __future__ import annotations

import hashlib
from threading import Event, Thread
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from preference_center.core.addresses import (
    Address,
    Channel,
    HashAlgorithm,
    HashedAddress,
    parse_address,
)
from preference_center.core.events import ALL_MARKETING, Change, EventKind, Retraction
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.infra.keys import rotate_digests
from preference_center.infra.keys.rotate_digests import load_digest_status
from preference_center.ledger import record
from preference_center.ledger.rules import RequestOrigin
from preference_center.rights.erasure import erase
from preference_center.rights.rules.requests import Extent
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
    process_with,
    put_contact,
    restart,
    rotate,
    two_keys,
)


@pytest.mark.parametrize("step", range(11))
def test_it_continues_wherever_it_was_killed(
    app: Flask, one_key: Settings, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    monkeypatch.setattr(rotate_digests, "CHUNK_SIZE", 2)
    places = [
        (rotate_digests, "add_next_columns"),
        (rotate_digests, "create_trigger"),
        (rotate_digests, "add_next_indexes"),
        (rotate_digests, "load_keys"),
        (rotate_digests, "swap_columns"),
        (rotate_digests, "convert_small_tables"),
        (rotate_digests, "validate_digests"),
        (rotate_digests, "require_digests"),
        (rotate_digests, "clear_addresses"),
        (rotate_digests, "clear_external_ids"),
        (rotate_digests, "drop_previous_columns"),
    ]
    with app.app_context():
        record([change(1), change(2, address=GMAIL)])
        put_contact("c-1", JANE)
    restart(app)
    with process_with(one_key, digest_keys=two_keys(one_key)):
        module, name = places[step]
        real = getattr(module, name)

        def die_afterwards(*given: object, **named: object) -> None:
            real(*given, **named)
            raise Killed

        monkeypatch.setattr(module, name, die_afterwards)
        with pytest.raises(Killed):
            rotate()
        monkeypatch.setattr(module, name, real)
        assert denied(FORM)
        record([change(3, address=GMAIL_FORM, scope=ALL_MARKETING)])
        rotate()
        assert load_digest_status() == rotate_digests.DigestStatus(2, 2, being_cleared=False)
        assert denied(FORM)
        assert denied(GMAIL)
        assert id_of(GMAIL_FORM) is not None


def test_an_erasure_meanwhile_leaves_no_readable_copy(
    app: Flask, one_key: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:  # I6
    with app.app_context():
        record([change(1)])
    restart(app)

    def stop(*_: object) -> None:
        raise Killed

    with process_with(one_key, digest_keys=two_keys(one_key)):
        monkeypatch.setattr(rotate_digests, "swap_columns", stop)
        with pytest.raises(Killed):
            rotate()
        copies = "SELECT count(next_ciphertext) FROM address"
        assert run_in_transaction(lambda c: c.execute(copies.encode()).fetchone()) == (1,)
        run_in_transaction(lambda c: c.execute("UPDATE address SET ciphertext = NULL"))
        assert run_in_transaction(lambda c: c.execute(copies.encode()).fetchone()) == (0,)
        monkeypatch.undo()
        rotate()
        assert denied(JANE)


def test_an_erasure_that_the_swap_overtakes_suppresses_its_address_in_the_tools(
    app: Flask, one_key: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:  # I3, I6
    restart(app)
    with process_with(one_key, digest_keys=two_keys(one_key)):
        add_destination("crm", "acme.news")
        record([], known_addresses=[JANE])
        real = erase._save

        def rotate_first(*given: Any) -> None:
            monkeypatch.undo()
            rotate()
            real(*given)

        monkeypatch.setattr(erase, "_save", rotate_first)
        origin = RequestOrigin("test", "key:shop", services().now())
        erase.erase_addresses([id_of(JANE) or 0], Extent.MARKETING, origin=origin)
        assert "crm" in waiting(JANE)


def test_opt_outs_and_checks_go_on_meanwhile(
    app: Flask, one_key: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:  # I1, I2, I9: of addresses not yet and already brought over
    monkeypatch.setattr(rotate_digests, "CHUNK_SIZE", 7)
    known = [parse_address(f"known{n}@example.org", Channel.EMAIL) for n in range(60)]
    with app.app_context():
        add_destination("crm", "acme.news")
        record([], known_addresses=known)
        record([out(each) for each in known[::3]])
    restart(app)
    stop, failures = Event(), list[BaseException]()
    with process_with(one_key, digest_keys=two_keys(one_key)) as service:

        def serve(number: int) -> None:
            try:
                with service.app_context():
                    serve_until(stop, number, known)
            except BaseException as error:  # noqa: BLE001 - shown by the main thread
                failures.append(error)

        threads = [Thread(target=serve, args=(n,), daemon=True) for n in range(3)]
        for thread in threads:
            thread.start()
        try:
            with process_with(one_key, digest_keys=two_keys(one_key)):
                rotate()
                rotate()
        finally:
            stop.set()
            for thread in threads:
                thread.join(60)
        assert failures == []
        assert not service.extensions["preference_center"].keys.is_digest_key_waiting
        with service.app_context():
            twice = run_in_transaction(
                lambda c: c.execute(
                    """SELECT count(*) FROM (SELECT address_id FROM event
                    GROUP BY address_id, scope, id HAVING count(*) > 1) AS doubled"""
                ).fetchone()
            )
            assert twice == (0,)
            rows = run_in_transaction(
                lambda c: c.execute("SELECT ciphertext, digest FROM address").fetchall()
            )
            texts = [
                services().keys.open(sealed, context=digest)
                for sealed, digest in rows
                if sealed is not None
            ]
            assert len(texts) == len(set(texts))  # one row for each address


def out(address: Address) -> Change:
    now = services().now()
    return Change(
        uuid4(), EventKind.OPTED_OUT, address, ALL_MARKETING, now, now, "test", "test", own_act=True
    )


def serve_until(stop: Event, number: int, known: list[Address]) -> None:
    """Opt out known and new addresses; each is denied at once, and so is another form of it."""
    turn = 0
    while not stop.is_set() or turn < 5:
        turn += 1
        new = parse_address(f"new.{number}.{turn}@gmail.com", Channel.EMAIL)
        form = parse_address(f"new{number}{turn}@gmail.com", Channel.EMAIL)
        old = known[(turn * 3 + number) % len(known)]
        record([out(old), out(new)])
        assert all(map(denied, (old, new, form))), (number, turn)
        if turn % 4 == 0:
            kept = out(form)
            record([kept])
            record([Retraction(uuid4(), (kept.id,), services().now(), "test", "test")])
            assert denied(new)
            assert denied(form)
        assert not denied(parse_address(f"no{number}.{turn}@example.org", Channel.EMAIL))


def test_match_keys_that_are_added_meanwhile_are_brought_over(
    app: Flask, one_key: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:  # I9

    def md5(text: bytes) -> HashedAddress:
        found = hashlib.md5(text, usedforsecurity=False).digest()
        return HashedAddress(Channel.EMAIL, HashAlgorithm.MD5, found)

    def stop(*_: object) -> None:
        raise Killed

    with app.app_context():
        add_destination("crm", "acme.news")
        record([], known_addresses=[JANE])
    restart(app)
    with process_with(one_key, digest_keys=two_keys(one_key)):
        monkeypatch.setattr(rotate_digests, "swap_columns", stop)
        with pytest.raises(Killed):
            rotate()
        monkeypatch.undo()
        record([change(1, address=md5(b"bo@example.org"))])  # from now on all have keys by MD5
        rotate()
        record([change(2, address=md5(JANE.exact.encode()), scope=ALL_MARKETING)])
        assert waiting(JANE).keys() == {"crm"}
