"""The exception tree. Every error we raise on purpose is a `PreferenceCenterError`.

Messages state what to fix and never contain an address or a token (I12).
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar


class PreferenceCenterError(Exception):
    """Base of all errors raised on purpose."""


class ConfigError(PreferenceCenterError):
    """A setting is missing or wrong; the process must not start."""


class KeyMismatch(ConfigError):
    """A key differs from the one the stored data was made with."""


class NotDurable(ConfigError):
    """PostgreSQL acknowledges commits that a crash may lose; the process must not start."""


class DecryptionError(PreferenceCenterError):
    """Encrypted data was altered or belongs elsewhere; nothing of it is readable."""


class InvalidInput(PreferenceCenterError):
    """The caller's input can't be used; the message states what to fix."""


class MissingScopes(InvalidInput):
    """Groups of an imported list have no scope; `example` is a scope map to edit, in TOML."""

    def __init__(self, message: str, example: str) -> None:
        super().__init__(message)
        self.example = example


class InvalidAddress(InvalidInput):
    """The address can't be parsed. Unknown means no (I11)."""


class InvalidLink(InvalidInput):
    """A link's token is not one of ours, or was altered."""


class ReplacedLinkKey(InvalidLink):
    """A link made with a key that we have no more, or that only opts out since it leaked."""


class OtherLinkSignature(InvalidLink):
    """A complete link with the id of a key of ours, which that key did not sign."""


class ExpiredLink(InvalidLink):
    """A one-time link of ours that has expired or was used; the person may request a new one."""


class ProbeLink(InvalidLink):
    """A link of `flask check-domain`: it names nobody, and only `/u/` accepts it."""


class UnreadableBody(InvalidInput):
    """A streamed list is incomplete, can't be decompressed, or names no recipients."""


class UnknownTopic(InvalidInput):
    """The catalogue has no such topic."""


class WrongChannel(InvalidInput):
    """The topic's channel is not the address's channel."""


class UnknownMessageType(InvalidInput):
    """The catalogue has no such message type."""


class UnknownPolicyVersion(InvalidInput):
    """The catalogue has no such version of the privacy policy."""


class UnknownEvent(InvalidInput):
    """The ledger has no such event."""


class InvalidWatermark(InvalidInput):
    """The text is no watermark of ours."""


class StaleWatermark(InvalidInput):
    """A watermark of another epoch than the database's: start from a snapshot."""


class UnknownImport(InvalidInput):
    """There is no import of this id."""


class ImportConflict(PreferenceCenterError):
    """An import can't continue; the message states who holds it, or its outcome."""


class CatalogueError(InvalidInput):
    """The catalogue can't be used. `problems` lists all errors."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class CatalogueConflict(PreferenceCenterError):
    """Another version of the catalogue was applied since this one was compared."""


class UnknownContact(InvalidInput):
    """There is no such contact."""


class UnknownRequest(InvalidInput):
    """There is no such data-subject request."""


class AddressConflict(InvalidInput):
    """An address belongs to another contact; `index` is its index among the given addresses."""

    def __init__(self, index: int) -> None:
        super().__init__("this address belongs to another contact: merge the two if they are one")
        self.index = index


class ExternalIdConflict(InvalidInput):
    """The addresses belong to a contact that has another external id."""

    def __init__(self) -> None:
        super().__init__(
            "these addresses belong to a contact with another external id:"
            " merge the two if they are one"
        )


@dataclass(frozen=True, slots=True)
class RowError:
    """The error of one of many rows, and the field that has it (`addresses/0`)."""

    row: int
    field: str
    error: InvalidInput


class InvalidRows(InvalidInput):
    """Some of many rows are invalid, so none was used. `errors` lists all errors."""

    def __init__(self, errors: Sequence[RowError]) -> None:
        super().__init__("\n".join(str(each.error) for each in errors))
        self.errors = tuple(errors)


class UnknownErasure(InvalidInput):
    """There is no such erasure, or no such open task of it."""


class UnderHold(InvalidInput):
    """Nothing of this person may be erased while a legal hold lasts; the message has its ground."""


class NamesAddress(InvalidInput):
    """A text that is stored readable has an address or a phone number in it (I12)."""


class DestinationError(InvalidInput):
    """A destination can't be set up or changed like this; the message states the remedy."""


class SettingsChanged(DestinationError):
    """Somebody has changed a destination's settings since they were read; nothing was stored."""


class InvalidList(InvalidInput):
    """A list of addresses can't be read, or its column of addresses can't be determined."""


class InvalidSnapshot(InvalidInput):
    """A file is no snapshot of ours, or can't be used to scrub here and now."""


class UnavailableCause(StrEnum):
    """Why the database is unavailable; for logs, never for clients."""

    UNREACHABLE = "unreachable"
    READ_ONLY = "read_only"
    """It responds but accepts no writes: a standby, or a primary set to read only."""
    LOCK_TIMEOUT = "lock_timeout"
    """Another transaction did not release a lock in time."""
    STATEMENT_TIMEOUT = "statement_timeout"
    """A statement took too long."""
    UNRESPONSIVE = "unresponsive"
    """No response in time: the server or the network to it is frozen."""
    RESOURCES_EXHAUSTED = "resources_exhausted"
    """No connection or memory is left."""
    DISK_FULL = "disk_full"
    """No disk is left to the server, so it records nothing."""
    REFUSED = "refused"
    """It refuses the log-in, a right, or a function that it does not support."""
    SCHEMA = "schema"
    """Its tables are not those that this version needs: an upgrade is not finished."""
    KEYS = "keys"
    """Its digests are made with a newer key than this process has."""
    SERVER_ERROR = "server_error"
    """It failed by itself: its disk returns errors, or its data is damaged."""
    REPLAY_PENDING = "replay_pending"
    """It answers, and was restored: it lacks erasures, or other events, that it had."""
    JOURNAL = "journal"
    """It answers, and the erasure journal does not."""
    MAIL_NOT_CONFIGURED = "mail_not_configured"
    """Of what needs a mail, not of the database: there is no server to send it."""


class Unavailable(PreferenceCenterError):
    """The database is unavailable, for this `cause`.

    `reason` is what the server stated, for logs and operators; never data. A retry writes nothing
    twice: ids are made before.
    """

    usual_cause: ClassVar[UnavailableCause] = UnavailableCause.UNREACHABLE

    def __init__(
        self,
        message: str,
        cause: UnavailableCause | None = None,
        reason: str = "",
    ) -> None:
        super().__init__(message)
        self.cause = cause or self.usual_cause
        self.reason = reason

    @property
    def detail(self) -> str:
        """The cause, and what the server stated, for operators."""
        return f"{self.cause}: {self.reason}" if self.reason else self.cause

    @property
    def log_fields(self) -> dict[str, str]:
        """What a log line states of it."""
        return {"cause": self.cause} | ({"reason": self.reason} if self.reason else {})


class JournalUnavailable(Unavailable):
    """The erasure journal can't be read or written; what was erased stays erased."""

    usual_cause = UnavailableCause.JOURNAL


class ReplayPending(Unavailable):
    """The database was restored: erasures must be replayed, or opt-outs brought back, first."""

    usual_cause = UnavailableCause.REPLAY_PENDING


class MailServerNotConfigured(Unavailable):
    """SMTP_URL is not set, so we can send no mail; nothing was written."""

    usual_cause = UnavailableCause.MAIL_NOT_CONFIGURED


def quote_toml(text: str) -> str:
    """As TOML writes it."""
    return json.dumps(text, ensure_ascii=False)


def did_you_mean(word: str, known: Collection[str]) -> str | None:
    """The known word nearest to `word`, as a question; None if none is near."""
    near = difflib.get_close_matches(word, list(known), n=1)
    return f"did you mean {quote_toml(near[0])}?" if near else None


class ForbiddenTransition(InvalidInput):
    """The request is not in a state in which this can be done; the message names it."""
