"""Which column of a list holds the address."""

from __future__ import annotations

from collections.abc import Sequence

from preference_center.domain.addresses import Channel, parse_address
from preference_center.errors import InvalidAddress, InvalidList

# How lists name it, in lower case and with spaces for _ and -. The first group that any
# column is in decides: a list with "Email" and "Address" has a street in the latter.
_ADDRESS_COLUMN_NAMES = {
    Channel.EMAIL: (
        {"email", "e mail", "mail", "email address", "e mail address", "emailaddress"},
        {"recipient", "recipient email", "subscriber", "subscriber email", "contact email", "to"},
        {"address"},
    ),
    Channel.SMS: (
        {"sms", "mobile", "mobile phone", "mobile number", "mobile phone number", "cell phone"},
        {"phone", "phone number", "msisdn", "number"},
    ),
    Channel.PHONE: (
        {"phone", "phone number", "telephone", "telephone number", "msisdn"},
        {"mobile", "mobile phone", "mobile number", "mobile phone number"},
    ),
}


def find_address_column(names: Sequence[str], wanted: str | None, channel: Channel) -> int:
    """The index of the address's column among `names`; `wanted` is its name or number from 1.

    Raises InvalidList, which lists the columns to choose from.
    """
    if wanted is not None:
        return _find_named_column(names, wanted)
    plain = [_normalize_name(name) for name in names]
    for group in _ADDRESS_COLUMN_NAMES[channel]:
        found = [index for index, name in enumerate(plain) if name in group]
        if len(found) == 1:
            return found[0]
        if found:
            raise InvalidList(
                "several columns may hold the address: choose one with --column. They are:"
                f" {_format_names([names[index] for index in found])}"
            )
    if len(names) == 1:
        return 0
    raise InvalidList(
        "no column is called like an address: name it with --column. There are: "
        f"{_format_names(names)}"
    )


def find_address_column_by_content(row: Sequence[str], channel: Channel, region: str) -> int:
    """The index of the only cell that is an address, in a list without a header.

    Raises InvalidList, which says what to mend and shows no cell.
    """
    found = [index for index, cell in enumerate(row) if is_address(cell, channel, region)]
    if len(found) == 1:
        return found[0]
    how_many = "several cells are addresses" if found else "no cell is an address"
    raise InvalidList(
        f"in the first row {how_many}: give the number of the column with --column,"
        f" from 1 to {len(row)}"
    )


def is_address(cell: str, channel: Channel, region: str) -> bool:
    """Whether a cell can be read as an address."""
    try:
        parse_address(cell, channel, region=region)
    except InvalidAddress:
        return False
    return True


def _find_named_column(names: Sequence[str], wanted: str) -> int:
    found = [index for index, name in enumerate(names) if name == wanted]
    if not found:
        found = [
            index
            for index, name in enumerate(names)
            if _normalize_name(name) == _normalize_name(wanted)
        ]
    if len(found) == 1:
        return found[0]
    if len(found) > 1:
        raise InvalidList(f"{len(found)} columns have that name: give the number of one")
    if wanted.isdecimal() and 1 <= int(wanted) <= len(names):
        return int(wanted) - 1
    raise InvalidList(f"the list has no such column. There are: {_format_names(names)}")


def _normalize_name(name: str) -> str:
    return " ".join(name.replace("_", " ").replace("-", " ").lower().split())


def _format_names(names: Sequence[str]) -> str:
    shown = [f"{name[:40]!r}" for name in names[:30]]
    more = f" and {len(names) - len(shown)} more" if len(names) > len(shown) else ""
    return ", ".join(shown) + more
