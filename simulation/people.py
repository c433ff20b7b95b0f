"""The people, and the forms of their addresses. Knows nothing of the service."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

START = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
EVER = datetime.max.replace(tzinfo=UTC)
ALL, EVERYTHING, BOUNCED = "all_marketing", "everything", "undeliverable"
RESTRICTION = "restriction"
SHARING = "sharing"
"""Sale and sharing of somebody's data for advertising: a scope that stops no message."""
MOVED = "moved"
"""The kind of the address that somebody's old one is corrected to."""
NEWS, OFFERS, CLUB = "acme.news", "acme.offers", "acme.club"
TOPICS = (NEWS, OFFERS, CLUB)
FLASH, ALERTS = "acme.flash", "acme.alerts"
"""Topics of text messages."""
ASKED_FOR = frozenset({CLUB})
"""Topics that nobody is sent who has not asked for them."""
ASKED_AGAIN = datetime(2026, 11, 26, tzinfo=UTC)
"""From then on a version of the privacy policy is in force that asks for those consents again."""

SIMULATED = 3
"""Every third person has one address; the others have three forms of theirs, or six."""
MANY = 12
"""Of so many people one has six aliases, and one five tags."""


@dataclass(frozen=True, slots=True)
class Form:
    """One address of a person's, or one way to write it."""

    person: int
    kind: str
    """`alias` of one mailbox, `base` and `tag` at a domain of unknown rules, `only`, or `moved`."""
    text: str

    def meets(self, other: Form) -> bool:
        """Whether an opt-out of one counts for the other: never from one tag to another (I9)."""
        if self.person != other.person or MOVED in {self.kind, other.kind}:
            return self == other
        return self == other or self.kind == "alias" or "base" in {self.kind, other.kind}


def forms_of(person: int) -> tuple[Form, ...]:
    """All addresses that a person may have: those of the beginning, and one of another mailbox."""
    return (*first_forms_of(person), Form(person, MOVED, f"moved{person}@example.com"))


def first_forms_of(person: int) -> tuple[Form, ...]:
    """All forms of a person's address at first; the first is the one they use most."""
    match person % SIMULATED:
        case 0:
            texts = [f"per.son{person}@gmail.com", f"person{person}@gmail.com"]
            texts.append(f"perso.n{person}+x@googlemail.com")
            if person % MANY == 0:
                texts += [f"per.son{person}+{tag}@gmail.com" for tag in ("y", "z")]
                texts.append(f"perso.n{person}@googlemail.com")
            return tuple(Form(person, "alias", text) for text in texts)
        case 1:
            name, domain = f"p{person}", "example.org"
            used = ("shop", "win", "club", "2", "x") if person % MANY == 1 else ("shop", "win")
            tags = [Form(person, "tag", f"{name}+{tag}@{domain}") for tag in used]
            return (Form(person, "base", f"{name}@{domain}"), *tags)
        case _:
            return (Form(person, "only", f"only{person}@example.net"),)
