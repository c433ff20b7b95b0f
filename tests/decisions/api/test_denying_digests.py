"""The digests that a local filter holds: nobody whom a decision denies may be missing."""

from __future__ import annotations

import hashlib
import json
from base64 import b64decode
from typing import TYPE_CHECKING, Any

import pytest

from preference_center.core.addresses import Channel, HashAlgorithm, HashedAddress, parse_address
from preference_center.core.errors import ReplayPending, Unavailable
from preference_center.decisions import store as denying_digests
from preference_center.infra.context import services
from preference_center.ledger import record
from preference_center.ledger.restore_gate import CHECK_INTERVAL
from preference_center.ledger.watermarks import ensure_epoch
from tests.clock import Clock
from tests.ledger.changes import change
from tests.web.api.sender import Sender, make_sender

if TYPE_CHECKING:
    from flask import Flask

ADA = "ada@example.com"
HEAD = denying_digests.DIGEST_HEAD_BYTES


@pytest.fixture
def reader(in_force: Flask) -> Sender:
    with in_force.app_context():
        ensure_epoch()
    return make_sender(in_force, "mailer", ["read"], [])


def read(reader: Sender, after: str | None = None) -> tuple[dict[str, Any], set[bytes]]:
    answer = reader.client.get(
        "/v1/changes/digests",
        query_string={"after": after} if after else {},
        headers=reader.headers,
    )
    assert answer.status_code == 200, answer.text
    first, *blocks, last = (json.loads(line) for line in answer.data.splitlines())
    data = b"".join(b64decode(block["digests"]) for block in blocks)
    assert last == {"end": True, "count": len(data) // HEAD}
    return first, {data[at : at + HEAD] for at in range(0, len(data), HEAD)}


def heads(reader: Sender, address: str) -> set[bytes]:
    with reader.app.app_context():
        keys = services().keys.match_keys(parse_address(address, Channel.EMAIL))
    return {digest[:HEAD] for digest in keys}


def test_who_opted_out_is_among_them_with_every_form(sender: Sender, reader: Sender) -> None:
    sender.opt_out("J.ane+x@gmail.com", "acme.offers")
    first, found = read(reader)
    assert found >= heads(reader, "j.ane+x@gmail.com") | heads(reader, "jane@gmail.com")  # I9
    assert not found & heads(reader, ADA)
    assert list(first["digest_keys"]) == ["digest:d1"]
    assert first["norm_version"] == 1
    assert first["md5"] is False


def test_who_only_consented_is_not(sender: Sender, reader: Sender) -> None:
    sender.consent(ADA, "acme.news")
    assert read(reader)[1] == set()


@pytest.mark.parametrize("kind", ["deactivate", "restrict"])
def test_what_ends_marketing_for_a_contact_is_among_them(
    sender: Sender, reader: Sender, kind: str
) -> None:
    after = read(reader)[0]["watermark"]
    assert sender.post(f"/v1/contacts/{kind}", {"address": ADA}).status_code == 200
    assert heads(reader, ADA) <= read(reader)[1]
    assert heads(reader, ADA) <= read(reader, after)[1]


def test_afterwards_what_was_recorded_since_is_listed(sender: Sender, reader: Sender) -> None:
    after = read(reader)[0]["watermark"]
    sender.opt_out(ADA, "acme.offers")
    first, found = read(reader, after)
    assert heads(reader, ADA) <= found
    sender.opt_out("bob@example.com", "all_marketing")
    assert heads(reader, "bob@example.com") <= read(reader, first["watermark"])[1]


def test_a_hash_that_a_contact_makes_known_is_found_in_its_other_forms(
    sender: Sender, reader: Sender, in_context: None
) -> None:  # I9
    """No event comes with it."""
    digest = hashlib.sha256(b"j.ane@gmail.com").digest()
    hashed = HashedAddress(Channel.EMAIL, HashAlgorithm.SHA256, digest)
    record([change(1, scope="acme.offers", address=hashed)])
    first, found = read(reader)
    assert not heads(reader, "jane@gmail.com") & found
    contact = {"external_id": "c-1", "addresses": [{"address": "j.ane@gmail.com"}]}
    assert sender.post("/v1/contacts", contact).status_code == 200
    assert heads(reader, "jane@gmail.com") <= read(reader, first["watermark"])[1]
    assert not sender.ask("offers.weekly", "jane@gmail.com")["allow"]


def test_it_names_the_types_that_everybody_gets(reader: Sender, in_force: Flask) -> None:
    """No service mail, nothing opt-in or retired, nothing by text message."""
    assert read(reader)[0]["message_types"] == []
    asking = make_sender(in_force, "shop", ["read"])
    assert read(asking)[0]["message_types"] == ["offers.weekly"]
    limited = make_sender(in_force, "limited", ["read"], ["password_reset"])
    assert read(limited)[0]["message_types"] == []


def test_reading_all_of_them_is_in_the_audit(reader: Sender) -> None:
    first, _ = read(reader)
    read(reader, first["watermark"])
    assert reader.rows("SELECT actor, action FROM audit") == [("key:mailer", "feed.digests")]


def test_a_watermark_of_another_history_is_refused(reader: Sender) -> None:
    answer = reader.client.get(
        "/v1/changes/digests", query_string={"after": "00000000.1.0"}, headers=reader.headers
    )
    assert (answer.status_code, answer.get_json()["type"].rpartition("/")[2]) == (
        410,
        "stale-watermark",
    )


def test_without_the_last_line_it_is_not_complete(
    sender: Sender, reader: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    sender.opt_out(ADA, "acme.offers")
    whole = denying_digests.iter_all_digests

    def breaks_off(*given: Any) -> Any:
        yield next(whole(*given))
        raise Unavailable("the database went away")

    monkeypatch.setattr("preference_center.decisions.api.local_filter.iter_all_digests", breaks_off)
    answer = reader.client.get("/v1/changes/digests", headers=reader.headers)
    with pytest.raises(Unavailable):
        assert answer.data


def test_it_ends_without_the_last_line_once_events_are_found_lost(
    sender: Sender, reader: Sender, clock: Clock
) -> None:  # I2
    sender.opt_out(ADA, "acme.offers")
    answer = reader.client.get("/v1/changes/digests", headers=reader.headers, buffered=False)
    lines = answer.iter_encoded()
    assert "watermark" in json.loads(next(lines))
    reader.rows("INSERT INTO history_loss (found_at) VALUES (now()) RETURNING 1")
    clock.advance(CHECK_INTERVAL)
    with pytest.raises(ReplayPending):
        list(lines)
    answer.close()


def test_it_needs_the_scope_read(in_force: Flask) -> None:
    asking = make_sender(in_force, "asking", ["check"])
    answer = asking.client.get("/v1/changes/digests", headers=asking.headers)
    assert answer.status_code == 403
