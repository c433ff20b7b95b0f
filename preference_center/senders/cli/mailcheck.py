"""`flask check-mail` and `flask check-domain`: check emails and hosts as deployed."""

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
from preference_center.core.errors import InvalidInput, did_you_mean
from preference_center.infra.commands import click_errors, with_service
from preference_center.infra.context import services
from preference_center.ledger.store.addresses import digest_prefixes
from preference_center.senders.mailcheck.findings import Finding, Severity
from preference_center.senders.mailcheck.hosts import check_host
from preference_center.senders.mailcheck.links import Installation
from preference_center.senders.mailcheck.message import check_email

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
    _print_findings(findings, as_json=as_json)


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
    if as_json:
        rows = [{"url": base, **one.as_dict()} for base, each in found for one in each]
        click.echo(json.dumps(rows, indent=2))
    else:
        for base, each in found:
            click.echo("\n".join([base, *map(_format_finding, each)]))
        click.echo(_summary([one for _, each in found for one in each]))
    _exit_if_error([one for _, each in found for one in each])


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
        if key not in catalogue.brands:
            hint = did_you_mean(key, catalogue.brands) or "declare it there first"
            raise InvalidInput(f"the catalogue has no such brand; {hint}")
        return [links.base_url(catalogue.brands[key].host)]
    hosts = (brand.host for brand in catalogue.brands.values())
    return list(dict.fromkeys([links.base_url(), *map(links.base_url, hosts)]))


def _ssl_context(ca_file: str | None) -> ssl.SSLContext | None:
    if ca_file is None:
        return None
    try:
        return ssl.create_default_context(cafile=ca_file)
    except ssl.SSLError:
        raise InvalidInput("--ca-file contains no PEM certificate") from None


def _print_findings(findings: Sequence[Finding], *, as_json: bool) -> None:
    """Print all findings; exit with 1 if one is an error."""
    if as_json:
        click.echo(json.dumps([finding.as_dict() for finding in findings], indent=2))
    else:
        for finding in findings:
            click.echo(_format_finding(finding))
        click.echo(_summary(findings))
    _exit_if_error(findings)


def _exit_if_error(findings: Sequence[Finding]) -> None:
    if any(finding.severity is Severity.ERROR for finding in findings):
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
