"""`flask staff` says who may sign in to the console without an OpenID Connect provider."""

from __future__ import annotations

import click

from preference_center.core.staff import Role, parse_roles
from preference_center.infra.commands import CommandGroup, actor, click_errors
from preference_center.infra.context import CONSOLE_PATH, services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.web.console import accounts, store
from preference_center.web.console.store import StaffAccount

group = CommandGroup("staff", help="Accounts of the console, and who is signed in to it.")

role_option = click.option(
    "--role",
    "roles",
    multiple=True,
    required=True,
    type=click.Choice([role.value for role in Role]),
    help="What the person does; repeatable. support: serves people who call or write. compliance:"
    " decides on data-subject requests and reads reports. operator: runs destinations, senders and"
    " imports. admin: accounts and the catalogue; sees no person's data.",
)


@group.command("add")
@click.argument("name")
@role_option
def add(name: str, roles: tuple[str, ...]) -> None:
    """Create an account NAME, and print the link with which its person sets a password.

    The link works once, for two days. Pass it on so that nobody else sees it.

    Example: flask staff add ada --role support
    """
    with click_errors():
        token = accounts.create_account(name, parse_roles(roles), actor())
    _print_link(token)


@group.command("reset")
@click.argument("name")
def reset(name: str) -> None:
    """Forget NAME's password and authenticator, end its sessions, and print a new link."""
    with click_errors():
        token = accounts.reset_account(name, actor())
    _print_link(token)


@group.command("change")
@click.argument("name")
@role_option
def change(name: str, roles: tuple[str, ...]) -> None:
    """Give NAME these roles instead of its own; they count at once. Enables it if disabled."""
    with click_errors():
        accounts.change_account(name, actor(), roles=parse_roles(roles), disabled=False)
    click.echo(f"{name}: {', '.join(sorted(roles))}")


@group.command("disable")
@click.argument("name")
def disable(name: str) -> None:
    """Keep NAME from signing in, and end its sessions. `flask staff change` enables it again."""
    with click_errors():
        accounts.change_account(name, actor(), disabled=True)
    click.echo(f"{name} is disabled.")


@group.command("list")
def list_() -> None:
    """Show every account, with its roles."""
    with click_errors():
        found = run_in_transaction(store.list_accounts)
    for account in found:
        click.echo(f"{account.name}\t{','.join(sorted(account.roles))}\t{_describe(account)}")
    if not found:
        click.echo("No accounts yet: create one with `flask staff add`.", err=True)


@group.command("sessions")
def list_sessions() -> None:
    """Show who is signed in to the console, the one seen last first."""
    with click_errors():
        found = accounts.list_sessions()
    for each in found:
        provider = each.issuer or "account"
        times = f"{each.started_at:%Y-%m-%d %H:%M}\t{each.last_seen_at:%Y-%m-%d %H:%M}"
        click.echo(f"{each.name}\t{','.join(sorted(each.roles))}\t{provider}\t{times}")
    if not found:
        click.echo("Nobody is signed in.", err=True)


@group.command("sign-out")
@click.argument("name")
def sign_out(name: str) -> None:
    """End every session of NAME now, also of somebody who signed in at a provider."""
    with click_errors():
        ended = run_in_transaction(
            lambda connection: accounts.end_sessions_of(connection, name, actor())
        )
    click.echo(f"{ended} sessions ended.")


def _print_link(token: str) -> None:
    click.echo(accounts.console_url(f"{CONSOLE_PATH}/enrol/{token}"))
    click.echo("It works once, for two days: pass it on so that nobody else sees it.", err=True)


def _describe(account: StaffAccount) -> str:
    if account.disabled_at is not None:
        return f"disabled since {account.disabled_at:%Y-%m-%d}"
    if account.password_hash is None:
        return "has no password yet"
    if account.locked_until is not None and account.locked_until > services().now():
        return f"waits until {account.locked_until:%H:%M} UTC after {account.failures} failures"
    return f"since {account.created_at:%Y-%m-%d}"
