"""ID tokens that do not hold: each signs nobody in, and the audit says why."""

from __future__ import annotations

import hmac
import json
from base64 import urlsafe_b64encode
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.web.console.providers import KEY, NEW_KEY, OTHER_KEY, FakeProvider, sign
from tests.web.console.sign_ins import audit, browser
from tests.web.console.staff import words

if TYPE_CHECKING:
    from flask import Flask

    from tests.clock import Clock


def _encoded(*parts: bytes) -> bytes:
    return b".".join(urlsafe_b64encode(part).rstrip(b"=") for part in parts)


def _unsigned(claims: dict[str, Any]) -> str:
    parts = ({"alg": "none"}, claims)
    return _encoded(*(json.dumps(part).encode() for part in parts), b"").decode()


def _by_the_public_key(claims: dict[str, Any]) -> str:
    parts = ({"alg": "HS256", "kid": "k1"}, claims)
    signed = _encoded(*(json.dumps(part).encode() for part in parts))
    tag = hmac.digest(KEY.as_pem(private=False), signed, "sha256")
    return b".".join((signed, _encoded(tag))).decode()


TOKENS: dict[str, tuple[str, dict[str, Any]]] = {
    "another issuer": ("InvalidClaimError iss", {"claims": {"iss": "https://login.example.net"}}),
    "no issuer": ("MissingClaimError iss", {"claims": {"iss": None}}),
    "another audience": ("InvalidClaimError aud", {"claims": {"aud": "another-client"}}),
    "an audience that begins like ours": ("InvalidClaimError aud", {"claims": {"aud": "console2"}}),
    "several audiences without a party": (
        "MissingClaimError azp",
        {"claims": {"aud": ["console", "another"]}},
    ),
    "another authorized party": ("InvalidClaimError azp", {"claims": {"azp": "another"}}),
    "another nonce": ("InvalidClaimError nonce", {"claims": {"nonce": "of yesterday"}}),
    "no nonce": ("MissingClaimError nonce", {"claims": {"nonce": None}}),
    "expired": ("ExpiredTokenError exp", {"claims": {"exp": 1_600_000_000}}),
    "no expiry": ("MissingClaimError exp", {"claims": {"exp": None}}),
    "issued in the future": (
        "InvalidClaimError iat",
        {"claims": {"iat": 4_000_000_000, "exp": 4_000_000_300}},
    ),
    "an expiry that is a text": ("InvalidClaimError exp", {"claims": {"exp": "tomorrow"}}),
    "a subject that is a list": ("InvalidClaimError sub", {"claims": {"sub": ["u-1"]}}),
    "the hash of another access token": (
        "InvalidClaimError at_hash",
        {"claims": {"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}},
    ),
    "signed with another key": (
        "BadSignatureError",
        {"encode": lambda claims: sign(claims, OTHER_KEY)},
    ),
    "an unknown key": ("InvalidKeyIdError", {"encode": lambda claims: sign(claims, NEW_KEY)}),
    "no signature": ("UnsupportedAlgorithmError", {"encode": _unsigned}),
    "a shared secret that is the public key": (
        "UnsupportedAlgorithmError",
        {"encode": _by_the_public_key},
    ),
    "no token": ("there is none: is openid in CONSOLE_OIDC_SCOPE?", {"tokens": {"id_token": None}}),
    "no JWT": ("DecodeError", {"tokens": {"id_token": "<script>alert(1)</script>"}}),
    "userinfo of somebody else": ("userinfo is of another subject", {"userinfo": {"sub": "u-2"}}),
}


@pytest.mark.parametrize("error, odd", TOKENS.values(), ids=TOKENS.keys())
def test_a_token_that_does_not_hold_signs_nobody_in(
    app: Flask, provider: FakeProvider, error: str, odd: dict[str, Any]
) -> None:
    for name, value in odd.items():
        setattr(provider, name, value)
    ada = browser(app)
    answer = ada.sign_in(provider)
    assert answer.status_code == 403
    assert "You were not signed in" in words(answer)
    assert not ada.is_signed_in()
    (entry,) = audit(app)
    assert entry == (
        "console",
        "staff.sign_in_refused",
        {"reason": "invalid_token", "error": error},
    )


@pytest.mark.parametrize("seconds", [-59, 59])
def test_clocks_may_differ_by_a_minute(
    app: Flask, provider: FakeProvider, clock: Clock, seconds: int
) -> None:
    second = int(clock().timestamp()) + seconds
    provider.claims = {"iat": second, "exp": second if seconds < 0 else second + 300}
    assert browser(app).sign_in(provider).status_code == 303


def test_a_new_key_of_the_provider_is_read_at_once_but_not_for_anybody(
    app: Flask, provider: FakeProvider, clock: Clock
) -> None:
    assert browser(app).sign_in(provider).status_code == 303
    provider.keys = [KEY, NEW_KEY]
    provider.encode = lambda claims: sign(claims, NEW_KEY)
    clock.advance(timedelta(minutes=2))
    assert browser(app).sign_in(provider).status_code == 303
    provider.encode = lambda claims: sign(claims, OTHER_KEY)
    before = provider.count("/keys")
    for _ in range(3):
        assert browser(app).sign_in(provider).status_code == 403
    assert provider.count("/keys") == before
