"""`flask redis`: what the service needs of its Redis or Valkey."""

from __future__ import annotations

import re

import click

from preference_center.infra.commands import CommandGroup
from preference_center.infra.redis import acl_rule

group = CommandGroup("redis", help="The user of REDIS_URL.")


@group.command("acl", with_service=False)
@click.option("--user", required=True, help="The user's name; it is made if it does not exist.")
def acl(user: str) -> None:
    """Print the ACL command that gives a USER the rights which the service needs.

    It sets no password and enables nobody. Run it as the administrator of Redis or Valkey, again
    after an upgrade of the service, and set a password once:

    flask redis acl --user preference_center | redis-cli

    ACL SETUSER preference_center on >PASSWORD

    REDIS_URL is redis://preference_center:PASSWORD@host:6379/0 then. `ACL LOG` shows what is
    refused, and so does the service's log.
    """
    if not re.fullmatch(r"[\w.-]+", user):
        raise click.BadParameter("use letters, digits, '.', '_' and '-'", param_hint="--user")
    click.echo(acl_rule(user))
