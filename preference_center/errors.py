"""The exception tree. Every error we raise on purpose is a `PreferenceCenterError`.

Messages say what to mend and never hold an address or a token (I12).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class PreferenceCenterError(Exception):
    """Base of all errors raised on purpose."""


class ConfigError(PreferenceCenterError):
    """A setting is missing or wrong; the process must not start."""


class KeyMismatch(ConfigError):
    """A key differs from the one the stored data was made with."""


class NotDurable(ConfigError):
    """PostgreSQL acknowledges commits that a crash may take back; the process must not start."""


class DecryptionError(PreferenceCenterError):
    """Encrypted data was altered or belongs elsewhere; nothing of it is readable."""


class InvalidInput(PreferenceCenterError):
    """Something a caller sent can't be used; the message says what to mend."""


class MissingScopes(InvalidInput):
    """Groups of an imported list have no scope; `example` is a scope map to correct, in TOML."""

    def __init__(self, message: str, example: str) -> None:
        super().__init__(message)
        self.example = example


class InvalidAddress(InvalidInput):
    """The address can't be parsed. Unknown means no (I11)."""


class InvalidLink(InvalidInput):
    """A link's token is not one of ours, or was altered."""


class ExpiredLink(InvalidLink):
    """A pass of ours whose time is over; a fresh one can be had."""


class ProbeLink(InvalidLink):
    """A link of `flask check-domain`: it names nobody, and only `/u/` knows what it is."""


class UnreadableBody(InvalidInput):
    """A list of any length broke off on its way, can't be unpacked, or names no recipients."""


class UnknownTopic(InvalidInput):
    """The catalogue has no such topic."""


class WrongChannel(InvalidInput):
    """The topic is sent by another channel than the address is for."""


class UnknownMessageType(InvalidInput):
    """The catalogue has no such message type."""


class UnknownEvent(InvalidInput):
    """The ledger has no such event."""


class InvalidWatermark(InvalidInput):
    """The text is no watermark of ours."""


class StaleWatermark(InvalidInput):
    """A watermark of another line of history than the database's: start from a snapshot."""


class UnknownImport(InvalidInput):
    """There is no import of this id."""


class ImportConflict(PreferenceCenterError):
    """An import can't go on here or like this; says who has it, or what became of it."""


class CatalogueError(InvalidInput):
    """The catalogue can't be used. `problems` lists every fault at once."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class UnknownContact(InvalidInput):
    """There is no such contact."""


class AddressConflict(InvalidInput):
    """An address belongs to another contact; `index` says which of those that were given."""

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
    """What is wrong with one of many rows, and with which field of it (`addresses/0`)."""

    row: int
    field: str
    error: InvalidInput


class InvalidRows(InvalidInput):
    """Some of many rows can't be used, so none was. `faults` lists every fault at once."""

    def __init__(self, errors: Sequence[RowError]) -> None:
        super().__init__("\n".join(str(fault.error) for fault in errors))
        self.errors = tuple(errors)


class DestinationError(InvalidInput):
    """A destination can't be set up or changed like this; says the remedy."""


class InvalidList(InvalidInput):
    """A list to scrub can't be read as it is, or has nothing that tells where addresses are."""


class InvalidSnapshot(InvalidInput):
    """A file is no snapshot of ours, or not one to scrub by here and now."""


class UnavailableCause(StrEnum):
    """Why the database can't be used just now; for logs, never for clients."""

    UNREACHABLE = "unreachable"
    READ_ONLY = "read_only"
    """It answers and takes no writes: a standby, or a primary that was set so."""
    LOCK_TIMEOUT = "lock"
    """Others hold what is needed, and did not release it in time."""
    STATEMENT_TIMEOUT = "timeout"
    """A statement took too long."""
    UNRESPONSIVE = "silent"
    """No answer came in time: the server is frozen, or the network before it."""
    RESOURCES_EXHAUSTED = "full"
    """No connection, memory or disk is left."""


class Unavailable(PreferenceCenterError):
    """The database can't be used just now, for this `cause`.

    Nothing was written that would not be written once by trying again: ids are made before.
    """

    def __init__(
        self, message: str, cause: UnavailableCause = UnavailableCause.UNREACHABLE
    ) -> None:
        super().__init__(message)
        self.cause = cause


class MailServerNotConfigured(Unavailable):
    """SMTP_URL is not set, so we can send no mail; nothing was written."""
