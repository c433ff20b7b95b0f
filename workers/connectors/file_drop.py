"""File drop: a CSV file per batch, for a tool that a person feeds by hand.

What the person does with the file is out of our sight: a file counts as delivered when it
lies in the folder.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from preference_center.domain.addresses import Channel
from workers.connectors.base import (
    Capabilities,
    DeliveryError,
    Item,
    Outcome,
    Report,
    Result,
    Scopes,
    Setup,
)
from workers.connectors.entry import Entry, Proof
from workers.connectors.http import Http, LeaseOver
from workers.connectors.mapping import ensure_fits

COLUMNS = {
    "address": "the email address, or the phone number with + and country code",
    "channel": "email, sms or phone",
    "topic": "what is turned off or on, by the tool's own name where one is mapped; "
    "* is all marketing",
    "state": "off or on",
    "since": "when the choice reached us (UTC, ISO 8601); empty if unknown",
    "version": "the ledger's version of the choice: of two rows for one address and topic, "
    "the larger holds",
}
EVERYTHING = "*"
_FORMULA = re.compile(r"[=+\-@\t\r\n|%]")
_PHONE = re.compile(r"\+[0-9]{4,15}")


class FileDrop:
    """One folder."""

    kind: ClassVar[str] = "file_drop"
    capabilities: ClassVar[Capabilities] = Capabilities(
        channels=frozenset(Channel),
        scopes=frozenset(Scopes),
        can_lift=True,
        batch_size=10_000,
        needs_mapping=False,
    )
    settings: ClassVar[Mapping[str, str]] = {
        "folder": "absolute path of an existing folder that the workers may write to; "
        "the files hold addresses, so few people should read it",
    }

    def __init__(self, setup: Setup, http: Http) -> None:
        self._setup = setup
        self._http = http
        self._folder = Path(setup.settings["folder"])

    def check(self) -> Report:
        """See Connector."""
        if not self._folder.is_absolute():
            return Report(("folder: write the absolute path",))
        if not self._folder.is_dir():
            return Report(("folder: there is no such folder: make it",))
        if not os.access(self._folder, os.W_OK | os.X_OK):
            return Report(("folder: the workers may not write there: change its rights",))
        return Report()

    def push(self, batch: Sequence[Item]) -> Mapping[int, Outcome]:
        """See Connector. A retry of the same states finds its file and writes no second.

        Addresses that a spreadsheet would run as a formula are refused: escaped they
        would be another address, and as they are they would be a trap.
        """
        if not batch:
            return {}
        ensure_fits(batch, self._setup, self.capabilities)
        outcomes = {
            item.ref: Outcome(Result.REFUSED, "begins like a formula: enter it by hand")
            for item in batch
        }
        safe = [item for item in batch if is_safe(item.address)]
        if safe:
            name = self._drop(safe)
            outcomes |= {item.ref: Outcome(Result.REFLECTED, name) for item in safe}
        return outcomes

    def _drop(self, items: Sequence[Item]) -> str:
        content_id = _content_id(self._setup.name, items)
        try:
            for there in self._folder.glob(f"*-{content_id}.csv"):
                return there.name
            stamp = f"{self._http.now():%Y%m%dT%H%M%SZ}"
            name = f"{stamp}-{content_id}.csv"
            self._write(name, _as_csv(items, self._setup.topics))
        except (FileNotFoundError, NotADirectoryError, PermissionError) as error:
            raise DeliveryError(
                f"{self._setup.name}: the folder can't be written: mend it", permanent=True
            ) from error
        except OSError as error:
            raise DeliveryError(f"{self._setup.name}: writing failed, {error.strerror}") from error
        return name

    def _write(self, name: str, text: str) -> None:
        """Write `name` whole or not at all, also through a power cut."""
        scratch = self._folder / f".{name}.{self._http.nonce()}.part"
        try:
            handle = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640)
            with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            if not self._http.alive():
                raise LeaseOver(f"{self._setup.name}: the lease is over, nothing dropped")
            scratch.rename(self._folder / name)
        finally:
            scratch.unlink(missing_ok=True)
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def is_safe(text: str) -> bool:
    """Whether no spreadsheet takes a cell with `text` for a formula (CSV injection).

    https://owasp.org/www-community/attacks/CSV_Injection. A plain phone number begins
    with + and is only a number to a spreadsheet.
    """
    return bool(_PHONE.fullmatch(text)) or not _FORMULA.match(text)


def _content_id(destination: str, items: Sequence[Item]) -> str:
    states = sorted((item.ref, item.version) for item in items)
    return hashlib.sha256(json.dumps([destination, states]).encode()).hexdigest()[:12]


def _as_csv(items: Sequence[Item], names: Mapping[str, str]) -> str:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for item in items:
        writer.writerows(_rows(item, names))
    return text.getvalue()


def _rows(item: Item, names: Mapping[str, str]) -> Iterator[tuple[str, ...]]:
    states = [(names.get(topic, topic), "off") for topic in sorted(item.off)]
    if item.all_off:
        states.insert(0, (EVERYTHING, "off"))
    states += [(names.get(topic, topic), "on") for topic in sorted(item.lift)]
    since = item.since.isoformat() if item.since else ""
    for topic, state in states:
        shown = topic if is_safe(topic) else f"'{topic}"
        yield (item.address, item.channel.value, shown, state, since, str(item.version))


ENTRY = Entry(
    kind=FileDrop.kind,
    title="File drop (CSV)",
    proof=Proof.REAL,
    capabilities=FileDrop.capabilities,
    own_settings=FileDrop.settings,
    secrets=frozenset(),
    sources=(),
    build=FileDrop,
    paced=False,
)
