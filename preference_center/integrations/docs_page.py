"""docs/destinations.md, made from what the connectors say of themselves.

`python -m preference_center.integrations.docs_page > docs/destinations.md`; a test compares them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from preference_center.domain.sync.capabilities import Capabilities, Listing, Scopes
from preference_center.integrations.base.spec import Entry
from preference_center.integrations.registry import ENTRIES
from preference_center.integrations.webhooks import WEBHOOKS

_INTRODUCTION = """# Destinations

The tools that can be connected, and what each can do. This page is made from the connectors' own data by `python -m preference_center.integrations.docs_page`; how one is written is in [Adding a connector](adding-connectors.md).

What the columns mean:

- **channels**: what it sends by. The catalogue says what each topic goes by; one destination may have topics by email and by SMS, and below each tool stands what a topic by SMS is mapped to. **holds**: whether a "no" to one topic, or to all marketing, can be kept there without meaning more or less than the person said.
- **lifts**: whether we can turn on again there what we turned off. Where not, pauses are not pushed and lifts stay off, which the page tells beforehand.
- **reads back**: whether we look if it still says what it confirmed. **own opt-outs** and **contacts**: how what people said in it, and who is there, is read: what has changed every few minutes, or all of it at night (every hour if that takes a minute). Where contacts are listed by change, all of them are listed at night as well: who has been there for long may have to be suppressed since somebody said no by another form of their address. **webhook**: whether it tells us at once, at `/in/NAME`.
- **batch** and **limit**: addresses per push, and the vendor's documented rate, which all workers keep together (`--set rate=...` states another).
- **absent**: what becomes of an address that the tool doesn't know. It is looked for again; where it says "or created", the setting `create_contacts=yes` adds it, suppressed.
- **link field**: whether each contact's standing link can be written into a custom field.
- **asks rights**: whether `flask destinations check` (and `add` and `resume`) ask the tool what the key may do there, writing included, and name what is missing. Where not, a right to write that is missing shows at the first push.
- **erases**: whether a person's data there can be deleted from here. Where not, whoever is erased here stays suppressed there, and their data in the tool is to be deleted by hand.
"""  # noqa: E501 - a paragraph is a line there

_LISTENERS = """
## Only listened to

Set up in the same way, these tools are told nothing: what people did in them is taken in from their webhooks at `/in/NAME`, and goes to all the others. A group, list or tag of theirs that stands for one of our topics is named with `--topic ours=theirs`; what they say about no group counts for all marketing. [What comes in](inbound.md) says how each one's webhook is set up.
"""  # noqa: E501 - a paragraph is a line there
_HEARD_HEADS = ("tool", "`--kind`", "tested against")
_LISTED = {Listing.CHANGES: "changes", Listing.SWEEP: "all", None: "no"}
_HOLDS = {Scopes.TOPIC: "topics", Scopes.ALL: "all marketing"}
_HEADS = (
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
    "asks rights",
    "erases",
    "tested against",
)


def page(entries: Iterable[Entry]) -> str:
    """The whole page, as Markdown."""
    entries = list(entries)
    told = [entry for entry in entries if not entry.capabilities.only_listens]
    heard = [entry for entry in entries if entry.capabilities.only_listens]
    table = [_row(_HEADS), _row("---" for _ in _HEADS), *(_row(_cells(each)) for each in told)]
    listened = [_row(_HEARD_HEADS), _row("---" for _ in _HEARD_HEADS)]
    listened += [_row((each.title, f"`{each.kind}`", each.proof.value)) for each in heard]
    sections = ["\n".join(_section(entry)) for entry in entries]
    parts = [_INTRODUCTION, *table, _LISTENERS, *listened, "", "\n\n".join(sections)]
    return "\n".join(parts) + "\n"


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cells(entry: Entry) -> Iterator[str]:
    can = entry.capabilities
    yield entry.title
    yield ", ".join(sorted(can.channels))
    yield ", ".join(name for scope, name in _HOLDS.items() if scope in can.scopes)
    yield _yes(can.can_lift)
    yield _yes(can.can_read)
    yield _LISTED[can.pulls]
    yield _LISTED[can.scans]
    yield _yes(entry.kind in WEBHOOKS)
    yield f"{can.batch_size:,}"
    yield str(can.rate) if can.rate else "none documented"
    yield _absent(can)
    yield _yes(can.can_hold_link)
    yield _yes(can.tells_rights)
    yield _yes(can.can_erase)
    yield entry.proved


def _yes(can: bool) -> str:  # noqa: FBT001 - a table's cell
    return "yes" if can else "no"


def _absent(can: Capabilities) -> str:
    return "or created" if can.can_create else "looked for again"


def _section(entry: Entry) -> Iterator[str]:
    yield f"## {entry.title}"
    yield ""
    yield f"`--kind {entry.kind}`, tested against: {entry.proved}."
    if entry.listen is not None:
        yield (
            f"Without `{'`, `'.join(sorted(entry.secrets))}` it is only listened to; once that "
            "is set, it observes first like a new destination."
        )
    if entry.extra:
        use = f" for {entry.extra_for}" if entry.extra_for else ""
        yield f"Needs the extra `{entry.extra}`{use}."
    yield ""
    if entry.notes:
        yield from (f"- {note}" for note in entry.notes)
        yield ""
    yield _row(("setting", "what it is"))
    yield _row(("---", "---"))
    for name, meaning in entry.settings.items():
        optional = " (optional)" if name.endswith("?") else ""
        secret = " (secret)" if name.removesuffix("?") in entry.hidden else ""
        yield _row((f"`{name.removesuffix('?')}`{optional}{secret}", meaning.replace("|", "\\|")))
    if entry.sources:
        yield ""
        yield "Written from:"
        yield from (f"- {source}" for source in entry.sources)


if __name__ == "__main__":
    print(page(ENTRIES.values()), end="")  # noqa: T201 - it is what it is for
