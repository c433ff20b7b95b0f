"""The SQL that scrubs: canonical forms, their digests, and the decision.

One text for every engine: what their dialects call by different names is in `Dialect`. It
says what `domain.addresses.parse`, `Keys.match_keys` and `domain.decisions.decide` say; tests
hold it to them row for row. Cells that it can't be sure of are not `safe`: Python reads those.

The secret is never part of the text. Names that it uses: `list` (with the column `cell`),
`fact` (a snapshot's rows), `read` (digests of the cells that Python read: cell, kind, digest),
and the pads of `Dialect`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from preference_center.domain.addresses import Channel, KeyKind, may_match
from preference_center.domain.catalogue import Default, MessageClass, MessageType, Topic
from preference_center.domain.decisions import Rule
from preference_center.domain.events import ALL_MARKETING, EVERYTHING, UNDELIVERABLE, Kind
from preference_center.domain.mailbox_providers import PROVIDERS
from preference_center.keys import MD5_FORM

DIGITS = 64
"""Hexadecimal digits of a digest; half of them in an opt-out by mail."""

TAG = 12
"""Digits by which rows that concern nobody are put aside; the others are looked at in full."""

_AT = 17  # digits of microseconds until the year 5138
_EVENT = 32  # digits of an event's id

# What `parse` leaves alone but for case. Of its characters the apostrophe is missing: SQL
# dialects quote it in different ways.
_ATOM = r"[A-Za-z0-9_!#$%&*/=?^`{|}~+-]+"
_LABEL = "[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*"
PLAIN = f"{_ATOM}(?:[.]{_ATOM})*@(?:{_LABEL}[.])+[A-Za-z]{{2,}}"
_LONGEST = 64  # so short an address has no label nor local part that is too long
_SPECIAL_TOPS = ("arpa", "invalid", "local", "localhost", "onion")


@dataclass(frozen=True, slots=True)
class Dialect:
    """How an engine says what others say differently.

    `full_match(text, pattern)` is whether the whole text matches; `pads` are the names of
    the inner and outer pad of each digest key (RFC 2104), as binary values.
    """

    full_match: Callable[[str, str], str]
    pads: Sequence[tuple[str, str]]


def looks(dialect: Dialect, channel: Channel, *, md5: bool) -> str:
    """Every row of `list` with the digests of its forms: cell, safe, other, and digests.

    `other` is the kind of the second form and the form itself, where there is one. With
    `md5` there are the digests of MD5s as well.
    """
    digests = {"digest": ("safe", "low"), "other_digest": ("other IS NOT NULL", "substr(other, 2)")}
    made = [
        f"CASE WHEN {given} THEN {_digest(f'sha2({form}, 256)', dialect)} END AS {name}"
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
        SELECT *, {_OTHER} AS other FROM (
            SELECT *, {safe} AS safe
            FROM (
                SELECT *, lower(cell) AS low, split_part(lower(cell), '@', 1) AS local,
                    split_part(lower(cell), '@', 2) AS domain
                FROM list
            ) AS parts
        ) AS judged
    ) AS formed"""


def _is_plain(dialect: Dialect) -> str:
    """Whether a cell is an address that `parse` would leave alone but for case."""
    return (
        f"{dialect.full_match('cell', PLAIN)} AND length(cell) <= {_LONGEST}"
        f" AND split_part(domain, '.', -1) NOT IN ({_listed(_SPECIAL_TOPS)})"
    )


def concerned(*, md5: bool) -> str:
    """The rows of `looks` that somebody's fact may concern, or that Python must read."""
    names = ("digest", "other_digest", *(("md5_digest", "md5_other_digest") if md5 else ()))
    hits = [
        f"({name} IS NOT NULL AND left({name}, {TAG}) IN (SELECT left(digest, {TAG}) FROM fact))"
        for name in names
    ]
    return f"NOT safe OR {' OR '.join(hits)}"


def probes(*, md5: bool) -> str:
    """What to look up for the cells in `closer`: cell, kind, digest."""
    exact = "CASE WHEN left(other, 1) = '2' THEN 1 ELSE 3 END"
    other = "CAST(left(other, 1) AS SMALLINT)"
    parts = [
        f"SELECT DISTINCT cell, {kind} AS kind, {prefix}{name} AS digest FROM closer WHERE {given}"
        for prefix in ("", "md5_")[: 1 + md5]
        for name, kind, given in (
            ("digest", exact, "safe"),
            ("other_digest", other, "other IS NOT NULL"),
        )
    ]
    return "\nUNION ALL ".join([*parts, "SELECT cell, kind, digest FROM read"])


def verdicts(message: MessageType, topic: Topic | None, now_us: int) -> str:
    """The decision on every cell in `probe` about which there is a fact.

    Columns: cell, allow, rule, scope, since (microseconds). The others get `unseen`.
    """
    if message.message_class is MessageClass.SERVICE:
        return _judged(_service(message), pauses="")
    assert topic is not None
    return _judged(_marketing(topic), pauses=_paused(topic.key, now_us), topic=topic.key)


def scopes(message: MessageType, topic: Topic | None) -> tuple[str, ...]:
    """The scopes whose facts may decide about this message."""
    if message.message_class is MessageClass.SERVICE:
        return () if message.after_closing else (EVERYTHING,)
    if topic is None or topic.retired:
        return ()
    return (topic.key, ALL_MARKETING, EVERYTHING, UNDELIVERABLE)


def facts(source: str, channel: Channel, wanted: Sequence[str]) -> str:
    """The rows of a snapshot that may decide."""
    if not wanted:
        return f"SELECT * FROM {source} WHERE false"
    return (
        f"SELECT * FROM {source} WHERE channel = {quoted(channel)} AND scope IN ({_listed(wanted)})"
    )


def quoted(text: str) -> str:
    """`text` as a literal of SQL. Only for names and keys: none holds a quote or backslash."""
    if "'" in text or "\\" in text:
        raise ValueError("a quote in SQL")
    return f"'{text}'"


def _listed(texts: Sequence[str]) -> str:
    return ", ".join(map(quoted, texts))


def _other() -> str:
    dotless = [domain for domain, provider in PROVIDERS.items() if provider.ignores_dots]
    renamed = {d: p.domain for d, p in PROVIDERS.items() if p.domain != d}
    cases = " ".join(f"WHEN {quoted(d)} THEN {quoted(name)}" for d, name in renamed.items())
    name = "CASE WHEN instr(local, '+') > 1 THEN split_part(local, '+', 1) ELSE local END"
    mailbox = (
        f"CASE WHEN domain IN ({_listed(dotless)}) THEN replace({name}, '.', '') ELSE {name} END"
        f" || '@' || CASE domain {cases} ELSE domain END"
    )
    return f"""CASE WHEN NOT safe THEN NULL
        WHEN domain IN ({_listed(list(PROVIDERS))})
            THEN '{KeyKind.MAILBOX:d}' || nullif({mailbox}, low)
        WHEN instr(local, '+') > 1
            THEN '{KeyKind.BASE:d}' || split_part(local, '+', 1) || '@' || domain END"""


_OTHER = _other()


def _digest(sha: str, dialect: Dialect) -> str:
    """`Keys.digest_sha256` in hexadecimal: HMAC over HMAC, the chain's oldest key first."""
    for inner, outer in dialect.pads:
        sha = f"sha2({outer} || unhex(sha2({inner} || unhex({sha}), 256)), 256)"
    return sha


def _md5_form(form: str) -> str:
    return f"sha2(unhex('{MD5_FORM.hex()}') || unhex(md5({form})), 256)"


def _pairs(rule: Callable[[KeyKind, KeyKind], bool]) -> str:
    """Every pair of kinds, as one number, for which `rule` holds of a probe and a fact."""
    every = [KeyKind(n) for n in range(1, _KINDS)]
    return ", ".join(str(p * _KINDS + s) for p in every for s in every if rule(p, s))


_KINDS = 2 * max(KeyKind)
_MATCHING = _pairs(may_match)
_EXACT = _pairs(lambda probe, stored: bool(probe & stored & KeyKind.EXACT))


def _met() -> str:
    """Every fact that a probe meets; `exact` if it is about the very address."""
    kinds = f"p.kind * {_KINDS} + f.kind"
    columns = "scope, out_at, out_event, reason, lift_at, pause_at, pause_until, consent_at"
    return f"""SELECT p.cell, {kinds} IN ({_EXACT}) AS exact, {columns} FROM fact AS f JOIN (
            SELECT cell, kind, digest FROM probe
            UNION ALL SELECT cell, kind, left(digest, {DIGITS // 2}) FROM probe
        ) AS p ON p.digest = f.digest WHERE {kinds} IN ({_MATCHING})"""


def _newest_out(scope: str) -> str:
    # The event's id breaks ties as everywhere; with it comes the reason.
    mark = f"lpad(CAST(out_at AS STRING), {_AT}, '0') || out_event || reason"
    covers = f"scope = {quoted(scope)}"
    if scope == EVERYTHING:
        covers += " AND exact"
    elif scope == ALL_MARKETING:  # all that the closing of another form reaches; its own meets
        # a probe by the digest of its mailbox, too
        covers += (
            f" OR (scope = {quoted(EVERYTHING)} AND NOT exact"
            " AND (own_closing IS NULL OR out_event <> own_closing))"
        )
    return f"max(CASE WHEN {covers} THEN {mark} END)"


def _own(column: str, scope: str) -> str:
    return f"max(CASE WHEN exact AND scope = {quoted(scope)} THEN {column} END)"


def _judged(decision: str, *, pauses: str, topic: str = "") -> str:
    """The decision over one row per cell: the newest of all that counts."""
    outs = {"closed": EVERYTHING, "all_out": ALL_MARKETING, "bounced": UNDELIVERABLE}
    lifts = {"all_lift": ALL_MARKETING, "reopened": EVERYTHING}
    if topic:
        outs["topic_out"] = lifts["topic_lift"] = topic
    columns = [f"{_newest_out(scope)} AS {name}" for name, scope in outs.items()]
    columns += [f"{_own('lift_at', scope)} AS {name}" for name, scope in lifts.items()]
    if topic:
        columns.append(f"{_own('consent_at', topic)} AS consent")
    at = [f"CAST(left({name}, {_AT}) AS BIGINT) AS {name}_at" for name in outs]
    wide = ["greatest(topic_lift, all_lift) AS wide_lift"] if topic else []
    return f"""
    WITH met AS ({_met()}),
    own AS (SELECT cell, max(out_event) AS own_closing FROM met
        WHERE exact AND scope = {quoted(EVERYTHING)} GROUP BY cell),
    newest AS (SELECT met.cell, {", ".join(columns)}
        FROM met LEFT JOIN own ON own.cell = met.cell GROUP BY met.cell),
    standing AS (SELECT *, {", ".join([*at, *wide])} FROM newest){pauses}
    {decision}"""


def _stands(at: str, lift: str) -> str:
    """Opt-out wins a tie (I5)."""
    return f"({at} IS NOT NULL AND ({lift} IS NULL OR {at} >= {lift}))"


def _paused(topic: str, now_us: int) -> str:
    """The pause of each scope that runs longest, unless a lift is newer."""
    mark = f"lpad(CAST(m.pause_until AS STRING), {_AT}, '0') || CAST(m.pause_at AS STRING)"
    columns = [
        f"max(CASE WHEN m.scope = {quoted(scope)} AND {_stands('m.pause_at', lift)}"
        f" THEN {mark} END) AS {name}"
        for name, scope, lift in (
            ("bounce_pause", UNDELIVERABLE, "s.wide_lift"),
            ("all_pause", ALL_MARKETING, "s.wide_lift"),
            ("topic_pause", topic, "s.topic_lift"),
        )
    ]
    return f""",
    paused AS (SELECT m.cell, {", ".join(columns)}
        FROM standing AS s JOIN (SELECT * FROM met WHERE pause_until > {now_us}) AS m
        ON s.cell = m.cell GROUP BY m.cell)"""


def _marketing(topic: Topic) -> str:
    """As `decide` for marketing."""
    pause = "CAST(substr(p.{0}, " + str(_AT + 1) + ") AS BIGINT)"
    consented = " AND ".join(
        f"(s.{out}_at IS NULL OR s.{out}_at < s.consent)"
        for out in ("topic_out", "all_out", "closed")
    )
    steps: list[tuple[str, Rule | str, str | None, str]] = [
        (_stands("s.closed_at", "s.reopened"), Rule.CLOSED, EVERYTHING, "s.closed_at"),
        *_outs("all_out", "s.wide_lift", Rule.OPTED_OUT_OF_ALL_MARKETING, ALL_MARKETING),
        *_outs("topic_out", "s.topic_lift", Rule.OPTED_OUT_OF_TOPIC, topic.key),
        (_stands("s.bounced_at", "s.wide_lift"), Rule.BOUNCED, UNDELIVERABLE, "s.bounced_at"),
        *(
            (f"p.{name} IS NOT NULL", rule, scope, pause.format(name))
            for name, rule, scope in (
                ("bounce_pause", Rule.BOUNCED, UNDELIVERABLE),
                ("all_pause", Rule.PAUSED, ALL_MARKETING),
                ("topic_pause", Rule.PAUSED, topic.key),
            )
        ),
        (f"s.consent IS NOT NULL AND {consented}", Rule.CONSENTED, topic.key, "s.consent"),
    ]
    last = Rule.NO_CONSENT if topic.default is Default.OPT_IN else Rule.NOT_OPTED_OUT
    return _decision(steps, last, "standing AS s LEFT JOIN paused AS p ON p.cell = s.cell")


def _service(message: MessageType) -> str:
    closed = Rule.AFTER_CLOSING if message.after_closing else Rule.CLOSED
    stands = _stands("s.closed_at", "s.reopened")
    return _decision([(stands, closed, EVERYTHING, "s.closed_at")], Rule.SERVICE, "standing AS s")


def _outs(out: str, lift: str, rule: Rule, scope: str) -> list[tuple[str, Rule, str, str]]:
    """A complaint is told apart from an opt-out."""
    stands, at = _stands(f"s.{out}_at", lift), f"s.{out}_at"
    complained = f"substr(s.{out}, {_AT + _EVENT + 1}) = '{Kind.COMPLAINED}'"
    return [
        (f"{stands} AND {complained}", Rule.COMPLAINED, scope, at),
        (stands, rule, scope, at),
    ]


ALLOWING = frozenset({Rule.CONSENTED, Rule.NOT_OPTED_OUT, Rule.SERVICE, Rule.AFTER_CLOSING})


def _decision(
    steps: Sequence[tuple[str, Rule | str, str | None, str]], last: Rule, source: str
) -> str:
    def cases(values: Sequence[str], otherwise: str) -> str:
        whens = [f"WHEN {step[0]} THEN {value}" for step, value in zip(steps, values, strict=True)]
        return f"CASE {' '.join(whens)} ELSE {otherwise} END"

    rule = cases([quoted(step[1]) for step in steps], quoted(last))
    scope = cases([quoted(step[2] or "") for step in steps], "''")
    since = cases([step[3] for step in steps], "NULL")
    return (
        f"SELECT *, rule IN ({_listed(sorted(ALLOWING))}) AS allow FROM"
        f" (SELECT s.cell, {rule} AS rule, {scope} AS scope, {since} AS since FROM {source}) AS d"
    )
