"""docs/destinations.md, generated from the integrations' own data.

`python -m preference_center.integrations.docs_page > docs/destinations.md`; a test compares them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from preference_center.integrations.base.contract import (
    Capabilities,
    EraseMode,
    ListingMode,
    SupportedScope,
)
from preference_center.integrations.base.integration import Integration
from preference_center.integrations.registry import load_integrations

_INTRODUCTION = """# Destinations

The tools that can be connected, and what each can do. This page is generated from the connectors' own data by `python -m preference_center.integrations.docs_page`; [Adding a connector](adding-connectors.md) describes how one is written.

The columns:

- **channels**: what it sends by. The catalogue defines the channel of each topic; one destination may have topics by email and by SMS, and the notes of each tool name what a topic by SMS is mapped to. **holds**: whether an opt-out of one topic, or of all marketing, can be stored there with exactly the meaning that the person gave it.
- **lifts**: whether we can turn on again there what we turned off. A topic with `default = "opt_in"` only with a consent that is recorded here. Where we can't, pauses are not pushed and lifts stay off; the preference page states that before.
- **reads back**: whether we check that it still holds what it confirmed. **own opt-outs** and **contacts**: how what people changed in it, and who its contacts are, is read: what changed, every few minutes, or all of it, at night (every hour if that takes a minute). Where contacts are listed by change, all of them are listed at night as well: a contact of many years may have to be suppressed after an opt-out by another form of its address. **webhook**: whether it reports at once, at `/in/NAME`.
- **batch** and **limit**: addresses per push, and the vendor's documented rate, which all workers share (`--set rate=...` sets another).
- **absent**: what happens to an address that the tool doesn't know. It is looked up again later; where this column has "or created", the setting `create_contacts=yes` adds it, suppressed.
- **link field**: whether each contact's permanent link can be written into a custom field. **how often**: whether it can hold [how often](#how-often) a person wants a topic: `pushed` with each change, or in a custom `field`.
- **checks rights**: whether `flask destinations check` (and `add` and `resume`) ask the tool for the key's rights, writing included, and name those that are missing. Where not, a missing right to write shows at the first push.
- **erases**: whether the data of a person who is erased is deleted there from here, always after the opt-out was pushed. `keeps opt-out`: the tool keeps the opt-out all the same. `forgets opt-out`: the opt-out goes with it, and anyone who is added there again is suppressed again. `nothing held`: it holds nothing but the suppression. `by hand`: its API can't, so that a task for a person is made. Each tool's section says what is deleted.
"""  # noqa: E501 - a paragraph is a line there

_FREQUENCY_SECTION = """
## How often

A topic of the catalogue may offer [frequencies](catalogue.md#how-often). Tools are informed of what people chose, and of the default only where a choice was taken back:

- `pushed`: the webhook and the file drop pass it on with each change.
- `field`: it is written into a custom text field of the contacts that are there, by its key (`weekly`), for segments and campaigns to filter by. Make the field in the tool, and name it: `flask destinations set NAME "frequency_fields=acme.news=News frequency"`. Several are separated by semicolons, each topic with a field of its own. A contact that appears later gets it when it is found. Contacts by SMS have no such field.
- `no`: ask for [decisions](api.md#decisions) where you send, or read the [feed](feed.md).

The field is written after the opt-outs of the same push. If it can't be, opt-outs are not delayed, and the field is tried again. It is not read back: a change by hand in the tool stays until the person chooses again. Choices of before the setting are written when the destination is set up; if the setting is added later, with the next change of each person.
"""  # noqa: E501 - a paragraph is a line there

_WEBHOOK_ONLY_INTRODUCTION = """
## Webhook only

These tools are set up in the same way, but nothing is pushed to them: what people did in them is recorded from their webhooks at `/in/NAME`, and is pushed to all the others. A group, list or tag of theirs that corresponds to one of our topics is named with `--topic ours=theirs`; events without a group count for all marketing. [What comes in](inbound.md) describes how each one's webhook is set up.
"""  # noqa: E501 - a paragraph is a line there
_WEBHOOK_ONLY_HEADERS = ("tool", "`--kind`", "tested against")
_LISTING_LABELS = {ListingMode.CHANGES: "changes", ListingMode.FULL: "all", None: "no"}
_ERASE_LABELS = {
    EraseMode.KEEPS_OPT_OUT: "keeps opt-out",
    EraseMode.FORGETS_OPT_OUT: "forgets opt-out",
    EraseMode.NOTHING_HELD: "nothing held",
    EraseMode.BY_HAND: "by hand",
}
_SCOPE_LABELS = {SupportedScope.TOPIC: "topics", SupportedScope.ALL: "all marketing"}
_HEADERS = (
    "connector",
    "channels",
    "holds",
    "lifts",
    "reads back",
    "own opt-outs",
    "contacts",
    "webhook",
    "batch",
    "limit",
    "absent",
    "link field",
    "how often",
    "checks rights",
    "erases",
    "tested against",
)


def render_docs_page(integrations: Iterable[Integration]) -> str:
    """The whole page, as Markdown."""
    integrations = list(integrations)
    pushed = [each for each in integrations if not _is_webhook_only(each)]
    webhook_only = [each for each in integrations if _is_webhook_only(each)]
    table = [_row(_HEADERS), _row("---" for _ in _HEADERS)]
    table += [_row(_cells(each)) for each in pushed]
    webhook_table = [_row(_WEBHOOK_ONLY_HEADERS), _row("---" for _ in _WEBHOOK_ONLY_HEADERS)]
    webhook_table += [
        _row((each.title, f"`{each.kind}`", each.load_spec().tested_against.value))
        for each in webhook_only
    ]
    sections = ["\n".join(_section(each)) for each in integrations]
    parts = [
        _INTRODUCTION,
        *table,
        _FREQUENCY_SECTION.rstrip("\n"),
        _WEBHOOK_ONLY_INTRODUCTION,
        *webhook_table,
        "",
        "\n\n".join(sections),
    ]
    return "\n".join(parts) + "\n"


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _is_webhook_only(integration: Integration) -> bool:
    return integration.load_spec().capabilities.webhook_only


def _cells(integration: Integration) -> Iterator[str]:
    spec = integration.load_spec()
    can = spec.capabilities
    yield integration.title
    yield ", ".join(sorted(can.channels))
    yield ", ".join(name for scope, name in _SCOPE_LABELS.items() if scope in can.scopes)
    yield _yes_or_no(can.can_lift)
    yield _yes_or_no(can.can_read)
    yield _LISTING_LABELS[can.pulls]
    yield _LISTING_LABELS[can.scans]
    yield _yes_or_no(bool(integration.webhook))
    yield f"{can.batch_size:,}"
    yield str(can.rate_limit) if can.rate_limit else "none documented"
    yield _absent(can)
    yield _yes_or_no(can.can_hold_link)
    yield "pushed" if can.pushes_frequency else "field" if can.can_write_fields else "no"
    yield _yes_or_no(can.checks_permissions)
    yield _ERASE_LABELS[can.erase]
    yield spec.tested_summary


def _yes_or_no(can: bool) -> str:  # noqa: FBT001 - a table's cell
    return "yes" if can else "no"


def _erase_notes(can: Capabilities) -> Iterator[str]:
    if can.erase_note:
        by_hand = f" Without `{can.erase_setting}` that is done by hand." * bool(can.erase_setting)
        yield f"Erasing: {can.erase_note}{by_hand}"


def _absent(can: Capabilities) -> str:
    return "or created" if can.can_create else "looked for again"


def _section(integration: Integration) -> Iterator[str]:
    spec, secrets = integration.load_spec(), integration.load_secret_settings()
    yield f"## {integration.title}"
    yield ""
    yield f"`--kind {spec.kind}`, tested against: {spec.tested_summary}."
    if spec.build_webhook_only is not None:
        yield (
            f"Without `{'`, `'.join(sorted(spec.secret_settings))}` only its webhook is read; "
            "once that is set, it observes first like a new destination."
        )
    if spec.extra:
        use = f" for {spec.extra_purpose}" if spec.extra_purpose else ""
        yield f"Needs the extra `{spec.extra}`{use}."
    yield ""
    notes = [*spec.notes, *_erase_notes(spec.capabilities)]
    if notes:
        yield from (f"- {note}" for note in notes)
        yield ""
    yield _row(("setting", "what it is"))
    yield _row(("---", "---"))
    for name, meaning in integration.load_settings().items():
        optional = " (optional)" if name.endswith("?") else ""
        secret = " (secret)" if name.removesuffix("?") in secrets else ""
        yield _row((f"`{name.removesuffix('?')}`{optional}{secret}", meaning.replace("|", "\\|")))
    if spec.sources:
        yield ""
        yield "Written from:"
        yield from (f"- {source}" for source in spec.sources)


if __name__ == "__main__":
    print(render_docs_page(load_integrations().values()), end="")  # noqa: T201 - it is what it is for
