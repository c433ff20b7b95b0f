"""File drop: a CSV file per batch, for a tool that a person feeds by hand, or that fetches it.

What becomes of the file is out of our sight: it counts as delivered when it lies in the
folder, be that on this machine, on an SFTP server or in an S3 bucket (`folders`).
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

from preference_center.domain.addresses import Channel
from preference_center.domain.sync.capabilities import Capabilities, Scopes
from preference_center.domain.sync.contract import Item, Outcome, Result
from preference_center.integrations.base.check_report import Report
from preference_center.integrations.base.contract import Setup
from preference_center.integrations.base.http import Http
from preference_center.integrations.base.mapping import ensure_fits
from preference_center.integrations.base.spec import Entry, Proof
from preference_center.integrations.file_drop.folders import folder_of

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
        "folder": "absolute path of an existing folder that the workers may write to, or "
        "sftp://user@host/folder, or s3://bucket/folder; the files hold addresses, so few people "
        "should read it",
        "host_key?": "SFTP, needed there: fingerprint of the server's key, SHA256:..., as "
        "`ssh-keyscan HOST | ssh-keygen -lf -` shows it and its owner confirms; several, "
        "separated by spaces",
        "password?": "SFTP: the user's password",
        "key_file?": "SFTP: path of a private key that the workers may read, instead",
        "region?": "S3: the region of the bucket, as in eu-central-1",
        "access_key_id?": "S3: key of a user who may s3:ListBucket and s3:PutObject there; left "
        "out, the role that the worker runs as counts",
        "secret_access_key?": "S3: the secret that goes with it",
        "base_url?": "S3: address of another service that speaks S3",
    }

    def __init__(self, setup: Setup, http: Http) -> None:
        self._setup = setup
        self._http = http
        self._folder = folder_of(setup, http)

    def check(self) -> Report:
        """See Connector."""
        return self._folder.check()

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
        ending = f"-{_content_id(self._setup.name, items)}.csv"
        name = f"{self._http.now():%Y%m%dT%H%M%SZ}{ending}"
        return self._folder.drop(name, ending, _as_csv(items, self._setup.topics).encode())


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
    against="files and SFTP with every test run, S3 by moto 5.2.5 and `make test-real`",
    capabilities=FileDrop.capabilities,
    own_settings=FileDrop.settings,
    secrets=frozenset({"password", "secret_access_key"}),
    sources=(),
    build=FileDrop,
    notes=("[The file drop](file-drop.md) says what the columns mean.",),
    extra="drop",
    extra_for="folders on SFTP servers and in S3 buckets",
    paced=False,
)
