"""Staff sign in at the company's OpenID Connect provider: code flow with PKCE, state and nonce.

ID tokens are verified by OpenID Connect Core 1.0, 3.1.3.7.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jws import JWSRegistry

from preference_center.core.errors import InvalidInput, PreferenceCenterError
from preference_center.core.staff import Role, validate_staff_name
from preference_center.infra.audit import insert_audit_entry
from preference_center.infra.config_sections import parse_role_groups
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.infra.keys.sealed_columns import staff_session_context
from preference_center.web.console import store
from preference_center.web.console.accounts import IDLE_LIFETIME
from preference_center.web.console.provider import GrantRefused, Provider, ProviderTokens
from preference_center.web.console.store import StaffSession

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


ATTEMPT_LIFETIME = timedelta(minutes=10)
"""How long somebody may take at the provider."""


MAX_GROUPS = 5_000


class RefusalReason(StrEnum):
    """Why somebody whom the provider sent is not signed in."""

    NOT_GRANTED = "not_granted"
    """The provider refused the code: it was used, or has expired."""
    INVALID_TOKEN = "invalid_token"  # noqa: S105 - no secret
    """Its ID token does not hold."""
    NO_NAME = "no_name"
    """The claim has no name that the audit can have."""
    NAME_TAKEN = "name_taken"
    """Somebody else is signed in by this name, or there is an account of it."""
    NO_ROLE = "no_role"
    """None of the groups has a role."""


class ProviderSignInRefused(PreferenceCenterError):
    """Somebody whom the provider sent is not signed in; the audit has it."""

    def __init__(self, reason: RefusalReason) -> None:
        super().__init__(reason.value)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class SignInAttempt:
    """What the browser keeps while somebody is at the provider, in the signed cookie."""

    state: str
    nonce: str
    verifier: str
    target: str
    """Where to go afterwards."""
    begun_at: str
    """ISO 8601."""

    def is_over(self, now: datetime) -> bool:
        """Whether it was begun too long ago."""
        age = now - datetime.fromisoformat(self.begun_at)
        return not timedelta() <= age <= ATTEMPT_LIFETIME


@dataclass(frozen=True, slots=True)
class Claims:
    """What the provider says of somebody: in its ID token, and at its userinfo endpoint."""

    id_token: Mapping[str, Any]
    userinfo: Mapping[str, Any]

    def get(self, name: str) -> Any:
        """A claim; userinfo comes first, since it is asked last."""
        return self.userinfo.get(name, self.id_token.get(name))


@dataclass(frozen=True, slots=True)
class StoredTokens:
    """The provider's tokens of a session, as they are sealed."""

    access_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)
    expires_at: str | None
    """Of the access token: ISO 8601, if it is known."""
    has_groups_in_userinfo: bool
    """Else the groups are in ID tokens only."""

    def seal(self, session_id: UUID) -> bytes:
        """Sealed for the session."""
        context = staff_session_context(session_id)
        return services().keys.seal(json.dumps(asdict(self)), context=context)


def open_tokens(session_id: UUID, sealed: bytes) -> StoredTokens:
    """The tokens that were sealed for a session."""
    text = services().keys.open(sealed, context=staff_session_context(session_id))
    return StoredTokens(**json.loads(text))


def stored_tokens(tokens: ProviderTokens, claims: Claims) -> StoredTokens:
    """What is kept of an answer of the token endpoint."""
    return StoredTokens(
        tokens.access_token,
        tokens.refresh_token,
        tokens.expires_at.isoformat() if tokens.expires_at else None,
        services().settings.console_oidc_groups_claim in claims.userinfo,
    )


def begin_attempt(provider: Provider, redirect_uri: str, target: str) -> tuple[str, SignInAttempt]:
    """Where to send the browser, and what it keeps. Raises ProviderUnavailable."""
    now = services().now()
    verifier = secrets.token_urlsafe(48)
    attempt = SignInAttempt(
        secrets.token_urlsafe(24), secrets.token_urlsafe(24), verifier, target, now.isoformat()
    )
    url = prepare_grant_uri(
        provider.metadata(now).authorization_endpoint,
        provider.client_id,
        "code",
        redirect_uri=redirect_uri,
        scope=services().settings.console_oidc_scope,
        state=attempt.state,
        nonce=attempt.nonce,
        code_challenge=create_s256_code_challenge(verifier),
        code_challenge_method="S256",
    )
    return str(url), attempt


def finish_attempt(
    provider: Provider, attempt: SignInAttempt, code: str, redirect_uri: str
) -> StaffSession:
    """The session of whom the provider sent back with a code.

    Raises ProviderUnavailable, or ProviderSignInRefused.
    """
    now = services().now()
    try:
        tokens = provider.redeem_code(code, attempt.verifier, redirect_uri, now)
        claims = _fetch_claims(provider, tokens, attempt.nonce, now)
    except GrantRefused as error:
        raise _refuse(RefusalReason.NOT_GRANTED, {"error": str(error)}) from error
    except InvalidIdToken as error:
        raise _refuse(RefusalReason.INVALID_TOKEN, {"error": str(error)}) from error
    who = {"issuer": provider.issuer, "subject": claims.id_token["sub"]}
    try:
        name = staff_name(claims)
    except InvalidInput as error:
        raise _refuse(RefusalReason.NO_NAME, who) from error
    roles = roles_of(claims)
    if not roles:
        raise _refuse(RefusalReason.NO_ROLE, who, name)
    session_id = services().new_id()
    sealed = stored_tokens(tokens, claims).seal(session_id)
    session = StaffSession(session_id, name, roles, tokens=sealed, **who)
    if run_in_transaction(lambda connection: _is_taken(connection, session, now)):
        raise _refuse(RefusalReason.NAME_TAKEN, who, name)
    return session


def _fetch_claims(provider: Provider, tokens: ProviderTokens, nonce: str, now: datetime) -> Claims:
    if tokens.id_token is None:
        raise InvalidIdToken("there is none: is openid in CONSOLE_OIDC_SCOPE?")
    id_token = verify_id_token(
        tokens.id_token, provider, now, access_token=tokens.access_token, nonce=nonce
    )
    userinfo = provider.fetch_userinfo(tokens.access_token, now)
    # OpenID Connect Core 5.3.2: else it is about somebody else.
    if userinfo and userinfo.get("sub") != id_token["sub"]:
        raise InvalidIdToken("userinfo is of another subject")
    return Claims(id_token, userinfo)


def staff_name(claims: Claims) -> str:
    """The name for the audit. Raises InvalidInput if the claim has none.

    In small letters: Ada and ada are one person, who can't agree with herself (decision 100).
    """
    text = claims.get(services().settings.console_oidc_name_claim)
    if not isinstance(text, str):
        raise InvalidInput("the claim is missing")
    return validate_staff_name(text.partition("@")[0].lower())


def roles_of(claims: Claims) -> frozenset[Role]:
    """The roles of somebody's groups: a claim with a list, or with one text."""
    settings = services().settings
    claim = settings.console_oidc_groups_claim
    # An address that nobody verified is whatever its holder wrote.
    if claim == "email" and claims.get("email_verified") is not True:
        return frozenset()
    listed = claims.get(claim)
    groups = [listed] if isinstance(listed, str) else listed
    if not isinstance(groups, list):
        return frozenset()
    by_group = parse_role_groups(settings.console_oidc_roles)
    found = [by_group.get(each) for each in groups[:MAX_GROUPS] if isinstance(each, str)]
    return frozenset().union(*filter(None, found))


def _is_taken(connection: Connection, session: StaffSession, now: datetime) -> bool:
    account = store.find_account(connection, session.name)
    if account is not None and account.disabled_at is None:
        return True
    return store.is_name_used(connection, session, now, now - IDLE_LIFETIME)


def _refuse(
    reason: RefusalReason, detail: Mapping[str, str], name: str = ""
) -> ProviderSignInRefused:
    actor = f"console:{name}" if name else "console"
    given = {"reason": reason.value, **detail}
    run_in_transaction(
        lambda connection: insert_audit_entry(
            connection, services().now(), actor, "staff.sign_in_refused", given
        )
    )
    return ProviderSignInRefused(reason)
