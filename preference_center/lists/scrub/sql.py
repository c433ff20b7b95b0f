"""These SQL expressions scrub a list: which rows a fact may concern, and the decision on each.

Every engine gets the same text: what their dialects name differently is in `SqlDialect`. Tests
compare both parts with Python, row by row.

The first part computes canonical forms and their digests, as `core.addresses.parse_address` and
`Keys.match_keys` do. Cells that it may parse wrongly are not `safe`: Python parses those. The
secret is never part of the text. The first part uses the names `list` (with the column `cell`),
`fact` (a snapshot's rows), `read` (digests of the cells that Python read: cell, kind, digest), and
the pads of `SqlDialect`.

The second part decides on each cell about which there is a fact, as `decisions.rules.decide` does.
The second part uses the names `fact` and `probe` (the result of `probes`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from preference_center.catalogue import MessageClass, MessageType, Topic, TopicDefault
from preference_center.core.addresses import PROVIDERS, Channel, KeyKind, may_match
from preference_center.core.events import (
    ALL_MARKETING,
    EVERYTHING,
    RESTRICTION,
    UNDELIVERABLE,
    EventKind,
)
from preference_center.core.keys import MD5_PREFIX
from preference_center.decisions.rules import DecisionRule

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
    safe = _is_plain(dialect) if channel.rules.is_email else "false"
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


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


_TIMESTAMP_DIGITS = 17  # digits of microseconds until the year 5138


_EVENT_ID_DIGITS = 32  # digits of an event's id


def decisions(message: MessageType, topic: Topic | None, now_us: int) -> str:
    """The decision on every cell in `probe` about which there is a fact.

    Columns: cell, allow, rule, scope, since (microseconds). Other cells get the query's
    `default_decision`.
    """
    if message.message_class is MessageClass.SERVICE:
        return _decide(_service_decision(message), pauses="")
    assert topic is not None
    return _decide(
        _marketing_decision(topic, now_us),
        pauses=_active_pauses(topic.key, now_us),
        topic=topic.key,
    )


def deciding_scopes(message: MessageType, topic: Topic | None) -> tuple[str, ...]:
    """The scopes whose facts may decide about this message."""
    if message.message_class is MessageClass.SERVICE:
        return () if message.after_closing else (EVERYTHING,)
    if topic is None or topic.retired:
        return ()
    return (topic.key, ALL_MARKETING, EVERYTHING, UNDELIVERABLE, RESTRICTION)


def deciding_facts(source: str, channel: Channel, scopes: Sequence[str]) -> str:
    """The rows of a snapshot that may decide."""
    if not scopes:
        return f"SELECT * FROM {source} WHERE false"
    return (
        f"SELECT * FROM {source} WHERE channel = {sql_literal(channel)} AND scope IN "
        f"({sql_list(scopes)})"
    )


def _kind_pairs(rule: Callable[[KeyKind, KeyKind], bool]) -> str:
    """Every pair of kinds, as one number, for which `rule` holds of a probe and a fact."""
    every = [KeyKind(n) for n in range(1, _KINDS)]
    return ", ".join(str(p * _KINDS + s) for p in every for s in every if rule(p, s))


_KINDS = 2 * max(KeyKind)


_MATCHING = _kind_pairs(may_match)


_EXACT = _kind_pairs(lambda probe, stored: bool(probe & stored & KeyKind.EXACT))


def _matches() -> str:
    """Every fact that a probe meets; `exact` if it is about the very address."""
    kinds = f"p.kind * {_KINDS} + f.kind"
    columns = "scope, out_at, out_event, reason, lift_at, pause_at, pause_until, consent_at"
    return f"""SELECT p.cell, {kinds} IN ({_EXACT}) AS exact, {columns} FROM fact AS f JOIN (
            SELECT cell, kind, digest FROM probe
            UNION ALL SELECT cell, kind, left(digest, {DIGEST_HEX_LENGTH // 2}) FROM probe
        ) AS p ON p.digest = f.digest WHERE {kinds} IN ({_MATCHING})"""


def _newest_opt_out(scope: str) -> str:
    # The event's id breaks ties as everywhere; with it comes the reason.
    mark = f"lpad(CAST(out_at AS STRING), {_TIMESTAMP_DIGITS}, '0') || out_event || reason"
    covers = f"scope = {sql_literal(scope)}"
    if scope == EVERYTHING:
        covers += " AND exact"
    elif scope == ALL_MARKETING:  # all that the closing of another form reaches; its own meets
        # a probe by the digest of its mailbox, too
        covers += (
            f" OR (scope = {sql_literal(EVERYTHING)} AND NOT exact"
            " AND (exact_closing IS NULL OR out_event <> exact_closing))"
        )
    elif scope == RESTRICTION:  # each form ends its own (I9)
        covers += f" AND {_is_active('out_at', 'lift_at')}"
    return f"max(CASE WHEN {covers} THEN {mark} END)"


def _newest_exact(column: str, scope: str) -> str:
    return f"max(CASE WHEN exact AND scope = {sql_literal(scope)} THEN {column} END)"


def _decide(select: str, *, pauses: str, topic: str = "") -> str:
    """The decision over one row per cell: the newest of all that counts."""
    outs = {"closed": EVERYTHING, "all_out": ALL_MARKETING, "bounced": UNDELIVERABLE}
    lifts = {"all_lift": ALL_MARKETING, "reopened": EVERYTHING}
    if topic:
        outs["topic_out"] = lifts["topic_lift"] = topic
        outs["restricted"] = RESTRICTION
    columns = [f"{_newest_opt_out(scope)} AS {name}" for name, scope in outs.items()]
    columns += [f"{_newest_exact('lift_at', scope)} AS {name}" for name, scope in lifts.items()]
    if topic:
        columns.append(f"{_newest_exact('consent_at', topic)} AS consent")
    at = [f"CAST(left({name}, {_TIMESTAMP_DIGITS}) AS BIGINT) AS {name}_at" for name in outs]
    widest = ["greatest(topic_lift, all_lift) AS topic_or_all_lift"] if topic else []
    return f"""
    WITH matches AS ({_matches()}),
    own AS (SELECT cell, max(out_event) AS exact_closing FROM matches
        WHERE exact AND scope = {sql_literal(EVERYTHING)} GROUP BY cell),
    newest AS (SELECT matches.cell, {", ".join(columns)}
        FROM matches LEFT JOIN own ON own.cell = matches.cell GROUP BY matches.cell),
    active AS (SELECT *, {", ".join([*at, *widest])} FROM newest){pauses}
    {select}"""


def _is_active(at: str, lift: str) -> str:
    """Opt-out wins a tie (I5)."""
    return f"({at} IS NOT NULL AND ({lift} IS NULL OR {at} >= {lift}))"


def _active_pauses(topic: str, now_us: int) -> str:
    """The pause of each scope that runs longest, unless a lift is newer."""
    mark = (
        f"lpad(CAST(m.pause_until AS STRING), {_TIMESTAMP_DIGITS}, '0') || CAST(m.pause_at "
        "AS STRING)"
    )
    columns = [
        f"max(CASE WHEN m.scope = {sql_literal(scope)} AND {_is_active('m.pause_at', lift)}"
        f" THEN {mark} END) AS {name}"
        for name, scope, lift in (
            ("bounce_pause", UNDELIVERABLE, "s.topic_or_all_lift"),
            ("all_pause", ALL_MARKETING, "s.topic_or_all_lift"),
            ("topic_pause", topic, "s.topic_lift"),
        )
    ]
    return f""",
    paused AS (SELECT m.cell, {", ".join(columns)}
        FROM active AS s JOIN (SELECT * FROM matches WHERE pause_until > {now_us}) AS m
        ON s.cell = m.cell GROUP BY m.cell)"""


def _marketing_decision(topic: Topic, now_us: int) -> str:
    """As `decide` for marketing."""
    pause = "CAST(substr(p.{0}, " + str(_TIMESTAMP_DIGITS + 1) + ") AS BIGINT)"
    consented = " AND ".join(
        f"(s.{out}_at IS NULL OR s.{out}_at < s.consent)"
        for out in ("topic_out", "all_out", "closed")
    )
    cutoff = topic.consents_count_from(_EPOCH + timedelta(microseconds=now_us))
    if cutoff is not None:
        consented += f" AND s.consent >= {(cutoff - _EPOCH) // timedelta(microseconds=1)}"
    steps: list[tuple[str, DecisionRule | str, str | None, str]] = [
        (_is_active("s.closed_at", "s.reopened"), DecisionRule.CLOSED, EVERYTHING, "s.closed_at"),
        ("s.restricted_at IS NOT NULL", DecisionRule.RESTRICTED, RESTRICTION, "s.restricted_at"),
        *_opt_out_steps(
            "all_out", "s.topic_or_all_lift", DecisionRule.OPTED_OUT_OF_ALL_MARKETING, ALL_MARKETING
        ),
        *_opt_out_steps("topic_out", "s.topic_lift", DecisionRule.OPTED_OUT_OF_TOPIC, topic.key),
        (
            _is_active("s.bounced_at", "s.topic_or_all_lift"),
            DecisionRule.BOUNCED,
            UNDELIVERABLE,
            "s.bounced_at",
        ),
        *(
            (f"p.{name} IS NOT NULL", rule, scope, pause.format(name))
            for name, rule, scope in (
                ("bounce_pause", DecisionRule.BOUNCED, UNDELIVERABLE),
                ("all_pause", DecisionRule.PAUSED, ALL_MARKETING),
                ("topic_pause", DecisionRule.PAUSED, topic.key),
            )
        ),
        (f"s.consent IS NOT NULL AND {consented}", DecisionRule.CONSENTED, topic.key, "s.consent"),
    ]
    last = (
        DecisionRule.NO_CONSENT
        if topic.default is TopicDefault.OPT_IN
        else DecisionRule.NOT_OPTED_OUT
    )
    return _rule_cases(steps, last, "active AS s LEFT JOIN paused AS p ON p.cell = s.cell")


def _service_decision(message: MessageType) -> str:
    closed = DecisionRule.AFTER_CLOSING if message.after_closing else DecisionRule.CLOSED
    is_closed = _is_active("s.closed_at", "s.reopened")
    return _rule_cases(
        [(is_closed, closed, EVERYTHING, "s.closed_at")], DecisionRule.SERVICE, "active AS s"
    )


def _opt_out_steps(
    out: str, lift: str, rule: DecisionRule, scope: str
) -> list[tuple[str, DecisionRule, str, str]]:
    """A complaint is reported as such."""
    active, at = _is_active(f"s.{out}_at", lift), f"s.{out}_at"
    complained = (
        f"substr(s.{out}, {_TIMESTAMP_DIGITS + _EVENT_ID_DIGITS + 1}) = '{EventKind.COMPLAINED}'"
    )
    return [
        (f"{active} AND {complained}", DecisionRule.COMPLAINED, scope, at),
        (active, rule, scope, at),
    ]


ALLOWING_RULES = frozenset(
    {
        DecisionRule.CONSENTED,
        DecisionRule.NOT_OPTED_OUT,
        DecisionRule.SERVICE,
        DecisionRule.AFTER_CLOSING,
    }
)


def _rule_cases(
    steps: Sequence[tuple[str, DecisionRule | str, str | None, str]],
    last: DecisionRule,
    source: str,
) -> str:
    def cases(values: Sequence[str], otherwise: str) -> str:
        whens = [f"WHEN {step[0]} THEN {value}" for step, value in zip(steps, values, strict=True)]
        return f"CASE {' '.join(whens)} ELSE {otherwise} END"

    rule = cases([sql_literal(step[1]) for step in steps], sql_literal(last))
    scope = cases([sql_literal(step[2] or "") for step in steps], "''")
    since = cases([step[3] for step in steps], "NULL")
    return (
        f"SELECT *, rule IN ({sql_list(sorted(ALLOWING_RULES))}) AS allow FROM"
        f" (SELECT s.cell, {rule} AS rule, {scope} AS scope, {since} AS since FROM {source}) AS d"
    )
