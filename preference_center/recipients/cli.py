"""`flask receipts`: the evidence of a message id that was stored as a digest."""

from __future__ import annotations

import click

from preference_center.infra.commands import CommandGroup, read_stdin_lines
from preference_center.infra.context import services

receipts = CommandGroup("receipts", help="Find the evidence of a message id.")


@receipts.command()
def hash_message_id() -> None:
    """Show the digests that are stored in place of a message id with personal data.

    The id is read from standard input or a prompt. Compare the output with `hmac:...` on the page
    of a person in the console: one line for each digest key, the oldest first.
    """
    for line in read_stdin_lines("Message id"):
        click.echo("\n".join(services().keys.evidence_hmacs(line)))
