"""What a form may do to settings that a destination has already, above all to its secrets.

Who changes settings in the console needs to know no secret. Any setting may say where a secret is
sent, so all secrets are entered again when one setting changes: else the form could have them sent
to a server of somebody's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet


def keep_secrets(
    entered: Mapping[str, str], held: Mapping[str, str], secrets: AbstractSet[str]
) -> dict[str, str]:
    """What was entered; secrets that were left empty stay as held if nothing else changes."""
    kept = {name: held[name] for name in secrets & held.keys() if not entered.get(name)}
    new = {**entered, **kept}
    is_same = all(value == held.get(name, "") for name, value in new.items())
    return new if is_same else dict(entered)


def list_secrets_to_repeat(
    settings: Mapping[str, str], held: Mapping[str, str], secrets: AbstractSet[str]
) -> frozenset[str]:
    """The secrets that are held and that `settings`, of `keep_secrets`, lack."""
    return frozenset(name for name in secrets & held.keys() if not settings.get(name))


def merge_settings(
    held: Mapping[str, str], changed: Mapping[str, str], without: AbstractSet[str] = frozenset()
) -> dict[str, str]:
    """Those held, but for those named by `without`, and those changed; empty ones are removed."""
    base = {name: value for name, value in held.items() if name not in without}
    return {name: value for name, value in {**base, **changed}.items() if value}
