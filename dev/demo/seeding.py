"""Fills the database of `make run`; everything is done once and left alone afterwards."""

from __future__ import annotations

import re
import secrets
import tomllib
from datetime import timedelta
from pathlib import Path
from typing import Any

from dev.console import create_accounts
from dev.demo.clock import Clock
from dev.demo.files import TOOLS, Files, Tool
from dev.demo.history import DAYS, record_history
from dev.demo.shop import create_shop
from preference_center.app.tables import upgrade
from preference_center.catalogue import Catalogue, catalogue_digest, parse_catalogue
from preference_center.catalogue import store as catalogues
from preference_center.catalogue.cli import read_catalogue
from preference_center.core.addresses import Channel, parse_address
from preference_center.core.events import Change
from preference_center.destinations.rules.states import DestinationStatus
from preference_center.destinations.store import backfills, destinations
from preference_center.infra import audit
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.infra.keys.fingerprints import require_known_keys
from preference_center.ledger import record
from preference_center.ledger.rules import (
    ConsentEvidence,
    ReceivedVia,
    RequestOrigin,
    build_consent_change,
    build_opt_out_change,
)
from preference_center.web.api import keys
from preference_center.web.api.keys import ALL_MESSAGE_TYPES, KeyScope

HERE = Path(__file__).parent
ACTOR = "demo"


def seed(files: Files, tools_url: str, shops_port: int, clock: Clock) -> str:
    """Migrate and fill what is empty; returns the text of the demo's API key.

    Raises KeyMismatch when the database was made with other keys.
    """
    upgrade()
    require_known_keys()
    return fill(files, tools_url, shops_port, clock)


def fill(files: Files, tools_url: str, shops_port: int, clock: Clock) -> str:
    """Fill what is empty; returns the text of the demo's API key.

    `clock` is the service's, which goes back for the company's past, and then forward again.
    """
    is_new = run_in_transaction(_is_empty)
    if is_new:
        clock.go_to(clock() - timedelta(days=DAYS + 1))
    run_in_transaction(lambda connection: _apply_catalogue(connection, shops_port))
    catalogue = catalogues.current_catalogue()
    run_in_transaction(lambda connection: _connect_tools(connection, files, tools_url, catalogue))
    key = _api_key(files)
    if is_new:
        texts = create_shop(files)
        clock.return_to_now()
        record_history(clock, files, texts)
        record(_contacts(catalogue))
    create_accounts()
    return key


def _apply_catalogue(connection: Connection, shops_port: int) -> None:
    """Put the demo's in force; or that of last time, if the shops are at another port now."""
    found = catalogues.load_current_text(connection)
    text = with_shops_at(shops_port, found or read_catalogue(HERE / "catalogue.toml"))
    if text != found:
        parse_catalogue(text)
        catalogues.insert_version(connection, text, catalogue_digest(text), services().now())


def with_shops_at(port: int, text: str) -> str:
    """A catalogue whose loopback origins, those of the demo's shops, have this port."""
    return re.sub(r"(http://(?:127\.0\.0\.1|localhost)):\d+", rf"\g<1>:{port}", text)


def _connect_tools(
    connection: Connection, files: Files, tools_url: str, catalogue: Catalogue
) -> None:
    """Two destinations of our own webhook; their port may be another than last time."""
    keys = services().keys
    there = {destination.name for destination in destinations.list_destinations(connection, keys)}
    for tool in TOOLS:
        secret = files.tool_secrets()[tool.name]
        settings = {"url": f"{tools_url}/{tool.name}/hooks", "secret": secret}
        if tool.name in there:
            destinations.set_settings(connection, keys, tool.name, settings)
        else:
            _add(connection, tool, settings, catalogue)


def _add(
    connection: Connection, tool: Tool, settings: dict[str, str], catalogue: Catalogue
) -> None:
    context = services()
    topics = [topic for topic in catalogue.topics.values() if topic.channel in tool.channels]
    added = destinations.insert_destination(
        connection,
        context.keys,
        name=tool.name,
        kind="webhook",
        settings=settings,
        channels=frozenset(Channel(channel) for channel in tool.channels),
        mapping={},
        sends=frozenset(topic.key for topic in topics),
        sends_service=False,
        now=context.now(),
    )
    destinations.set_status(connection, added, DestinationStatus.ACTIVE)
    backfills.run_whole_backfill(connection, added, context.now())


def _is_empty(connection: Connection) -> bool:
    row = connection.execute("SELECT NOT EXISTS (SELECT FROM event)").fetchone()
    assert row
    return bool(row[0])


def _contacts(catalogue: Catalogue) -> list[Change]:
    contacts = tomllib.loads((HERE / "contacts.toml").read_text())["contacts"]
    return [change for contact in contacts for change in _changes(contact, catalogue)]


def _changes(contact: dict[str, Any], catalogue: Catalogue) -> list[Change]:
    """One contact's consents of a month ago, and opt-outs of just now."""
    context = services()
    now = context.now()
    origin = RequestOrigin(ACTOR, ACTOR, now)
    address = parse_address(contact["address"], Channel(contact.get("channel", "email")))
    proof = ConsentEvidence("demo", "Yes, write to me.", "en", now - timedelta(days=30))
    consents = [
        build_consent_change(
            context.new_id(), address, catalogue.topic(topic), proof, origin, own_act=False
        )
        for topic in contact["consents"]
    ]
    opt_outs = [
        build_opt_out_change(
            context.new_id(),
            address,
            scope,
            ReceivedVia.FORM,
            origin,
            received_at=now,
            occurred_at=now,
        )
        for scope in contact.get("opt_outs", [])
    ]
    return consents + opt_outs


def _api_key(files: Files) -> str:
    kept = files.api_key()
    if kept is not None and keys.find_key(kept) is not None:
        return kept
    # the database may have a key of this name whose text is lost
    name = (
        "demo"
        if kept is None and run_in_transaction(_has_no_keys)
        else f"demo-{secrets.token_hex(3)}"
    )
    text = run_in_transaction(lambda connection: _make_key(connection, name))
    files.keep_api_key(text)
    return text


def _has_no_keys(connection: Connection) -> bool:
    return not keys.list_keys(connection)


def _make_key(connection: Connection, name: str) -> str:
    now = services().now()
    text = keys.create_key(connection, name, list(KeyScope), [ALL_MESSAGE_TYPES], now)
    audit.insert_audit_entry(connection, now, ACTOR, "api_key.created", {"name": name})
    return text
