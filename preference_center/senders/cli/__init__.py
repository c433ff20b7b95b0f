"""`flask keys` of senders, `flask links`, `flask check-mail` and `check-domain`.

- `flask keys add` and related commands: keys with which senders call the API.
- `flask keys link-key` and related commands: keys with which senders create links offline.
- `flask check-mail` and `flask check-domain`: the checks.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Sequence
from functools import partial
from typing import BinaryIO
from urllib.parse import urlsplit

import click

from preference_center.catalogue import Catalogue
from preference_center.catalogue.store import current_catalogue
from preference_center.core.errors import InvalidInput
from preference_center.core.links.tokens import SenderKey
from preference_center.infra.commands import actor, click_errors, with_service
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.infra.keys.link_keys import list_link_keys
from preference_center.ledger.store.addresses import digest_prefixes
from preference_center.senders.keys import (
    create_api_key,
    create_link_key,
    revoke_api_key,
    select_link_topics,
)
from preference_center.senders.keys import revoke_link_key as revoke_key_of_sender
from preference_center.senders.mailcheck import check_email
from preference_center.senders.mailcheck.hosts import check_host
from preference_center.senders.mailcheck.links import Finding, Installation, Severity
from preference_center.web.api import keys
from preference_center.web.api.keys import ApiKey, KeyScope


@click.command("add")
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    required=True,
    type=click.Choice([scope.value for scope in KeyScope]),
    help="What the key may do; repeatable. check: request decisions. read: read all addresses with"
    " their history, contacts, and the feed of changes. write: record opt-outs, consents, contacts"
    " and closed accounts, and import lists. lift: record a person's own opt-in, which lifts"
    " opt-outs, and reopen accounts. rights: restrict and erase, and handle requests of data"
    " subjects. links: create signed links. portal: open and read the"
    " preferences of any person, for your account page only; with write also change them.",
)
@click.option(
    "--message-type",
    "message_types",
    multiple=True,
    metavar="TYPE",
    help="A message type that the key may check; repeatable. '*' means all, including service"
    " messages: for trusted senders only.",
)
@click.option(
    "--rate",
    metavar="RATE",
    help="Its rate limit, e.g. '6000 per minute', or none for no limit. Default: the setting"
    " API_RATE.",
)
@with_service
def add(
    name: str, scopes: tuple[str, ...], message_types: tuple[str, ...], rate: str | None
) -> None:
    """Create and print an API key for the sender NAME. It is printed only once.

    Example: flask keys add shop --scope check --scope write --message-type receipt
    """
    key_scopes = [KeyScope(scope) for scope in scopes]
    with click_errors():
        text = run_in_transaction(
            lambda connection: create_api_key(
                connection,
                name,
                key_scopes,
                message_types,
                actor(),
                permissions=None,
                rate=rate,
            )
        )
    click.echo(text)
    click.echo("Store it now: it can't be shown again.", err=True)


@click.command("list")
@with_service
def list_() -> None:
    """Show all keys, without their secrets."""
    with click_errors():
        found = run_in_transaction(keys.list_keys)
    for key in found:
        click.echo(_format_key(key))
    if not found:
        click.echo("No keys yet: create one with `flask keys add`.", err=True)


@click.command("revoke")
@click.argument("name")
@with_service
def revoke(name: str) -> None:
    """Revoke the key NAME permanently, within two seconds everywhere."""
    with click_errors():
        ended = run_in_transaction(lambda connection: revoke_api_key(connection, name, actor()))
    click.echo(f"{name} is revoked." if ended else f"{name} was revoked before.")


def _format_key(key: ApiKey) -> str:
    types = ",".join(sorted(key.message_types)) or "-"
    used = f"used {key.last_used_at:%Y-%m-%d %H:%M} UTC" if key.last_used_at else "never used"
    state, created = _lifetime(key)
    cells = (key.name, state, ",".join(sorted(key.scopes)), types, created, used)
    return "\t".join((*cells, key.rate) if key.rate else cells)


@click.command("link-key")
@click.argument("name")
@click.option(
    "--topic",
    "topics",
    multiple=True,
    metavar="TOPIC",
    help="A topic that the key may create links for, or all_marketing; repeatable.",
)
@click.option(
    "--brand",
    "brands",
    multiple=True,
    metavar="BRAND",
    help="Every topic that this brand currently has; repeatable.",
)
@with_service
def link_key(name: str, topics: tuple[str, ...], brands: tuple[str, ...]) -> None:
    """Create and print a key with which the sender NAME creates links offline.

    It is printed only once. It creates links for the given topics only; topics that are added
    later need another key. docs/links.md has the code for the sender.

    Example: flask keys link-key newsletter --brand acme
    """
    with click_errors():
        selected = select_link_topics(current_catalogue(), topics, brands)
        key, text = run_in_transaction(
            lambda connection: create_link_key(connection, name, selected, actor())
        )
    click.echo(text)
    click.echo(f"Store it now: it is not shown again. Topics: {', '.join(key.topics)}.", err=True)


@click.command("link-keys")
@with_service
def link_keys() -> None:
    """Show all link keys of senders, without their secrets."""
    with click_errors():
        found = run_in_transaction(list_link_keys)
    for key in found:
        click.echo(_format_link_key(key))
    if not found:
        click.echo("No link keys yet: create one with `flask keys link-key`.", err=True)


@click.command("revoke-link-key")
@click.argument("name")
@with_service
def revoke_link_key(name: str) -> None:
    """Revoke the link key NAME permanently, within two seconds everywhere.

    Links created with it, before or after, still opt out, but no longer show preferences. Give
    the sender a new key first: links in delivered mails keep working, new ones need the new key.
    """
    with click_errors():
        ended = run_in_transaction(
            lambda connection: revoke_key_of_sender(connection, name, actor())
        )
    click.echo(f"{name} is revoked." if ended else f"{name} was revoked before.")


def _format_link_key(key: SenderKey) -> str:
    state, created = _lifetime(key)
    return "\t".join((key.name, key.key_id, state, ",".join(key.topics), created))


def _lifetime(key: ApiKey | SenderKey) -> tuple[str, str]:
    state = f"revoked {key.revoked_at:%Y-%m-%d}" if key.revoked_at else "active"
    return state, f"created {key.created_at:%Y-%m-%d}"


MAX_MAIL_BYTES = 50 * 1024 * 1024
"""Maximum size of a mail."""


_COLOURS = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.OK: "green"}


_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")


@click.command("check-mail")
@click.argument("file", type=click.File("rb"))
@_as_json
@with_service
def check_mail(file: BinaryIO, as_json: bool) -> None:  # noqa: FBT001 - click passes it by name
    """Check one received mail: FILE as .eml, or - for standard input.

    Checks the two headers of RFC 8058, what DKIM signatures cover, our links in header and body
    (their recipient and their key), and what click tracking or the tool has added. Signatures are
    not verified, and nothing is fetched or written.

    Send yourself a campaign, save the mail's source, and check that. Exits with 1 if there is an
    error; with only warnings it exits with 0. It prints neither addresses nor tokens.

    Example: flask check-mail newsletter.eml
    """
    with click_errors():
        raw = file.read(MAX_MAIL_BYTES + 1)
        if len(raw) > MAX_MAIL_BYTES:
            raise InvalidInput(f"the mail is larger than {MAX_MAIL_BYTES // 2**20} MiB")
        context = services()
        installation = Installation(
            context.links, current_catalogue(), partial(digest_prefixes, context.keys)
        )
        findings = check_email(raw, installation, context.now())
    _print_findings([("", findings)], as_json=as_json)


@click.command("check-domain")
@click.argument("url", required=False)
@click.option("--brand", "key", help="Check only the host of this brand.")
@click.option(
    "--ca-file",
    type=click.Path(exists=True, dir_okay=False),
    help="Trust the CA certificates in this PEM file, for an internal host.",
)
@_as_json
@with_service
def check_domain(url: str | None, key: str | None, ca_file: str | None, as_json: bool) -> None:  # noqa: FBT001
    """Check the hosts of our links, as mail clients see them.

    Checks PUBLIC_URL and the host of every brand in the catalogue, or only URL
    (https://host). Run it from outside your network, with the settings of the service.

    Sends one-click requests with a probe token, as several mail clients do; nobody is opted out.
    Checks the certificate, redirects, cookies, headers that a proxy has added or removed, and
    requests that must be rejected. Exits with 1 if there is an error.

    Example: flask check-domain --brand acme
    """
    with click_errors():
        bases = _base_urls(url, key, current_catalogue())
        trust = _ssl_context(ca_file)
        context = services()
        probe = context.links.create_probe_token(context.now())
        found = [(base, check_host(base, probe, context.now(), trust)) for base in bases]
    _print_findings(found, as_json=as_json)


def _base_urls(url: str | None, key: str | None, catalogue: Catalogue) -> list[str]:
    """The base URLs to check, without duplicates. Raises InvalidInput."""
    if url is not None:
        if key is not None:
            raise InvalidInput("give a URL or a --brand, not both")
        if not urlsplit(url).hostname:
            raise InvalidInput("not a valid URL; use e.g. https://preferences.example.com")
        return [url.rstrip("/")]
    links = services().links
    if key is not None:
        return [links.base_url(catalogue.brand(key).host)]
    hosts = (brand.host for brand in catalogue.brands.values())
    return list(dict.fromkeys([links.base_url(), *map(links.base_url, hosts)]))


def _ssl_context(ca_file: str | None) -> ssl.SSLContext | None:
    if ca_file is None:
        return None
    try:
        return ssl.create_default_context(cafile=ca_file)
    except ssl.SSLError:
        raise InvalidInput("--ca-file contains no PEM certificate") from None


def _print_findings(found: Sequence[tuple[str, Sequence[Finding]]], *, as_json: bool) -> None:
    """Print the findings about each URL, or about a mail (""); exit with 1 if one is an error."""
    if as_json:
        rows = [
            {"url": base, **one.as_dict()} if base else one.as_dict()
            for base, findings in found
            for one in findings
        ]
        click.echo(json.dumps(rows, indent=2))
    every = [one for _, findings in found for one in findings]
    if not as_json:
        for base, findings in found:
            click.echo("\n".join(filter(None, [base, *map(_format_finding, findings)])))
        click.echo(_summary(every))
    if any(finding.severity is Severity.ERROR for finding in every):
        raise click.exceptions.Exit(1)


def _format_finding(finding: Finding) -> str:
    label = click.style(f"{finding.severity.value:8}", fg=_COLOURS[finding.severity])
    lines = [f"{label}{finding.message}"]
    if finding.remedy:
        lines += [f"        To fix: {finding.remedy}", f"        Source: {finding.source}"]
    return "\n".join(lines)


def _summary(findings: Sequence[Finding]) -> str:
    counts = {each: sum(one.severity is each for one in findings) for each in Severity}
    if not counts[Severity.ERROR] and not counts[Severity.WARNING]:
        return "No problems found."
    return f"Errors: {counts[Severity.ERROR]}. Warnings: {counts[Severity.WARNING]}."
