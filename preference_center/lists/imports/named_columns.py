"""The columns of a file by the names under which a preset reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from preference_center.core.addresses import Channel
from preference_center.core.errors import InvalidInput
from preference_center.core.tabular import find_likely_columns, normalize_column_name
from preference_center.lists.imports.imports_check_columns import check_columns, describe_columns
from preference_center.lists.rules.instructions import ImportInstructions


class NamedColumns:
    """Adds the names that a preset reads for columns which are called otherwise in the file.

    The address is where `core.tabular` finds it, or in the column that the instructions name;
    so is the date, if they name one.
    """

    def __init__(self, instructions: ImportInstructions) -> None:
        self._preset = instructions.preset
        self._address_name = normalize_column_name(self._preset.address_columns[0])
        self._channel = instructions.channel
        self._address_column = normalize_column_name(instructions.address_column)
        self._date_column = normalize_column_name(instructions.date_column)
        self._date_keys = tuple(
            normalize_column_name(meaning.date_columns[0])
            for meaning in self._preset.meanings
            if meaning.date_columns
        )

    def check(self, header: Sequence[str]) -> None:
        """Raises InvalidInput unless the preset can read a file with these columns."""
        keys = tuple(normalize_column_name(name) for name in header)
        for wanted in filter(None, (self._address_column, self._date_column)):
            if keys.count(wanted) != 1:
                how_many = "no column" if wanted not in keys else "several columns"
                raise InvalidInput(
                    f"the file has {how_many} of the name that you gave. {describe_columns(header)}"
                )
        likely = self._likely_columns(keys)
        if len(likely) > 1 and not self._address_column:
            names = ", ".join(name.strip() for n, name in enumerate(header) if keys[n] in likely)
            raise InvalidInput(
                "several columns may hold the address: choose one with --column (`column` in the"
                f" API). They are: {names}"
            )
        aliases = [self._preset.address_columns[0]] if self._address_key(keys) else []
        check_columns([*header, *aliases], self._preset)

    def add_names(self, cells: Mapping[str, Any]) -> Mapping[str, Any]:
        """The cells of a row (keyed by normalized names), with the names that the preset reads."""
        renamed: dict[str, Any] = {}
        if key := self._address_key(tuple(cells)):
            # An empty cell is not filled from another column: that may be another address.
            names = map(normalize_column_name, self._preset.address_columns)
            renamed = dict.fromkeys(names, "") | {self._address_name: cells[key]}
        if self._date_column:
            renamed |= dict.fromkeys(self._date_keys, cells.get(self._date_column))
        return {**cells, **renamed} if renamed else cells

    def list_unread(self, column_names: Mapping[str, str]) -> tuple[str, ...]:
        """The columns (normalized names to those in the file) that nothing is read from."""
        if any(
            meaning.group_column_prefix or meaning.other_columns_are_groups
            for meaning in self._preset.meanings
        ):
            return ()
        read = self._preset.known_columns
        address = self._address_key(tuple(column_names))
        if address:  # the others may hold a phone number
            read -= {normalize_column_name(each) for each in self._preset.address_columns}
        read |= {self._date_column, address or ""}
        return tuple(name.strip() for key, name in column_names.items() if key not in read)

    def _address_key(self, keys: tuple[str, ...]) -> str | None:
        if self._address_column:
            return self._address_column if self._address_column in keys else None
        likely = self._likely_columns(keys)
        return likely[0] if likely else None

    def _likely_columns(self, keys: tuple[str, ...]) -> tuple[str, ...]:
        if not self._preset.detects_address:
            return ()
        return _find_likely(keys, self._channel)


@lru_cache(maxsize=1_000)
def _find_likely(keys: tuple[str, ...], channel: Channel) -> tuple[str, ...]:
    return tuple(keys[index] for index in find_likely_columns(keys, channel))
