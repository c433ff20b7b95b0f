"""The SQL that scrubs, first part: canonical forms, their digests, and which rows they concern.

One text for every engine: what their dialects name differently is in `SqlDialect`. It
computes what `core.addresses.parse_address` and `Keys.match_keys` compute; tests compare them
row by row. Cells that it may parse wrongly are not `safe`: Python parses those.

The secret is never part of the text. Names that it uses: `list` (with the column `cell`),
`fact` (a snapshot's rows), `read` (digests of the cells that Python read: cell, kind, digest),
and the pads of `SqlDialect`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from preference_center.core.addresses import PROVIDERS, Channel, KeyKind
from preference_center.core.keys import MD5_PREFIX

DIGEST_HEX_LENGTH = 64
"""Hexadecimal digits of a digest; half of them in an opt-out by mail."""

PREFILTER_HEX_LENGTH = 12
"""Digits of the first, cheap comparison; only rows that pass it are compared in full."""

# What `parse` leaves alone but for case. Of its characters the apostrophe is missing: SQL
# dialects quote it in different ways.
_ATOM = r"[A-Za-z0-9_!#$%&*/=?^`{|}~+-]+"
_LABEL = "[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*"
PLAIN_ADDRESS_PATTERN = f"{_ATOM}(?:[.]{_ATOM})*@(?:{_LABEL}[.])+[A-Za-z]{{2,}}"
_MAX_PLAIN_LENGTH = 64  # so short an address has no label nor local part that is too long
_SPECIAL_TLDS = ("arpa", "invalid", "local", "localhost", "onion")


@dataclass(frozen=True, slots=True)
class SqlDialect:
    """What an engine's SQL dialect calls by a name of its own.

    `full_match(text, pattern)` is whether the whole text matches; `pads` are the names of
    the inner and outer pad of each digest key (RFC 2104), as binary values.
    """

    full_match: Callable[[str, str], str]
    pads: Sequence[tuple[str, str]]


def with_digests(dialect: SqlDialect, channel: Channel, *, md5: bool) -> str:
    """Every row of `list` with the digests of its forms: cell, safe, other, and digests.

    `other` is the kind of the second form and the form itself, where there is one. With
    `md5` there are the digests of MD5s as well, and once digest keys were rotated, those that
    fewer keys made: an opt-out by mail may name one of them.
    """
    digests = {"digest": ("safe", "low"), "other_digest": ("other IS NOT NULL", "substr(other, 2)")}
    made = [
        f"CASE WHEN {given} THEN {_digest(f'sha2({form}, 256)', dialect)} END AS {name}"
        for name, (given, form) in digests.items()
    ]
    made += [
        f"CASE WHEN {given} THEN {_digest(f'sha2({form}, 256)', dialect, keys)} END"
        f" AS {_earlier_prefix(keys)}{name}"
        for keys in range(1, len(dialect.pads))
        for name, (given, form) in digests.items()
    ]
    if md5:
        made += [
            f"CASE WHEN {given} THEN {_digest(_md5_form(form), dialect)} END AS md5_{name}"
            for name, (given, form) in digests.items()
        ]
    safe = _is_plain(dialect) if channel is Channel.EMAIL else "false"
    return f"""
    SELECT cell, safe, other, {", ".join(made)} FROM (
        SELECT *, {_OTHER_FORM} AS other FROM (
            SELECT *, {safe} AS safe
            FROM (
                SELECT *, lower(cell) AS low, split_part(lower(cell), '@', 1) AS local,
                    split_part(lower(cell), '@', 2) AS domain
                FROM list
            ) AS parts
        ) AS classified
    ) AS with_forms"""


def _is_plain(dialect: SqlDialect) -> str:
    """Whether a cell is an address that `parse` would leave alone but for case."""
    return (
        f"{dialect.full_match('cell', PLAIN_ADDRESS_PATTERN)} AND length(cell) <= "
        f"{_MAX_PLAIN_LENGTH}"
        f" AND split_part(domain, '.', -1) NOT IN ({sql_list(_SPECIAL_TLDS)})"
    )


def candidates_condition(*, md5: bool, keys: int) -> str:
    """The rows of `digested` that somebody's fact may concern, or that Python must read.

    `keys` is how many digest keys there are.
    """
    names = [
        f"{prefix}{name}"
        for prefix in _column_prefixes(md5=md5, keys=keys)
        for name in ("digest", "other_digest")
    ]
    hits = [
        f"({name} IS NOT NULL AND left({name}, {PREFILTER_HEX_LENGTH}) IN (SELECT left(digest, "
        f"{PREFILTER_HEX_LENGTH}) FROM fact))"
        for name in names
    ]
    return f"NOT safe OR {' OR '.join(hits)}"


def _column_prefixes(*, md5: bool, keys: int) -> list[str]:
    return ["", *map(_earlier_prefix, range(1, keys)), *(["md5_"] if md5 else [])]


def _earlier_prefix(keys: int) -> str:
    return f"earlier{keys}_"


def probes(*, md5: bool, keys: int) -> str:
    """What to look up for the cells in `candidate`: cell, kind, digest.

    `keys` is how many digest keys there are.
    """
    exact = "CASE WHEN left(other, 1) = '2' THEN 1 ELSE 3 END"
    other = "CAST(left(other, 1) AS SMALLINT)"
    parts = [
        f"SELECT DISTINCT cell, {kind} AS kind, {prefix}{name} AS digest"
        f" FROM candidate WHERE {given}"
        for prefix in _column_prefixes(md5=md5, keys=keys)
        for name, kind, given in (
            ("digest", exact, "safe"),
            ("other_digest", other, "other IS NOT NULL"),
        )
    ]
    return "\nUNION ALL ".join([*parts, "SELECT cell, kind, digest FROM read"])


def sql_literal(text: str) -> str:
    """`text` as a literal of SQL. Only for names and keys: none holds a quote or backslash."""
    if "'" in text or "\\" in text:
        raise ValueError("a quote in SQL")
    return f"'{text}'"


def sql_list(texts: Sequence[str]) -> str:
    """Literals of these texts, as the inside of a list."""
    return ", ".join(map(sql_literal, texts))


def _other_form() -> str:
    dotless = [domain for domain, provider in PROVIDERS.items() if provider.ignores_dots]
    renamed = {d: p.domain for d, p in PROVIDERS.items() if p.domain != d}
    cases = " ".join(
        f"WHEN {sql_literal(d)} THEN {sql_literal(name)}" for d, name in renamed.items()
    )
    name = "CASE WHEN instr(local, '+') > 1 THEN split_part(local, '+', 1) ELSE local END"
    mailbox = (
        f"CASE WHEN domain IN ({sql_list(dotless)}) THEN replace({name}, '.', '') ELSE {name} END"
        f" || '@' || CASE domain {cases} ELSE domain END"
    )
    return f"""CASE WHEN NOT safe THEN NULL
        WHEN domain IN ({sql_list(list(PROVIDERS))})
            THEN '{KeyKind.MAILBOX:d}' || nullif({mailbox}, low)
        WHEN instr(local, '+') > 1
            THEN '{KeyKind.BASE:d}' || split_part(local, '+', 1) || '@' || domain END"""


_OTHER_FORM = _other_form()


def _digest(sha: str, dialect: SqlDialect, keys: int | None = None) -> str:
    """`Keys.digest_sha256` in hexadecimal: HMAC over HMAC, the chain's oldest key first.

    With all keys, or the first `keys`.
    """
    for inner, outer in dialect.pads[:keys]:
        sha = f"sha2({outer} || unhex(sha2({inner} || unhex({sha}), 256)), 256)"
    return sha


def _md5_form(form: str) -> str:
    return f"sha2(unhex('{MD5_PREFIX.hex()}') || unhex(md5({form})), 256)"
