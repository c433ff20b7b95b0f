"""This connector drops a CSV file per batch, for a tool that imports files.

A person or the tool itself imports them. A batch counts as delivered when its file is in the
folder, on this machine, on an SFTP server or in an S3 bucket (`client.py`, `remote_folders.py`):
what happens to the file later is not known.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import ClassVar
from urllib.parse import urlsplit

from preference_center.core.channels import CHANNEL_CHOICE
from preference_center.core.networks import NETWORKS_SETTING
from preference_center.integrations.base import runtime
from preference_center.integrations.file_drop.client import (
    DropFolder,
    LocalFolder,
    UnreadableFolder,
)

COLUMNS = {
    "address": "the email address, or the phone number with + and country code",
    "channel": CHANNEL_CHOICE,
    "topic": "what is turned off or on, by the tool's own name where one is mapped; "
    "* is all marketing",
    "state": "off or on; frequency: how often the person wants the topic, which turns nothing on "
    "or off; erase: delete what the tool holds about the address, but its opt-out",
    "since": "when we received the choice (UTC, ISO 8601); empty if unknown",
    "version": "the ledger's version of the choice: of two rows for one address and topic, "
    "the larger holds; empty for erase",
    "frequency": "how often, by its key in the catalogue; empty in all other rows",
}
ALL_TOPICS = "*"
_FORMULA = re.compile(r"[=+\-@\t\r\n|%]")
_PHONE = re.compile(r"\+[0-9]{4,15}")


class FileDropConnector:
    """One folder."""

    kind: ClassVar[str] = "file_drop"
    capabilities: ClassVar[runtime.Capabilities] = runtime.Capabilities(
        channels=frozenset(runtime.Channel),
        scopes=frozenset(runtime.SupportedScope),
        can_lift=True,
        batch_size=10_000,
        needs_mapping=False,
        pushes_frequency=True,
        erase=runtime.EraseMode.KEEPS_OPT_OUT,
        erase_note="A file with the state `erase` is written; what imports the files deletes "
        "what the tool holds about the address, and keeps the opt-out. Files that hold the "
        "address are deleted by the owner of the folder.",
    )
    settings: ClassVar[Mapping[str, str]] = {
        "folder": "absolute path of an existing folder below FILE_DROP_ROOT that the workers may "
        "write to, or "
        "sftp://user@host/folder, or s3://bucket/folder; the files hold addresses, so few people "
        "should read it",
        "host_key?": "SFTP, needed there: fingerprint of the server's key, SHA256:..., as "
        "`ssh-keyscan HOST | ssh-keygen -lf -` shows it and its owner confirms; several, "
        "separated by spaces",
        "password?": "SFTP: the user's password",
        "key_file?": "SFTP: path of a private key that the workers may read, instead",
        "region?": "S3: the region of the bucket, as in eu-central-1",
        "access_key_id?": "S3: key of a user who may s3:ListBucket and s3:PutObject there; if "
        "missing, the worker's own role is used",
        "secret_access_key?": "S3: the secret that goes with it",
        "base_url?": "S3: address of another service that speaks S3",
        f"{NETWORKS_SETTING}?": "SFTP, S3: networks inside the company in which the server is, on "
        "any port and by http:// too; inside PRIVATE_NETWORKS. Else a public address, and S3 https",
    }

    def __init__(self, config: runtime.DestinationConfig, http: runtime.HttpContext) -> None:
        self._config = config
        self._http = http
        self._folder = _open_folder(config, http)

    def check(self) -> runtime.CheckReport:
        """See Connector."""
        return self._folder.check()

    def push(self, batch: Sequence[runtime.PushItem]) -> Mapping[int, runtime.PushOutcome]:
        """See Connector. A retry of the same states finds its file and writes no second one.

        Addresses that a spreadsheet would run as a formula are refused: escaped they would be
        other addresses.
        """
        if not batch:
            return {}
        runtime.validate_batch(batch, self._config, self.capabilities)
        outcomes = {
            item.ref: runtime.refused("begins like a formula: enter it by hand") for item in batch
        }
        safe = [item for item in batch if is_csv_safe(item.address)]
        if safe:
            name = self._write_file(safe)
            outcomes |= {item.ref: runtime.reflected(name) for item in safe}
        return outcomes

    def erase(self, batch: Sequence[runtime.EraseItem]) -> Mapping[int, runtime.PushOutcome]:
        """See SupportsErase. A retry may write a second file, which does no harm."""
        if not batch:
            return {}
        items = [runtime.PushItem(item.ref, item.address, item.channel) for item in batch]
        runtime.validate_batch(items, self._config, self.capabilities)
        outcomes = {item.ref: runtime.refused("begins like a formula") for item in batch}
        safe = [item for item in batch if is_csv_safe(item.address)]
        if safe:
            rows = [(i.address, i.channel.value, ALL_TOPICS, "erase", "", "", "") for i in safe]
            now = self._http.now()
            digest = hashlib.sha256(json.dumps([self._config.name, str(now), rows]).encode())
            ending = f"-erase-{digest.hexdigest()[:12]}.csv"
            self._folder.write_file(f"{now:%Y%m%dT%H%M%SZ}{ending}", ending, _to_csv(rows).encode())
            # Not the file's name: it is a digest of what is to be forgotten.
            outcomes |= {item.ref: runtime.reflected("in the folder") for item in safe}
        return outcomes

    def find_held(self, batch: Sequence[runtime.EraseItem]) -> Mapping[int, bool]:
        """See SupportsErase. What becomes of a file is not known."""
        raise NotImplementedError

    def _write_file(self, items: Sequence[runtime.PushItem]) -> str:
        ending = f"-{_content_id(self._config.name, items)}.csv"
        name = f"{self._http.now():%Y%m%dT%H%M%SZ}{ending}"
        return self._folder.write_file(
            name, ending, _format_csv(items, self._config.topics).encode()
        )


def is_csv_safe(text: str) -> bool:
    """Whether no spreadsheet takes a cell with `text` for a formula (CSV injection).

    https://owasp.org/www-community/attacks/CSV_Injection. A plain phone number begins
    with + and is only a number to a spreadsheet.
    """
    return bool(_PHONE.fullmatch(text)) or not _FORMULA.match(text)


def _content_id(destination: str, items: Sequence[runtime.PushItem]) -> str:
    """Of the states, not of the addresses: an erasure leaves it in the folder's answer (I6)."""
    # A pause that ends has the version of its beginning.
    states = sorted(
        (item.ref, item.version, item.all_off, sorted(item.off), sorted(item.lift))
        for item in items
    )
    return hashlib.sha256(json.dumps([destination, states]).encode()).hexdigest()[:12]


def _format_csv(items: Sequence[runtime.PushItem], topic_names: Mapping[str, str]) -> str:
    return _to_csv(row for item in items for row in _rows(item, topic_names))


def _to_csv(rows: Iterable[Sequence[str]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    writer.writerows(rows)
    return text.getvalue()


def _rows(item: runtime.PushItem, topic_names: Mapping[str, str]) -> Iterator[tuple[str, ...]]:
    states = [(topic_names.get(topic, topic), "off") for topic in sorted(item.off)]
    if item.all_off:
        states.insert(0, (ALL_TOPICS, "off"))
    states += [(topic_names.get(topic, topic), "on") for topic in sorted(item.lift)]
    since = item.since.isoformat() if item.since else ""
    rows = [(topic, state, "") for topic, state in states]
    rows += [
        (topic_names.get(topic, topic), "frequency", key)
        for topic, key in sorted(item.frequencies.items())
    ]
    for topic, state, frequency in rows:
        shown = topic if is_csv_safe(topic) else f"'{topic}"
        yield (
            item.address, item.channel.value, shown, state, since, str(item.version), frequency,
        )  # fmt: skip


def _open_folder(config: runtime.DestinationConfig, http: runtime.HttpContext) -> DropFolder:
    """The folder that the settings name. ModuleNotFoundError without the extra it needs."""
    try:
        url = urlsplit(config.settings["folder"])
        scheme, _port = url.scheme, url.port
    except ValueError:  # a bracket that is open, a port that is none
        return UnreadableFolder(config)
    if scheme not in {"sftp", "s3"}:
        return LocalFolder(config, http)
    # Imported here: local folders work without the extra.
    from preference_center.integrations.file_drop.remote_folders import S3Folder, SftpFolder  # noqa: PLC0415 - see above

    return SftpFolder(config, http) if scheme == "sftp" else S3Folder(config, http)


SPEC = runtime.ConnectorSpec(
    kind=FileDropConnector.kind,
    tested_against=runtime.TestedAgainst.REAL_SERVER,
    tested_version="files and SFTP with every test run, S3 by moto 5.2.5 and `make test-real`",
    capabilities=FileDropConnector.capabilities,
    own_settings=FileDropConnector.settings,
    secret_settings=frozenset({"password", "secret_access_key"}),
    sources=(),
    build=FileDropConnector,
    notes=("[The file drop](file-drop.md) describes the columns.",),
    extra="drop",
    extra_purpose="folders on SFTP servers and in S3 buckets",
    has_rate_limit=False,
)
