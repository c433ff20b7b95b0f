"""The form of a destination's settings is made from what its integration declares.

Staff may change settings, e.g. a revoked key, if the tool accepts them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus

from flask import request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from preference_center.core.errors import DestinationError, SettingsChanged
from preference_center.destinations.change_settings import change_settings, settings_version
from preference_center.destinations.console.destination import find_destination
from preference_center.destinations.rules.settings import keep_secrets, list_secrets_to_repeat
from preference_center.destinations.rules.states import Destination
from preference_center.integrations.registry import get_integration
from preference_center.web.console.frame import current_actor, redirect_after_post, render_page

PREFIX = "setting:"
"""Before the name of each setting in the form."""


MAX_LENGTH = 10_000


@dataclass(frozen=True, slots=True)
class SettingField:
    """One field. The value of a secret is never in it: `is_kept` says that there is one."""

    name: str
    meaning: str
    is_required: bool
    is_secret: bool
    value: str = ""
    is_kept: bool = False
    problem: str = ""

    @property
    def is_filled(self) -> bool:
        """Whether it has a value or a problem."""
        return bool(self.value or self.is_kept or self.problem)

    @property
    def field_name(self) -> str:
        """Its name in the form."""
        return PREFIX + self.name


def setting_fields(kind: str, settings: Mapping[str, str]) -> list[SettingField]:
    """The fields of a kind, with the values of `settings`. Raises DestinationConfigError."""
    integration = get_integration(kind)
    secrets = integration.load_secret_settings()
    fields = []
    for declared, meaning in integration.load_settings().items():
        name = declared.removesuffix("?")
        held, is_secret = settings.get(name, ""), name in secrets
        fields.append(
            SettingField(
                name,
                meaning,
                is_required=not declared.endswith("?"),
                is_secret=is_secret,
                value="" if is_secret else held,
                is_kept=is_secret and bool(held),
            )
        )
    return fields


def read_settings(kind: str, form: Mapping[str, str], held: Mapping[str, str]) -> dict[str, str]:
    """What was entered, with the secrets that may be kept: see `rules.settings`."""
    entered = {
        name.removeprefix(PREFIX): value.strip()[:MAX_LENGTH]
        for name, value in form.items()
        if name.startswith(PREFIX)
    }
    return keep_secrets(entered, held, get_integration(kind).load_secret_settings())


def missing_settings(
    kind: str, settings: Mapping[str, str], held: Mapping[str, str]
) -> dict[str, str]:
    """What is wrong with required settings, and with secrets to be given again, by name."""
    integration = get_integration(kind)
    again = {
        name: _("Enter it again: when a setting is changed, no secret is kept.")
        for name in list_secrets_to_repeat(settings, held, integration.load_secret_settings())
    }
    if integration.load_spec().is_webhook_only({**settings, **again}):
        return again
    required = (name for name in integration.load_settings() if not name.endswith("?"))
    return {name: _("Fill this in.") for name in required if not settings.get(name)} | again


def place_problems(
    fields: Iterable[SettingField], problems: Iterable[str]
) -> tuple[list[SettingField], list[str]]:
    """The fields with the problems that begin with their names, and the other problems."""
    placed, rest = list(fields), []
    for problem in problems:
        at = next((i for i, field in enumerate(placed) if _is_about(problem, field.name)), None)
        if at is None:
            rest.append(problem)
        else:
            placed[at] = replace(placed[at], problem=problem.removeprefix(f"{placed[at].name}: "))
    return placed, rest


def _is_about(problem: str, name: str) -> bool:
    return problem.startswith((f"{name}:", f"{name} ")) or f": {name}: " in problem


def split_problems(error: Exception) -> Iterator[str]:
    """The problems of a DestinationError, one each, without the heading before a list."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    listed = [line.removeprefix("- ") for line in lines if line.startswith("- ")]
    yield from listed or lines


def change_destination(name: str) -> ResponseReturnValue:
    """The form, and what the tool says to it."""
    found = find_destination(name)
    if request.method != "POST":
        return _settings_page(found, found.settings)
    version = request.form.get("version", "")
    if version != settings_version(found):
        return _changed_page(name)
    settings = read_settings(found.kind, request.form, found.settings)
    missing = missing_settings(found.kind, settings, found.settings)
    problems = [f"{setting}: {text}" for setting, text in missing.items()]
    if not problems:
        try:
            change_settings(name, settings, current_actor(), version=version)
        except SettingsChanged:  # while the tool was asked
            return _changed_page(name)
        except DestinationError as error:
            problems = list(split_problems(error))
        else:
            return redirect_after_post(url_for("console.destination", name=name))
    return _settings_page(found, settings, problems, HTTPStatus.UNPROCESSABLE_ENTITY)


def _changed_page(name: str) -> ResponseReturnValue:
    """The form again, with the settings as they are now: what was entered was for other ones."""
    found = find_destination(name)
    problem = _(
        "The settings have been changed since you opened this page, so yours were not stored."
        " These are the current ones: make your change again."
    )
    return _settings_page(found, found.settings, [problem], HTTPStatus.CONFLICT)


def _settings_page(
    found: Destination,
    settings: Mapping[str, str],
    problems: Iterable[str] = (),
    status: HTTPStatus = HTTPStatus.OK,
) -> ResponseReturnValue:
    fields, problems = place_problems(setting_fields(found.kind, settings), problems)
    return render_page(
        "destinations/settings",
        status=status,
        destination=found,
        version=settings_version(found),
        fields=fields,
        problems=problems,
        problem=status is not HTTPStatus.OK,
    )
