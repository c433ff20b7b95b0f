"""Staff have sessions of the console, and may have accounts of our own with a password and codes.

Sessions are short, and end at once where somebody says so.

The codes of an account are those of an authenticator (TOTP, RFC 6238). An account is made by
command. Its person sets the password with a link that works once, and scans the secret there.
Passwords are hashed by argon2id with the library's parameters, which are those of RFC 9106 for
small memory.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from hashlib import sha256
from threading import Lock
from uuid import UUID

import pyotp
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError
from pyotp.exceptions import OTPVerificationError

from preference_center.core.errors import InvalidInput, PreferenceCenterError
from preference_center.core.staff import Role, validate_staff_name
from preference_center.infra.audit import insert_audit_entry
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_autocommit, run_in_transaction
from preference_center.infra.keys.sealed_columns import staff_account_context
from preference_center.web.console import store
from preference_center.web.console.store import StaffAccount, StaffSession

SESSION_LIFETIME = timedelta(hours=8)
"""A working day: then one signs in again."""


IDLE_LIFETIME = timedelta(minutes=30)


RETENTION = timedelta(days=1)
"""How long a session is kept after it expired: the audit keeps who signed in."""


_TOUCH_INTERVAL = timedelta(minutes=1)


def begin_session(session: StaffSession) -> str:
    """Begin a session of somebody who has signed in, and return its token for the cookie."""
    now, token = services().now(), secrets.token_urlsafe(32)

    def begin(connection: Connection) -> None:
        expires_at = now + SESSION_LIFETIME
        store.insert_session(connection, session, token_digest(token), now, expires_at)
        detail = {
            "roles": sorted(session.roles),
            "issuer": session.issuer or "",
            "subject": session.subject or "",
        }
        insert_audit_entry(connection, now, actor_of(session), "staff.signed_in", detail)

    run_in_transaction(begin)
    return token


def find_session(token: str, *, is_poll: bool = False) -> StaffSession | None:
    """The session of a cookie's token, if it is in use; it counts as seen now.

    Not so if `is_poll`: a page that asks by itself whether something is new keeps no session
    alive of somebody who has left.
    """
    now = services().now()
    session = run_autocommit(
        lambda connection: store.find_session(
            connection, token_digest(token), now, now - IDLE_LIFETIME
        )
    )
    seen = session.last_seen_at if session else None
    if session and seen and seen <= now - _TOUCH_INTERVAL and not is_poll:
        touched = session.id
        run_autocommit(lambda connection: store.touch_session(connection, touched, now))
    return session


def list_sessions() -> Sequence[StaffSession]:
    """Every session in use, the one seen last first."""
    now = services().now()
    return run_in_transaction(
        lambda connection: store.list_sessions(connection, now, now - IDLE_LIFETIME)
    )


def end_session(session_id: UUID, actor: str) -> bool:
    """End a session; false if it had ended."""
    now = services().now()

    def end(connection: Connection) -> bool:
        name = store.end_session(connection, session_id, now)
        if name is not None:
            insert_audit_entry(connection, now, actor, "staff.session_ended", {"name": name})
        return name is not None

    return run_in_transaction(end)


def end_sessions_of(connection: Connection, name: str, actor: str) -> int:
    """End every session of one name, in a transaction of the caller."""
    now = services().now()
    ended = store.end_sessions_of(connection, name, now)
    if ended:
        detail = {"name": name, "sessions": str(ended)}
        insert_audit_entry(connection, now, actor, "staff.sessions_ended", detail)
    return ended


def delete_old_sessions(now: datetime) -> int:
    """Delete what expired long ago, with a provider's tokens, and return how many there were."""
    return run_autocommit(lambda connection: store.delete_old_sessions(connection, now - RETENTION))


def actor_of(session: StaffSession) -> str:
    """Who it is in events and in the audit."""
    return f"console:{session.name}"


def token_digest(token: str) -> bytes:
    """How a random token is stored: 256 bits need no salt and no slow hash."""
    return sha256(token.encode()).digest()


ENROLMENT_LIFETIME = timedelta(days=2)


MIN_PASSWORD_LENGTH = 12
"""NIST SP 800-63B 3.1.1.2 wants 8 next to a second factor."""


MAX_PASSWORD_LENGTH = 256


RECOVERY_CODES = 10


FREE_FAILURES = 4
"""Wrong passwords or codes in a row before the account waits."""


FIRST_LOCK, LONGEST_LOCK = timedelta(minutes=1), timedelta(hours=1)


class SignInBusy(PreferenceCenterError):
    """Another password is being hashed in this process: try again in a second."""


class SignInRefused(InvalidInput):
    """The name, the password or the code is wrong, or the account waits; not said which."""


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What the person of a new account needs: the secret for the authenticator."""

    name: str
    totp_uri: str
    """`otpauth://`, as authenticators scan it."""
    totp_secret: str


@cache
def _hasher() -> PasswordHasher:
    return PasswordHasher()


@contextmanager
def _one_hash() -> Iterator[None]:
    """Inside, no other thread hashes. Raises SignInBusy.

    A hash takes 64 MiB, and anybody can cause one: sixteen at once took a pod's memory, and its
    threads from the unsubscribe pages.
    """
    if not _hashing.acquire(blocking=False):
        raise SignInBusy
    try:
        yield
    finally:
        _hashing.release()


_hashing = Lock()


@cache
def _hash_of_nothing() -> str:
    """Verified where there is no account, so that both take as long."""
    return _hasher().hash(secrets.token_urlsafe(24))


def create_account(name: str, roles: Collection[Role], actor: str) -> str:
    """Create an account, and return the token of the link that sets its password.

    Raises InvalidInput for a name that is taken or not allowed.
    """
    validate_staff_name(name)
    if name != name.lower():
        raise InvalidInput("the name of an account has small letters only: Ada and ada are one")
    token, secret = secrets.token_urlsafe(32), _new_secret(name)
    now = services().now()

    def create(connection: Connection) -> None:
        enrolment = (token_digest(token), now + ENROLMENT_LIFETIME)
        store.insert_account(connection, name, roles, secret, enrolment, now)
        detail = {"name": name, "roles": sorted(roles)}
        insert_audit_entry(connection, now, actor, "staff.account_created", detail)

    run_in_transaction(create)
    return token


def reset_account(name: str, actor: str) -> str:
    """Forget password, authenticator and sessions; return the token of the link for new ones.

    Raises InvalidInput if there is no such account, or if it is disabled or the actor's own.
    """
    _refuse_own_account(name, actor)
    token, secret = secrets.token_urlsafe(32), _new_secret(name)
    now = services().now()

    def reset(connection: Connection) -> None:
        enrolment = (token_digest(token), now + ENROLMENT_LIFETIME)
        if not store.begin_enrolment(connection, name, secret, enrolment):
            if store.find_account(connection, name):
                raise InvalidInput(f"the account {name} is disabled: enable it, then reset it")
            raise _no_account(name)
        end_sessions_of(connection, name, actor)
        insert_audit_entry(connection, now, actor, "staff.account_reset", {"name": name})

    run_in_transaction(reset)
    return token


def change_account(
    name: str,
    actor: str,
    *,
    roles: Collection[Role] | None = None,
    disabled: bool | None = None,
) -> None:
    """Give an account other roles, enable it, or disable it, which ends its sessions.

    What is None stays. Raises InvalidInput if there is no such account, or if it is the actor's
    own: so there is always somebody left who can.
    """
    _refuse_own_account(name, actor)
    now = services().now()

    def change(connection: Connection) -> None:
        if not store.change_account(connection, name, now, roles=roles, disabled=disabled):
            raise _no_account(name)
        if disabled:
            end_sessions_of(connection, name, actor)
        detail = {"name": name} | ({"roles": sorted(roles)} if roles else {})
        done = "changed" if roles else "disabled" if disabled else "enabled"
        insert_audit_entry(connection, now, actor, f"staff.account_{done}", detail)

    run_in_transaction(change)


def console_url(path: str) -> str:
    """The URL of a path of the console: of the settings, never of the Host header."""
    settings = services().settings
    return f"{(settings.console_url or settings.public_url).rstrip('/')}{path}"


def _refuse_own_account(name: str, actor: str) -> None:
    if actor == f"console:{name}":
        raise InvalidInput("Nobody changes their own account: ask another administrator.")


def find_enrolment(token: str) -> Enrolment | None:
    """What the holder of an enrolment link needs; None if it was used or has expired."""
    now = services().now()
    account = run_in_transaction(
        lambda connection: store.find_enrolling_account(connection, token_digest(token), now)
    )
    if account is None:
        return None
    totp = _totp(account)
    return Enrolment(account.name, totp.provisioning_uri(name=account.name), totp.secret)


def enrol(token: str, password: str, code: str) -> Sequence[str]:
    """Set the password of an account by its link, and return its recovery codes.

    `code` shows that the authenticator has the secret. Raises InvalidInput that says what to
    change, and SignInBusy; the link works until it has succeeded.
    """
    now = services().now()
    if not MIN_PASSWORD_LENGTH <= len(password) <= MAX_PASSWORD_LENGTH:
        raise InvalidInput(f"A password has {MIN_PASSWORD_LENGTH} characters or more.")
    with _one_hash():
        password_hash = _hasher().hash(password)
    codes = [_new_recovery_code() for _ in range(RECOVERY_CODES)]

    def finish(connection: Connection) -> None:
        account = store.find_enrolling_account(connection, token_digest(token), now)
        if account is None:
            raise InvalidInput("This link was used or has expired: ask for a new one.")
        step = _find_step(account, code, now)
        if step is None:
            raise InvalidInput("The code is wrong: write the one that the authenticator shows now.")
        digests = [_code_digest(code) for code in codes]
        if not store.finish_enrolment(connection, account.id, password_hash, step, digests):
            raise InvalidInput("This link was used or has expired: ask for a new one.")
        insert_audit_entry(
            connection, now, f"console:{account.name}", "staff.enrolled", {"name": account.name}
        )

    run_in_transaction(finish)
    return codes


def authenticate(name: str, password: str, code: str) -> StaffAccount:
    """The account that these three belong to. `code` may be a recovery code, which is used up.

    Raises SignInBusy, with nothing recorded; and SignInRefused, and records the failure: after
    FREE_FAILURES in a row the account waits, twice as long each time.
    """
    now = services().now()
    account = run_in_transaction(lambda connection: store.find_account(connection, name))
    with _one_hash():
        stored = account.password_hash if account and account.password_hash else _hash_of_nothing()
        is_right = _verify_password(stored, password)
    if account is None or account.password_hash is None or account.disabled_at is not None:
        raise SignInRefused
    if account.locked_until is not None and account.locked_until > now:
        raise SignInRefused
    known = account
    used = is_right and run_in_transaction(
        lambda connection: _use_code(connection, known, code, now)
    )
    if not used:
        run_in_transaction(lambda connection: _record_failure(connection, known, now))
        raise SignInRefused
    return account


def _verify_password(stored: str, password: str) -> bool:
    if len(password) > MAX_PASSWORD_LENGTH:
        return False
    try:
        return _hasher().verify(stored, password)
    except (VerifyMismatchError, InvalidHashError):
        return False


def _use_code(connection: Connection, account: StaffAccount, code: str, now: datetime) -> bool:
    step = _find_step(account, code, now)
    if step is not None:
        return store.use_totp_step(connection, account.id, step)
    return store.use_recovery_code(connection, account.id, _code_digest(code))


def _find_step(account: StaffAccount, code: str, now: datetime) -> int | None:
    """The time step that a code is of: now's, or the one before or after (RFC 6238 5.2)."""
    try:
        return _totp(account).verify_and_get_timecode(
            code.replace(" ", ""), for_time=now, valid_window=1
        )
    except OTPVerificationError:
        return None


def _record_failure(connection: Connection, account: StaffAccount, now: datetime) -> None:
    failures = store.count_failure(connection, account.id)
    if failures > FREE_FAILURES:
        store.lock_account(connection, account.id, now + lock_time(failures))
    detail = {"name": account.name, "failures": str(failures)}
    insert_audit_entry(connection, now, f"console:{account.name}", "staff.sign_in_refused", detail)


def lock_time(failures: int) -> timedelta:
    """How long an account waits after so many failures in a row."""
    doublings = min(failures - FREE_FAILURES - 1, 10)
    return min(FIRST_LOCK * (1 << doublings), LONGEST_LOCK)


def _totp(account: StaffAccount) -> pyotp.TOTP:
    secret = services().keys.open(account.totp_secret, context=staff_account_context(account.name))
    return pyotp.TOTP(secret, issuer="Preference center")


def _new_secret(name: str) -> bytes:
    return services().keys.seal(pyotp.random_base32(), context=staff_account_context(name))


def _new_recovery_code() -> str:
    """Ninety-five bits, in groups that can be copied by hand."""
    text = pyotp.random_base32()[:20].lower()
    return "-".join(text[start : start + 5] for start in range(0, 20, 5))


def _code_digest(code: str) -> bytes:
    return sha256(code.replace(" ", "").lower().encode()).digest()


def _no_account(name: str) -> InvalidInput:
    return InvalidInput(f"there is no account {name}: `flask staff list` shows all")
