"""Every page of the console × every role × nobody: denied unless the role has the permission."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from werkzeug.routing import IntegerConverter, UUIDConverter

from preference_center.app.console import CONSOLE_PAGES
from preference_center.core.staff import ROLE_PERMISSIONS, Permission, Role, permissions_of
from preference_center.web.console.frame import Access, Route
from tests.in_force import put_in_force
from tests.web.console.pages import ANYONE, pages
from tests.web.console.staff import BASE, Staff, csrf_token, nobody, staff, words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flask import Flask


def each(routes: Sequence[Route]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        "route", routes, ids=lambda route: f"{'/'.join(route.methods)} {route.rule}"
    )


def path_of(app: Flask, route: Route) -> str:
    """The path of a page, about something that is not there."""
    rules = app.url_map.iter_rules(f"console.{route.endpoint}")
    rule = next(rule for rule in rules if rule.rule == f"/console{route.rule}")
    values: dict[str, Any] = dict.fromkeys(rule.arguments, "nothing")
    for name, converter in rule._converters.items():
        match converter:
            case UUIDConverter():
                values[name] = UUID(int=0)
            case IntegerConverter():
                values[name] = 1
            case _:
                pass
    with app.test_request_context(base_url=BASE):
        return app.url_map.bind("preferences.example.com").build(rule.endpoint, values)


def status(who: Staff, method: str, path: str) -> int:
    return (who.get(path) if method == "GET" else who.post(path)).status_code


PAGES = pages()


def test_the_table_has_every_page_and_no_other() -> None:
    assert {route.rule: frozenset(route.methods) for route in CONSOLE_PAGES} == {
        rule: methods for rule, (methods, _roles) in PAGES.items()
    }


@each(CONSOLE_PAGES)
def test_a_page_opens_for_the_roles_of_the_table_and_for_nobody_else(
    app: Flask, route: Route
) -> None:
    put_in_force(app)
    path = path_of(app, route)
    methods, allowed = PAGES[route.rule]
    for method in ("GET", "POST"):
        for role in Role:
            answered = status(staff(app, role), method, path)
            if method not in methods:
                assert answered == 405, (role, method, answered)
                continue
            assert (answered in {401, 403}) is not bool(allowed & {role, ANYONE}), (role, answered)
            assert answered < 500, (role, answered)
        if method in methods and ANYONE not in allowed:
            signed_out = nobody(app).get(path) if method == "GET" else nobody(app).post(path)
            assert signed_out.status_code == (302 if method == "GET" else 401)
            assert "/console/sign-in" in signed_out.headers.get("Location", "/console/sign-in")


def test_the_table_notices_a_page_that_is_given_to_another_role(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = {Role.SUPPORT: ROLE_PERMISSIONS[Role.SUPPORT] | {Permission.DECIDE_REQUESTS}}
    monkeypatch.setattr(
        "preference_center.core.staff.ROLE_PERMISSIONS", {**ROLE_PERMISSIONS, **more}
    )
    (route,) = [each for each in CONSOLE_PAGES if each.endpoint == "finish_task"]
    with pytest.raises(AssertionError):
        test_a_page_opens_for_the_roles_of_the_table_and_for_nobody_else(app, route)


@each([route for route in CONSOLE_PAGES if "POST" in route.methods])
def test_a_form_without_the_token_of_the_page_changes_nothing(app: Flask, route: Route) -> None:
    path = path_of(app, route)
    for role in Role:
        # A file is not read for who may not send one, so the token is looked for later.
        may = PAGES[route.rule][1] & {role, ANYONE}
        expected = 400 if may or route.endpoint != "upload_import" else 403
        assert staff(app, role).send(path, {}).status_code == expected


def test_the_blueprint_has_no_page_that_is_not_in_the_list(app: Flask) -> None:
    rules = [rule for rule in app.url_map.iter_rules() if rule.rule.startswith("/console")]
    listed = {(f"/console{route.rule}", f"console.{route.endpoint}") for route in CONSOLE_PAGES}
    assert {(rule.rule, rule.endpoint) for rule in rules} == listed
    for rule in rules:
        methods = (rule.methods or set()) - {"HEAD", "OPTIONS"}
        assert methods in [
            set(route.methods) for route in CONSOLE_PAGES if rule.rule.endswith(route.rule)
        ]


def test_every_permission_is_of_some_role_and_no_role_has_all() -> None:
    assert permissions_of(Role) == frozenset(Permission)
    assert all(permissions_of([role]) != frozenset(Permission) for role in Role)
    assert permissions_of([]) == frozenset()


def test_only_pages_for_signing_in_are_open_to_anyone() -> None:
    anyone = {route.rule for route in CONSOLE_PAGES if route.access is Access.ANYONE}
    assert {rule.split("/")[1] for rule in anyone} <= {"sign-in", "enrol"}


def test_every_answer_forbids_frames_scripts_of_others_and_caches(app: Flask) -> None:
    for path in ("/console/", "/console/sign-in", "/console/sessions"):
        headers = staff(app, Role.ADMIN).get(path).headers
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert headers["Cache-Control"] == "no-store"
        assert headers["X-Content-Type-Options"] == "nosniff"


def test_a_cookie_of_the_console_is_sent_to_no_other_page(app: Flask) -> None:
    answer = app.test_client().get("/console/sign-in?lang=it", base_url=BASE)
    (cookie,) = answer.headers.getlist("Set-Cookie")
    assert cookie.startswith("console=")
    for attribute in ("Secure", "HttpOnly", "Path=/console", "SameSite=Lax"):
        assert attribute in cookie
    assert "Accedi" in words(answer)


def test_a_session_of_the_pages_is_none_of_the_console(app: Flask) -> None:
    token = staff(app, Role.ADMIN).token
    client = app.test_client()
    client.set_cookie("session", token, domain="preferences.example.com")
    assert client.get("/console/sessions", base_url=BASE).status_code == 302


def test_a_forged_cookie_is_none(app: Flask) -> None:
    forged = Staff(app, token="guessed")
    assert forged.get("/console/sessions").status_code == 302
    assert csrf_token(app)


@pytest.mark.parametrize(
    "target",
    ["https://evil.example/", "//evil.example", "/console/../u/x\\", "/p/TOKEN", "javascript:x"],
)
def test_signing_in_leads_to_no_other_site(app: Flask, target: str) -> None:
    answer = staff(app, Role.ADMIN).get(f"/console/sign-in?next={target}")
    assert answer.headers["Location"] == "/console/"


@pytest.mark.parametrize("path", ["/console//people", "//console/people", "/console//", "/console"])
def test_no_path_of_the_console_redirects_to_the_host_that_the_client_names(
    app: Flask, path: str
) -> None:
    answer = app.test_client().get(path, base_url="https://evil.example")
    assert "evil.example" not in answer.headers.get("Location", "")
