"""Whose report it is: by the DKIM signature of a reporter that the company trusts (decision 25)."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import dkim
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from preference_center.inbound.mail import has_trusted_signature
from tests.inbound.mail.fixtures import REPLIES, REPORTS, Take
from tests.inbound.rules.reports import arf, dsn, failed
from tests.ledger.tables import Ledger

if TYPE_CHECKING:
    from flask import Flask

JANE = "jane.doe@example.com"
REPORTER = "abusedesk@provider.example"
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PRIVATE = KEY.private_bytes(
    serialization.Encoding.PEM,
    serialization.PrivateFormat.TraditionalOpenSSL,
    serialization.NoEncryption(),
)
PUBLIC = base64.b64encode(
    KEY.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
)
REPORT = arf(f"Original-Rcpt-To: {JANE}").replace(b"\n", b"\r\n")


class Keys:
    """A resolver that knows the provider's key, and what it was asked for."""

    def __init__(self, *domains: str) -> None:
        self._known = {f"s1._domainkey.{domain}." for domain in domains}
        self.asked: list[str] = []

    def __call__(self, name: bytes, timeout: int = 5) -> bytes | None:  # noqa: ARG002 - dkimpy's
        self.asked.append(name.decode())
        return b"v=DKIM1; k=rsa; p=" + PUBLIC if name.decode() in self._known else None


def signed(
    mail: bytes = REPORT, domain: str = "provider.example", *, length: bool = False
) -> bytes:
    """`mail` with the provider's signature."""
    header = dkim.sign(mail, b"s1", domain.encode(), PRIVATE, length=length)
    return bytes(header) + mail


def verify(mail: bytes, *senders: str, domain: str = "provider.example") -> bool:
    return has_trusted_signature(mail, senders or (REPORTER,), Keys(domain))


class TestSignature:
    @pytest.mark.parametrize("sender", [REPORTER, "@provider.example"])
    def test_one_of_a_trusted_reporter_verifies(self, sender: str) -> None:
        assert verify(signed(), sender)

    def test_so_it_does_as_a_maildir_has_it(self) -> None:
        assert verify(signed().replace(b"\r\n", b"\n"))

    def test_that_of_the_domain_above_is_aligned(self) -> None:
        mail = REPORT.replace(REPORTER.encode(), b"fbl@arf.provider.example")
        assert verify(signed(mail), "fbl@arf.provider.example")

    @pytest.mark.parametrize("sender", ["other@provider.example", "@example", "@other.example"])
    def test_that_of_anybody_else_does_not(self, sender: str) -> None:
        keys = Keys("provider.example")
        assert not has_trusted_signature(signed(), (sender,), keys)
        assert keys.asked == []

    def test_another_domains_is_not_asked_for(self) -> None:
        keys = Keys("attacker.example")
        assert not has_trusted_signature(signed(domain="attacker.example"), (REPORTER,), keys)
        assert keys.asked == []

    @pytest.mark.parametrize(
        "change",
        [
            lambda mail: mail.replace(JANE.encode(), b"paul@example.org"),
            lambda mail: mail + b"more\r\n",
            lambda mail: b"From: <abusedesk@provider.example>\r\n" + mail,
            lambda mail: mail[mail.index(b"From:") :],
        ],
        ids=["another victim", "a longer body", "a second From", "no signature"],
    )
    def test_a_changed_mail_does_not(self, change: Callable[[bytes], bytes]) -> None:
        assert not verify(change(signed()))

    def test_one_of_a_part_of_the_body_does_not(self) -> None:
        assert not verify(signed(length=True))

    def test_without_a_key_nothing_is_proved(self) -> None:
        assert not verify(signed(), domain="elsewhere.example")

        def away(*_: object, **_named: object) -> bytes:
            raise TimeoutError

        assert not has_trusted_signature(signed(), (REPORTER,), away)

    @pytest.mark.parametrize(
        "tags", [b"", b"d=", b"v=1; d=provider.example; s=", b"=;=;;", b"\xff"]
    )
    def test_a_broken_one_does_not(self, tags: bytes) -> None:
        assert not verify(b"DKIM-Signature: " + tags + b"\r\n" + REPORT)


class TestReports:
    @pytest.fixture
    def keys(
        self,
        app: Flask,
        mailboxes: None,  # noqa: ARG002 - after it
        set_to: Callable[..., None],
        monkeypatch: pytest.MonkeyPatch,
    ) -> Keys:
        from preference_center.infra.context import EXTENSION_NAME

        set_to(trusted_reporters=REPORTER)
        keys = Keys("provider.example")
        monkeypatch.setitem(
            app.extensions, EXTENSION_NAME, replace(app.extensions[EXTENSION_NAME], lookup_txt=keys)
        )
        return keys

    def test_a_signed_complaint_counts(self, keys: Keys, take: Take, ledger: Ledger) -> None:
        assert take(signed(), REPORTS).queued_for_review == 0
        assert ledger.kinds() == [("complained", "all_marketing")]
        assert keys.asked

    def test_a_forged_one_waits_for_review(self, keys: Keys, take: Take, ledger: Ledger) -> None:
        for mail in (REPORT, signed().replace(JANE.encode(), b"paul@example.org")):
            assert take(mail, REPORTS).queued_for_review == 1
        assert (ledger.kinds(), len(keys.asked)) == ([], 1)  # the first has no signature

    def test_only_a_reporter_is_believed_and_nobody_elses_key_asked_for(
        self, keys: Keys, take: Take, ledger: Ledger
    ) -> None:
        assert take(dsn(failed(JANE)), REPORTS).queued_for_review == 1
        assert (ledger.kinds(), keys.asked) == ([], [])

    def test_a_signed_report_at_an_address_for_replies_is_not(
        self, keys: Keys, take: Take, ledger: Ledger
    ) -> None:
        assert take(signed(), REPLIES).queued_for_review == 1
        assert (ledger.kinds(), keys.asked) == ([], [])
