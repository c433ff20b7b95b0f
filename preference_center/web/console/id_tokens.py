"""Verifying ID tokens (OpenID Connect Core 1.0, 3.1.3.7)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jws import JWSRegistry

from preference_center.core.errors import PreferenceCenterError
from preference_center.web.console.provider import Provider

ALGORITHMS = frozenset(
    {
        *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
        *("ES256", "ES384", "ES512", "EdDSA", "Ed25519"),
    }
)
"""Never `none`, and none with a shared secret: a public key would do for one."""
LEEWAY_SECONDS = 60
"""How far clocks may differ."""


class InvalidIdToken(PreferenceCenterError):
    """The token is not from the provider, not for us, or not for this sign-in."""


def verify_id_token(
    text: str, provider: Provider, now: datetime, *, access_token: str, nonce: str | None
) -> Mapping[str, Any]:
    """The claims of an ID token. `nonce` is that of the sign-in; None for a refreshed token.

    Raises InvalidIdToken, or ProviderUnavailable if its keys can't be read.
    """
    metadata = provider.metadata(now)
    algorithms = ALGORITHMS.intersection(metadata.id_token_signing_alg_values_supported)
    registry = JWSRegistry(algorithms=sorted(algorithms), strict_check_header=False)
    try:
        try:
            token = jwt.decode(text, provider.keys(now), registry=registry)
        except InvalidKeyIdError:  # the provider has a new key
            token = jwt.decode(text, provider.keys(now, renew=True), registry=registry)
        claims = CodeIDToken(
            token.claims,
            token.header,
            {
                "iss": {"essential": True, "value": provider.issuer},
                "aud": {"essential": True, "value": provider.client_id},
                "sub": {"essential": True},
            },
            {"nonce": nonce, "client_id": provider.client_id, "access_token": access_token},
        )
        claims.validate(now=int(now.timestamp()), leeway=LEEWAY_SECONDS)
    # joserfc and Authlib raise the last two for odd types in a token that is signed.
    except (JoseError, ValueError, TypeError, AttributeError) as error:
        claim = getattr(error, "claim", "")
        raise InvalidIdToken(f"{type(error).__name__} {claim}".strip()) from error
    if not isinstance(claims["sub"], str):
        raise InvalidIdToken("InvalidClaimError sub")
    return dict(claims)
