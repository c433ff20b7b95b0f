"""Real bounces, complaints and replies, whose meaning others have found too."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.inbound.mail.fixtures import REPORTS, Take
from tests.ledger.tables import Ledger
from tests.shared import SHARED, shared_path

INDEX = SHARED / "corpus/mail/index.json"
FILES = json.loads(INDEX.read_text())["files"] if INDEX.exists() else []
# Of these the index knows only that they failed for good, by flufl.bounce, which asks for no
# reason. They say that a disk quota was reached, and that a mail went in a circle: neither is
# the mailbox's end (RULES F10, F11; Sisimai: mailboxfull, networkerror, neither of them hard).
NOT_THE_MAILBOX = {"flufl-bounce__dsn_01.txt", "flufl-bounce__sendmail_01.txt"}
ENDS = {"CRLF": b"\r\n", "LF": b"\n", "CR": b"\r"}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_does_what_is_expected_of_real_mails(
    mailboxes: None,
    set_to: Callable[..., None],
    take: Take,
    ledger: Ledger,
    allowed: Callable[..., bool],
    end: bytes,
) -> None:
    shared_path("corpus/mail/index.json")
    set_to(unauthenticated_reports="accept")  # none is about a mail of ours
    expected: dict[str, bool] = {}
    for about in FILES:
        mail = (INDEX.parent / about["file"]).read_bytes()
        lines = mail.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", end)
        before = len(ledger.kinds())
        take(lines, REPORTS)
        named = {each["address"]: each["decision"] for each in about["expected"]}
        if about["file"] in NOT_THE_MAILBOX:
            named = dict.fromkeys(named, "do_not_suppress")
        new_events = len(ledger.kinds()) - before
        assert new_events == sum(each == "suppress" for each in named.values()), about["file"]
        for address, decision in named.items():
            if address is not None:
                expected[address] = expected.get(address, False) or decision == "suppress"
    assert {address: not allowed(address) for address in expected} == expected
