"""Commands for operators, support and deployment: `flask --help` lists them.

To add a command, write it in a module of this package and list it in `COMMANDS`. Modules are
imported when a command of theirs is used; tests/cli/test_commands.py compares the list with them.
"""

from __future__ import annotations

from flask import Flask

from preference_center.cli.lazy_command import LazyCommand

_COMMANDS = {
    "addresses": ("addresses:addresses", "Maintain the lookup forms of stored addresses."),
    "alerts": (
        "alerts:alerts_group",
        "Conditions that somebody must learn of, and who is informed.",
    ),
    "catalogue": (
        "catalogue:catalogue",
        "Check and apply the catalogue of brands, topics and message types.",
    ),
    "check-domain": (
        "mailcheck:check_domain",
        "Check the hosts of our links, as mail clients see them.",
    ),
    "check-mail": (
        "mailcheck:check_mail",
        "Check one received mail: FILE as .eml, or - for standard input.",
    ),
    "cookies": ("cookies:group", "What browsers chose about cookies: counts for compliance."),
    "db": ("migrations:migrations", "Perform database migrations."),
    "destinations": (
        "destinations:destinations",
        "Manage the connected tools, to which every opt-out is pushed.",
    ),
    "erasures": (
        "erasures:group",
        "Erase people, see what is still open in which tool, replay the journal.",
    ),
    "export": (
        "export:export",
        "Write all suppressed addresses, in the format that another tool imports.",
    ),
    "feed": ("feed:feed", "The feed of changes for senders and data teams."),
    "imports": ("imports:imports", "Import opt-outs and subscriptions of other tools."),
    "inbound": ("inbound:group", "Process opt-outs from mail, text messages and vendor events."),
    "keys": ("keys:keys", "Manage the keys of senders, and generate those of the service."),
    "ledger": ("ledger:ledger", "Verify the events of the ledger."),
    "links": ("links:links", "Permanent links, to upload into a tool as a custom field."),
    "opt-out": ("opt_out:opt_out", "Record an opt-out, and push it to every connected tool."),
    "policies": (
        "policies:group",
        "Versions of the privacy policy: inform people, and see who was informed.",
    ),
    "receipts": ("receipts:receipts", "Find the evidence of a message id."),
    "redis": ("redis_rights:group", "The user of REDIS_URL."),
    "reports": (
        "reports:group",
        "Counts per day, which the reports of the console show.",
    ),
    "retention": (
        "retention:group",
        "What is past its retention, as the catalogue's [retention] states it.",
    ),
    "scrub": (
        "scrub:scrub_",
        "Split LIST into rows that may be sent a message and rows that may not.",
    ),
    "staff": ("staff:group", "Accounts of the console, and who is signed in to it."),
    "snapshot": (
        "snapshot:snapshot",
        "Create and inspect snapshots of all decisions, for scrubbing lists.",
    ),
    "spool": (
        "spool:spool_group",
        "Opt-outs received while PostgreSQL was unavailable, on this host's disk.",
    ),
    "statistics": (
        "statistics:statistics",
        "Print the counts of each finished month as tab-separated values, the newest first.",
    ),
}
"""Every command: its module and attribute, and the first sentence of its help."""

COMMANDS = {
    name: LazyCommand(name, f"{__name__}.{target}", text)
    for name, (target, text) in _COMMANDS.items()
}


def register(app: Flask) -> None:
    """Give the app its commands."""
    for command in COMMANDS.values():
        app.cli.add_command(command)
