"""`flask check-mail` and `flask check-domain`: judge what is really out there."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import BinaryIO

import click
from flask.cli import with_appcontext

from preference_center.checking import Finding, Ours, Severity, judge_mail
from preference_center.errors import InvalidInput
from preference_center.extensions import services
from preference_center.mending import mending
from preference_center.storage.catalogues import current_catalogue

MAX_OCTETS = 50 * 1024 * 1024
"""Size of the largest mail that is looked at."""

_COLOURS = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.FINE: "green"}

_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")


@click.command("check-mail")
@click.argument("file", type=click.File("rb"))
@_as_json
@with_appcontext
def check_mail(file: BinaryIO, as_json: bool) -> None:  # noqa: FBT001 - click passes it by name
    """Judge one mail, as it was received: FILE as .eml, or - for standard input.

    Looks at the two headers of RFC 8058, at what DKIM signatures cover, at our links in
    header and body (whom they are about, what key made them), and at what click tracking or
    the tool has added. Signatures are not verified, and nothing is fetched or written.

    Send yourself a campaign, save the mail's source, and check that. Ends with 1 if there
    is an error; warnings alone end with 0. Neither addresses nor tokens are printed.

    Example: flask check-mail newsletter.eml
    """
    with mending():
        raw = file.read(MAX_OCTETS + 1)
        if len(raw) > MAX_OCTETS:
            raise InvalidInput(f"the mail is larger than {MAX_OCTETS // 2**20} MiB")
        context = services()
        ours = Ours(context.links, current_catalogue(), context.keys.exact)
        findings = judge_mail(raw, ours, context.now())
    _tell(findings, as_json=as_json)


def _tell(findings: Sequence[Finding], *, as_json: bool) -> None:
    """Print them all; ends with 1 if one is an error."""
    if as_json:
        click.echo(json.dumps([finding.as_dict() for finding in findings], indent=2))
    else:
        for finding in findings:
            click.echo(_text(finding))
        click.echo(_summary(findings))
    if any(finding.severity is Severity.ERROR for finding in findings):
        raise click.exceptions.Exit(1)


def _text(finding: Finding) -> str:
    label = click.style(f"{finding.severity.value:8}", fg=_COLOURS[finding.severity])
    lines = [f"{label}{finding.message}"]
    if finding.remedy:
        lines += [f"        To mend: {finding.remedy}", f"        Source: {finding.source}"]
    return "\n".join(lines)


def _summary(findings: Sequence[Finding]) -> str:
    counts = {each: sum(one.severity is each for one in findings) for each in Severity}
    if not counts[Severity.ERROR] and not counts[Severity.WARNING]:
        return "All is well."
    return f"Errors: {counts[Severity.ERROR]}. Warnings: {counts[Severity.WARNING]}."
