"""Which addresses are one contact's: what is done to an account is done to all of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from simulation.people import Form


@dataclass(slots=True)
class Accounts:
    """The contacts, as far as acts have made and linked them."""

    erased: dict[Form, datetime] = field(default_factory=dict)
    """Who is erased, and since when."""
    erased_last: dict[Form, datetime] = field(default_factory=dict)
    """When each of them, and of those who came back, last was."""
    returned: dict[Form, datetime] = field(default_factory=dict)
    """Who has come back since an erasure, and when they last did."""
    restricted: set[Form] = field(default_factory=set)
    """Whose use of their data is limited."""
    _of: dict[Form, set[Form]] = field(default_factory=dict)
    _merged: list[tuple[set[Form], set[Form]]] = field(default_factory=list)
    """Each contact that was merged, as it was then, and its survivor."""

    def of(self, form: Form) -> list[Form]:
        """The addresses of its contact; of one without a contact, it alone."""
        return sorted(self._of.get(form, {form}), key=lambda each: each.text)

    def has(self, form: Form) -> bool:
        """Whether it has a contact."""
        return form in self._of

    def open(self, form: Form) -> None:
        """There is a contact of it."""
        self._of.setdefault(form, {form})

    def may_link(self, old: Form, new: Form) -> bool:
        """Whether not each of them has a contact of its own."""
        group, other = self._of.get(old), self._of.get(new)
        return group is None or other is None or group is other

    def link(self, old: Form, new: Form) -> set[Form] | None:
        """Add the new address to the contact of the old one; the contact if that changed it."""
        group = self._of.get(old)
        if group is None or new in self._of:
            return None
        group.add(new)
        self._of[new] = group
        return group

    def merge(self, gone: Form, into: Form) -> list[Form]:
        """Make one contact of two; the addresses that it has then."""
        absorbed, survivor = self._of[gone], self._of[into]
        survivor |= absorbed
        self._of.update(dict.fromkeys(absorbed, survivor))
        self._merged.append((absorbed, survivor))
        return self.of(into)

    def leave(self, form: Form, group: set[Form] | None = None) -> None:
        """It has no contact any more, where it is that one, or the one that it was merged into."""
        found = self._of.get(form)
        for absorbed, survivor in self._merged:
            group = survivor if group is absorbed else group
        if found is not None and (group is None or found is group):
            found.discard(form)
            del self._of[form]
