"""Settings of the console: what can't work stops the start, and says what to write."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from preference_center.core.errors import InvalidInput
from preference_center.core.staff import Role
from preference_center.infra.config_sections import ConsoleSettings, parse_role_groups

ISSUER = "https://login.example.com/realms/staff"


def settings(**given: str) -> ConsoleSettings:
    values = {"console_oidc_client_id": "console", "console_oidc_roles": "admin=leads"} | given
    return ConsoleSettings(**values)  # type: ignore[arg-type]


def test_a_group_may_have_several_roles_and_a_role_several_groups() -> None:
    assert parse_role_groups(" admin = leads, support=help desk,compliance=leads ,, ") == {
        "leads": frozenset({Role.ADMIN, Role.COMPLIANCE}),
        "help desk": frozenset({Role.SUPPORT}),
    }
    assert parse_role_groups("") == {}


@pytest.mark.parametrize("text", ["admin", "admin=", "=leads", "owner=leads", "leads=admin"])
def test_what_is_no_role_and_group_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        parse_role_groups(text)


@pytest.mark.parametrize("issuer", [ISSUER, "http://localhost:8080/realms/x", "http://127.0.0.1:1"])
def test_an_issuer_has_https_but_for_this_machine(issuer: str) -> None:
    assert settings(console_oidc_issuer=issuer).console_oidc_issuer == issuer


@pytest.mark.parametrize(
    "given, message",
    [
        ({"console_oidc_issuer": "http://login.example.com"}, "without http"),
        ({"console_oidc_issuer": "login.example.com"}, "https://login.example.com"),
        ({"console_oidc_issuer": "https://"}, "https://login.example.com"),
        ({"console_oidc_issuer": f"{ISSUER}?tenant=1"}, r"no \? and no #"),
        ({"console_oidc_issuer": ISSUER, "console_oidc_scope": "profile"}, "openid"),
        ({"console_oidc_issuer": ISSUER, "console_oidc_client_id": ""}, "CLIENT_ID"),
        ({"console_oidc_issuer": ISSUER, "console_oidc_roles": ""}, "at least one role"),
        ({"console_url": "console.example.com"}, "https://console.internal.example"),
    ],
)
def test_a_setting_that_can_not_work_says_what_to_write(
    given: dict[str, str], message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        settings(**given)


def test_the_host_of_the_console_is_compared_in_lower_case() -> None:
    assert settings(console_url="https://Console.Example:8443").console_host == "console.example"
    assert settings().console_host is None
