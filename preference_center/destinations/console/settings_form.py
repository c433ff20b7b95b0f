"""The form of a destination's settings, made from what its integration declares."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from flask_babel import gettext as _

from preference_center.integrations.registry import get_integration

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
    """What was entered; a secret that was left empty stays as it is held."""
    secrets = get_integration(kind).load_secret_settings()
    entered = {
        name.removeprefix(PREFIX): value.strip()[:MAX_LENGTH]
        for name, value in form.items()
        if name.startswith(PREFIX)
    }
    for name in secrets & held.keys():
        if not entered.get(name):
            entered[name] = held[name]
    return entered


def missing_settings(kind: str, settings: Mapping[str, str]) -> dict[str, str]:
    """What is wrong with required settings that are empty, by name."""
    integration = get_integration(kind)
    if integration.load_spec().is_webhook_only(settings):
        return {}
    return {
        name: _("Fill this in.")
        for name in integration.load_settings()
        if not name.endswith("?") and not settings.get(name)
    }


def secrets_to_repeat(
    kind: str, form: Mapping[str, str], settings: Mapping[str, str], held: Mapping[str, str]
) -> dict[str, str]:
    """What is wrong with secrets that were left empty while an address was changed, by name.

    Else who knows no secret could have it sent to a server of their own.
    """
    if not any(
        name.endswith("url") and settings.get(name, held.get(name, "")) != held.get(name, "")
        for name in settings
    ):
        return {}
    secrets = get_integration(kind).load_secret_settings() & held.keys()
    return {
        name: _("Enter it again: the address to which it is sent is another one now.")
        for name in secrets
        if not form.get(PREFIX + name, "").strip()
    }


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
