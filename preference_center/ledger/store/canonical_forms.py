"""Whether addresses still have the canonical forms with which they were stored.

Libraries determine part of a canonical form: three versions of phonenumbers parse +5215512345678
in three ways. An address that was stored under another form than is looked up is not found, nor
is its opt-out. So the database stores a hash of the forms of some hundred samples, and no process
starts if its forms differ (`key_fingerprints`).
"""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.metadata import version
from pathlib import Path

from preference_center.core.addresses import NORM_VERSION, Channel, parse_address
from preference_center.core.errors import InvalidAddress, KeyMismatch
from preference_center.infra.db.transactions import Connection

FINGERPRINT_KEY = "canonical-forms"
"""The hash's row among the fingerprints of keys."""
_PROGRESS_KEY = "canonical-forms:renormalised"
"""The progress of `flask addresses renormalise`, and for which forms."""
_SAMPLES_PATH = Path(__file__).with_name("canonical_samples.txt")
_LIBRARIES = ("email-validator", "idna", "phonenumberslite")
_CHANNELS = {"email": Channel.EMAIL, "phone": Channel.PHONE}


@cache
def forms_hash() -> str:
    """The hash of the samples' canonical forms, as our rules and libraries make them; hex."""
    samples_hash = hashlib.sha256(f"{NORM_VERSION}\n".encode())
    for line in _SAMPLES_PATH.read_text(encoding="ascii").splitlines():
        channel, _, raw = line.partition("\t")
        samples_hash.update(
            f"{_forms(raw.encode().decode('unicode_escape'), _CHANNELS[channel])}\n".encode()
        )
    return samples_hash.hexdigest()


def verify_canonical_forms(connection: Connection) -> None:
    """Raise KeyMismatch if stored addresses have other forms; stores the hash if there is none."""
    stored = _load_fingerprint(connection, FINGERPRINT_KEY)
    if stored is None:
        accept_current_forms(connection)
    elif stored.partition(" ")[0] != forms_hash():
        made_with = stored.partition(" ")[2]
        raise KeyMismatch(
            "Addresses would be parsed differently than when they were stored, so opt-outs would"
            f" not be found. This database was made with {made_with}; installed are"
            f" {_libraries()}. Install the former (requirements.lock of that release), or run"
            " `flask addresses renormalise` with the latter while nothing else runs: it makes"
            " stored addresses findable under both forms."
        )


def accept_current_forms(connection: Connection) -> None:
    """Record that the stored addresses can be found under the current forms."""
    _save_fingerprint(connection, FINGERPRINT_KEY, f"{forms_hash()} {_libraries()}")
    connection.execute("DELETE FROM key_fingerprint WHERE key = %s", (_PROGRESS_KEY,))


def load_renormalised_id(connection: Connection) -> int:
    """The id of the address that `renormalise` processed last for the current forms, or 0."""
    forms, _, last = (_load_fingerprint(connection, _PROGRESS_KEY) or "").partition(" ")
    return int(last) if forms == forms_hash() else 0


def record_renormalised_id(connection: Connection, last_id: int) -> None:
    """Store the progress of `renormalise`."""
    _save_fingerprint(connection, _PROGRESS_KEY, f"{forms_hash()} {last_id}")


def _forms(raw: str, channel: Channel) -> str:
    try:
        forms = parse_address(raw, channel, region="IT").forms()
    except InvalidAddress:
        return "refused"
    return " ".join(f"{form}:{kind.value}" for form, kind in sorted(forms.items()))


def _libraries() -> str:
    return ", ".join(f"{name} {version(name)}" for name in _LIBRARIES)


def _load_fingerprint(connection: Connection, key: str) -> str | None:
    row = connection.execute(
        "SELECT fingerprint FROM key_fingerprint WHERE key = %s", (key,)
    ).fetchone()
    return row[0] if row else None


def _save_fingerprint(connection: Connection, key: str, text: str) -> None:
    connection.execute(
        "INSERT INTO key_fingerprint (key, fingerprint) VALUES (%s, %s)"
        " ON CONFLICT (key) DO UPDATE SET fingerprint = EXCLUDED.fingerprint",
        (key, text),
    )
