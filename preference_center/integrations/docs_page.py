"""docs/destinations.md, generated from the integrations' own data.

`python -m preference_center.integrations.docs_page > docs/destinations.md`; a test compares them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from itertools import chain

from preference_center.integrations.base.contract import (
    Capabilities,
    EraseMode,
    ListingMode,
    SupportedScope,
)
from preference_center.integrations.base.integration import Integration
from preference_center.integrations.registry import load_integrations

_INTRODUCTION = """# Destinations

Which tools can be connected, what can each do, and how is it set up? Made from the code by `python -m preference_center.integrations.docs_page`; [another one can be added](adding-connectors.md). What each was [tested with](../README.md#connectors), version and date.

```
flask destinations kinds KIND       # its settings
flask destinations add NAME --kind KIND --set SETTING=VALUE --set SECRET=env:VARIABLE --topic OURS=THEIRS
flask destinations check NAME
```

| column | what it says |
| --- | --- |
| channels | what it sends by; the [catalogue](catalogue.md) defines the channel of each topic |
| holds | the opt-outs that can be stored there with exactly their meaning |
| lifts | whether we can turn on again what we turned off: a topic with `default = "opt_in"` only with a consent recorded here. If not, pauses are not pushed, lifts stay off, and the page says so before |
| reads back | whether we check that it still holds what it confirmed |
| own opt-outs, contacts | what people changed there, and whom it has: read as `changes` every few minutes, or `all` at night (hourly if that takes a minute). At night all contacts are read in any case: one of years ago may match a new opt-out by another form |
| webhook | whether it reports at once, to `/in/NAME`: [set it up](inbound.md#webhooks) |
| batch, limit | addresses a push; documented requests, shared by all workers |
| creates | whether `create_contacts=yes` adds addresses that it doesn't know, suppressed; else they are looked for again later |
| link field | whether contacts' permanent links can be written into a custom field |
| how often | whether it can hold [how often](#how-often) a person wants a topic |
| checks rights | whether `check`, `add` and `resume` name missing rights of the key; else a missing right to write shows at the first push |
| erases | whether an erased person is deleted there, after the opt-out was pushed. `forgets opt-out`: anyone who is added again is suppressed again. `nothing held`: it holds nothing but the suppression. `by hand`: a task for a person |
"""  # noqa: E501 - a paragraph is a line there

_FREQUENCY_SECTION = """
## How often

How does a tool learn [how often](catalogue.md#how-often) a person wants a topic?

| column | what happens |
| --- | --- |
| `pushed` | passed on with each change |
| `field` | its key (`weekly`) is written into a custom text field of contacts by email. Make the field there, one for each topic, and name it: `flask destinations set NAME "frequency_fields=acme.news=News frequency"`, several with semicolons between |
| `no` | ask for [decisions](api.md#decisions) where you send, or read the [feed](feed.md) |

The default is written only where a choice was taken back. The field is written after the opt-outs of the same push, tried again, and not read back. Older choices are written when the destination is set up; if the setting is added later, with each person's next change.
"""  # noqa: E501 - a paragraph is a line there

_WEBHOOK_ONLY_INTRODUCTION = """
## Webhook only

What people did in these is recorded from [their webhooks](inbound.md#webhooks) and pushed to all other tools; nothing is pushed to them. `--topic ours=theirs` names a group, list or tag; events without one count for all marketing.
"""  # noqa: E501 - a paragraph is a line there

_COMMON_SETTINGS_INTRODUCTION = """
## Settings of several tools

Each section names those that its tool has.
"""
_COMMON_SETTINGS_SHARED_BY = 4
"""In how many integrations a setting has the same meaning to be described once."""

_LISTING_LABELS = {ListingMode.CHANGES: "changes", ListingMode.FULL: "all", None: "no"}
_ERASE_LABELS = {
    EraseMode.KEEPS_OPT_OUT: "keeps opt-out",
    EraseMode.FORGETS_OPT_OUT: "forgets opt-out",
    EraseMode.NOTHING_HELD: "nothing held",
    EraseMode.BY_HAND: "by hand",
}
_SCOPE_LABELS = {SupportedScope.TOPIC: "topics", SupportedScope.ALL: "all marketing"}


def _yes_or_no(can: bool) -> str:  # noqa: FBT001 - a table's cell
    return "yes" if can else "no"


_COLUMNS: Mapping[str, Callable[[Integration, Capabilities], str]] = {
    "connector": lambda of, _: of.title,
    "channels": lambda _, can: ", ".join(sorted(can.channels)),
    "holds": lambda _, can: ", ".join(_SCOPE_LABELS[s] for s in _SCOPE_LABELS if s in can.scopes),
    "lifts": lambda _, can: _yes_or_no(can.can_lift),
    "reads back": lambda _, can: _yes_or_no(can.can_read),
    "own opt-outs": lambda _, can: _LISTING_LABELS[can.pulls],
    "contacts": lambda _, can: _LISTING_LABELS[can.scans],
    "webhook": lambda of, _: _yes_or_no(bool(of.webhook)),
    "batch": lambda _, can: f"{can.batch_size:,}",
    "limit": lambda _, can: str(can.rate_limit or "none").replace(" requests", ""),
    "creates": lambda _, can: _yes_or_no(can.can_create),
    "link field": lambda _, can: _yes_or_no(can.can_hold_link),
    "how often": lambda _, can: (
        "pushed" if can.pushes_frequency else "field" if can.can_write_fields else "no"
    ),
    "checks rights": lambda _, can: _yes_or_no(can.checks_permissions),
    "erases": lambda _, can: _ERASE_LABELS[can.erase],
}
"""Header of each column -> its cell, for an integration and what it can."""


def render_docs_page(integrations: Iterable[Integration]) -> str:
    """The whole page, as Markdown."""
    integrations = list(integrations)
    pushed = [each for each in integrations if not _is_webhook_only(each)]
    table = [_row(_COLUMNS), _row("---" for _ in _COLUMNS)]
    for each in pushed:
        can = each.load_spec().capabilities
        table.append(_row(cell(each, can) for cell in _COLUMNS.values()))
    common = _common_settings(integrations)
    parts = [
        _INTRODUCTION,
        *table,
        _FREQUENCY_SECTION.rstrip("\n"),
        _WEBHOOK_ONLY_INTRODUCTION,
        ", ".join(f"`{each.kind}`" for each in integrations if _is_webhook_only(each)) + ".",
        _COMMON_SETTINGS_INTRODUCTION,
        *_list_settings(common),
        "",
        "\n\n".join("\n".join(_section(each, common)) for each in integrations),
    ]
    return "\n".join(parts) + "\n"


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _is_webhook_only(integration: Integration) -> bool:
    return integration.load_spec().capabilities.webhook_only


def _erase_notes(can: Capabilities) -> Iterator[str]:
    if can.erase_note:
        by_hand = f" Without `{can.erase_setting}` that is done by hand." * bool(can.erase_setting)
        yield f"Erasing: {can.erase_note}{by_hand}"


_Setting = tuple[str, str, bool]
"""Name, with a `?` if it is optional; meaning; whether it is secret."""


def _settings(integration: Integration) -> list[_Setting]:
    secrets = integration.load_secret_settings()
    return [
        (name, meaning, name.removesuffix("?") in secrets)
        for name, meaning in integration.load_settings().items()
    ]


def _common_settings(integrations: Iterable[Integration]) -> list[_Setting]:
    """The settings that several integrations share, the most common first."""
    counted = Counter(chain.from_iterable(map(_settings, integrations)))
    return [each for each, count in counted.most_common() if count >= _COMMON_SETTINGS_SHARED_BY]


def _list_settings(settings: Iterable[_Setting]) -> Iterator[str]:
    for name, meaning, is_secret in settings:
        optional = ", optional" * name.endswith("?")
        yield f"- `{name.removesuffix('?')}`{optional}{', secret' * is_secret}: {meaning}"


def _section(integration: Integration, common: Collection[_Setting]) -> Iterator[str]:
    spec, settings = integration.load_spec(), _settings(integration)
    yield f"## {integration.title}"
    yield ""
    yield f"`--kind {spec.kind}`, tested against: {spec.tested_against.value}."
    if spec.build_webhook_only is not None:
        missing = "`, `".join(sorted(spec.secret_settings))
        yield f"Until `{missing}` is set only its webhook is read; then it observes first."
    if spec.extra:
        use = f" for {spec.extra_purpose}" if spec.extra_purpose else ""
        yield f"Needs the extra `{spec.extra}`{use}."
    yield ""
    notes = [*spec.notes, *_erase_notes(spec.capabilities)]
    if notes:
        yield from (f"- {note}" for note in notes)
        yield ""
    also = [f"`{name.removesuffix('?')}`" for name, *_ in filter(common.__contains__, settings)]
    yield "Settings:"
    yield from _list_settings(each for each in settings if each not in common)
    if also:
        yield f"- also {', '.join(also)}"
    if spec.open_points:
        yield from ("", "Open:")
        yield from (f"- {point}" for point in spec.open_points)
    if spec.sources:
        numbered = enumerate(spec.sources, start=1)
        yield ""
        yield f"Written from {' '.join(f'[{number}]({url})' for number, url in numbered)}"


if __name__ == "__main__":
    print(render_docs_page(load_integrations().values()), end="")  # noqa: T201 - it is what it is for
