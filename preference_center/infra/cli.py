"""Commands for operators, support and deployment: `flask --help` lists them.

To add a command, write it in a module of this package and list it in `COMMANDS`. Modules are
imported when a command of theirs is used; tests/cli/test_commands.py compares the list with them.
"""

from __future__ import annotations

from flask import Flask

from preference_center.infra.lazy_command import LazyCommand

_COMMANDS = {
    "addresses": (
        "preference_center.cli.addresses:addresses",
        "Maintain the lookup forms of stored addresses.",
    ),
    "alerts": (
        "preference_center.cli.alerts:alerts_group",
        "Conditions that somebody must learn of, and who is informed.",
    ),
    "catalogue": (
        "preference_center.cli.catalogue:catalogue",
        "Check and apply the catalogue of brands, topics and message types.",
    ),
    "check-domain": (
        "preference_center.cli.mailcheck:check_domain",
        "Check the hosts of our links, as mail clients see them.",
    ),
    "check-mail": (
        "preference_center.cli.mailcheck:check_mail",
        "Check one received mail: FILE as .eml, or - for standard input.",
    ),
    "cookies": (
        "preference_center.cli.cookies:group",
        "What browsers chose about cookies: counts for compliance.",
    ),
    "db": ("preference_center.infra.cli.migrations:migrations", "Perform database migrations."),
    "destinations": (
        "preference_center.cli.destinations:destinations",
        "Manage the connected tools, to which every opt-out is pushed.",
    ),
    "erasures": (
        "preference_center.cli.erasures:erasures_group",
        "Erase people, see what is still open in which tool, replay the journal.",
    ),
    "export": (
        "preference_center.cli.export:export",
        "Write all suppressed addresses, in the format that another tool imports.",
    ),
    "feed": ("preference_center.cli.feed:feed", "The feed of changes for senders and data teams."),
    "imports": (
        "preference_center.cli.imports:imports",
        "Import opt-outs and subscriptions of other tools.",
    ),
    "inbound": (
        "preference_center.cli.inbound:group",
        "Process opt-outs from mail, text messages and vendor events.",
    ),
    "keys": (
        "preference_center.infra.cli.keys:keys",
        "Manage the keys of senders, and generate those of the service.",
    ),
    "ledger": ("preference_center.cli.ledger:ledger", "Verify the events of the ledger."),
    "links": (
        "preference_center.cli.links:links",
        "Permanent links, to upload into a tool as a custom field.",
    ),
    "opt-out": (
        "preference_center.cli.opt_out:opt_out",
        "Record an opt-out, and push it to every connected tool.",
    ),
    "policies": (
        "preference_center.cli.policies:group",
        "Versions of the privacy policy: inform people, and see who was informed.",
    ),
    "receipts": ("preference_center.cli.receipts:receipts", "Find the evidence of a message id."),
    "redis": ("preference_center.infra.cli.redis:group", "The user of REDIS_URL."),
    "reports": (
        "preference_center.cli.reports:group",
        "Counts per day, which the reports of the console show.",
    ),
    "retention": (
        "preference_center.cli.retention:retention_group",
        "What is past its retention, as the catalogue's [retention] states it.",
    ),
    "scrub": (
        "preference_center.cli.scrub:scrub_",
        "Split LIST into rows that may be sent a message and rows that may not.",
    ),
    "staff": (
        "preference_center.cli.staff:group",
        "Accounts of the console, and who is signed in to it.",
    ),
    "snapshot": (
        "preference_center.cli.snapshot:snapshot",
        "Create and inspect snapshots of all decisions, for scrubbing lists.",
    ),
    "spool": (
        "preference_center.cli.spool:spool_group",
        "Opt-outs received while PostgreSQL was unavailable, on this host's disk.",
    ),
    "statistics": (
        "preference_center.cli.statistics:statistics",
        "Print the counts of each finished month as tab-separated values, the newest first.",
    ),
}
"""Every command: its module and attribute, and the first sentence of its help."""

COMMANDS = {name: LazyCommand(name, target, text) for name, (target, text) in _COMMANDS.items()}


def register(app: Flask) -> None:
    """Give the app its commands."""
    for command in COMMANDS.values():
        app.cli.add_command(command)
