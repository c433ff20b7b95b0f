"""The limit of the database: pgbench with the very statements of the service.

Only their parameters are made in SQL, of one random number per transaction, since pgbench
knows no arrays.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence

from bench.ground import TOPIC
from dev.accounts import server_account
from dev.binaries import find_postgres
from dev.engines import CHECKOUT
from preference_center.core.addresses import NORM_VERSION
from preference_center.destinations.store.webhooks import INSERT_WEBHOOK
from preference_center.infra.db.connections import PLANNER_SETTINGS
from preference_center.ledger.sql import APPEND_EVENTS, LOCK_ADDRESSES
from preference_center.ledger.store.lookup import LOOK_UP_BY_DIGEST

CLIENTS = 8
_OPTIONS = " ".join(f"-c {name}={value}" for name, value in PLANNER_SETTINGS.items())

# A colon before a letter or digit is a variable of pgbench.
_N = ":n::text"
_DIGEST = f"sha256({_N}::bytea)"
_NOW = "'today'::timestamptz"
_ADDRESSES = f"""json_build_array(json_build_object('channel', 'email', 'digest', {_DIGEST},
    'ciphertext', repeat('00', 60), 'domain', {_DIGEST}, 'keys',
    json_build_array(json_build_object('digest', {_DIGEST}, 'kind', 3, 'md5', false),
        json_build_object('digest', {_DIGEST}, 'kind', 3, 'md5', true))))"""
# A UUID of version 7, as ours: the newest at the end of the index.
_ID = f"""lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0')
    || substr(md5({_N}), 1, 20)"""
_EVENTS = f"""json_build_array(json_build_object('id', {_ID}, 'owner', {_DIGEST},
    'channel', 'email', 'kind', 'opted_out', 'scope', '{TOPIC}', 'occurred_at', {_NOW},
    'received_at', {_NOW}, 'counts_at', {_NOW}, 'until', NULL, 'source', 'one_click',
    'actor', 'recipient', 'own', true, 'live', true, 'evidence',
    json_build_object('method', 'one_click', 'key_id', 'l1', 'message_id', {_N},
        'issued_at', {_NOW}), 'evidence_hash', sha256({_N}::bytea)))"""
_OPT_OUT = {
    "norm_version": str(NORM_VERSION),
    "now": _NOW,
    "window": "interval '72 hours'",
    "repeat": "interval '5 seconds'",
    "addresses": _ADDRESSES,
    "events": _EVENTS,
    "count": ":count",
    "bulk": "false",
}


def _inline(statement: str, values: Mapping[str, str]) -> str:
    return re.sub(r"%\((\w+)\)[sbt]", lambda found: values[found[1]], statement)


OPT_OUT_STATEMENTS = tuple(_inline(each, _OPT_OUT) for each in (LOCK_ADDRESSES, APPEND_EVENTS))
"""What a one-click by a new address executes, for pgbench."""


def opt_outs(url: str, seconds: float) -> float:
    """Transactions a second of an opt-out by an address that is new."""
    return _pgbench(url, 2**62, OPT_OUT_STATEMENTS, seconds)


def posts(url: str, destination: int, size: int, seconds: float) -> float:
    """Transactions a second that store a webhook's body of so many bytes for `destination`."""
    values = {
        "id": f"md5({_N})::uuid",
        "destination": str(destination),
        "body_digest": _DIGEST,
        "body": f"repeat('x', {size})::bytea",
        "now": _NOW,
    }
    return _pgbench(url, 2**62, [_inline(INSERT_WEBHOOK, values)], seconds)


def look_ups(url: str, addresses: int, seconds: float) -> float:
    """Look-ups a second of one out of so many addresses."""
    return _pgbench(
        url, addresses, [_inline(LOOK_UP_BY_DIGEST, {"digests": f"ARRAY[{_DIGEST}]"})], seconds
    )


def _pgbench(url: str, top: int, statements: Sequence[str], seconds: float) -> float:
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
        file.write(f"\\set n random(1, {top})\n\\set count 1\n")
        file.write("\\startpipeline\n")  # a transaction by itself, as ours
        file.writelines(f"{statement.strip()};\n" for statement in statements)
        file.write("\\endpipeline\n")
        file.flush()
        command = [_program(), "-n", "-M", "prepared", f"-c{CLIENTS}", "-j1"]
        command.append(f"-T{max(1, round(seconds))}")  # it takes whole seconds
        done = subprocess.run(
            [*command, "-f", file.name, url],
            env=os.environ | {"PGOPTIONS": _OPTIONS},
            check=False,
            capture_output=True,
            text=True,
        )
    found = re.search(r"tps = ([\d.]+) \(without", done.stdout)
    if done.returncode or not found:
        raise RuntimeError(f"pgbench failed:\n{done.stderr}")
    return float(found[1])


def _program() -> str:
    found = shutil.which("pgbench")
    if found:
        return found
    account = server_account()
    return str(find_postgres(account, CHECKOUT / ".data" / "bin").sibling("pgbench"))
