"""The parser reads what bounces and complaints stop; warnings name what a catalogue lacks.

`parse_deliverability` reads `[deliverability]`. `catalogue_warnings` reports what a catalogue
should have but may do without, when the catalogue is checked and when it is applied.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from email.utils import parseaddr

from preference_center.catalogue.rules.model import (
    NOTICE_PERIOD,
    Brand,
    Catalogue,
    TopicDefault,
)
from preference_center.catalogue.rules.reader import LocalizedText, TomlTable
from preference_center.core.addresses import Channel
from preference_center.core.bounces import (
    AT_ONCE,
    DEFAULT_THRESHOLDS,
    NEVER,
    BounceThreshold,
    ComplaintStops,
    DeliverabilityPolicy,
)
from preference_center.core.errors import did_you_mean, quote_toml
from preference_center.core.sms_parts import MAX_NAME_SEPTETS, count_septets, excess_parts, to_gsm

_FIELDS = ("complaints_stop", "temporary_days", "counting_window_days", "codes")


_THRESHOLD_FIELDS = ("events", "days", "permanent")


_NAMED_THRESHOLDS = {"never": NEVER, "at_once": AT_ONCE}


_CODE = re.compile(r"[45]\.(?:\d{1,3}\.(?:\d{1,3}|x)|x\.x)")


_MAX_DAYS = 366


_MAX_EVENTS = 100


def parse_deliverability(file: TomlTable) -> DeliverabilityPolicy:
    """The policy; RULES F10 where the file has no value."""
    table = file.subtable("deliverability", _FIELDS)
    if table is None:
        return DeliverabilityPolicy()
    default = DeliverabilityPolicy()
    temporary = table.get_int("temporary_days", 1, _MAX_DAYS, default.temporary_duration.days)
    counted = table.get_int("counting_window_days", 1, _MAX_DAYS, default.counting_window.days)
    counted_for = default.counting_window if counted is None else timedelta(days=counted)
    return DeliverabilityPolicy(
        thresholds={**DEFAULT_THRESHOLDS, **_parse_codes(table, counted_for.days)},
        temporary_duration=default.temporary_duration
        if temporary is None
        else timedelta(days=temporary),
        counting_window=counted_for,
        complaints_stop=table.get_choice("complaints_stop", ComplaintStops)
        or default.complaints_stop,
    )


def _parse_codes(table: TomlTable, counting_window_days: int) -> dict[str, BounceThreshold]:
    if table.get_value("codes", dict, '{ "5.2.2" = "never" }') is None:
        return {}
    codes = table.subtable_keys("codes")
    below = table.subtable("codes", codes)
    assert below is not None  # it is there, and a table
    found = {}
    for code in codes:
        if _CODE.fullmatch(code):
            found[code] = _parse_threshold(below, code, counting_window_days)
        else:
            remedy = 'write an enhanced status code in quotes, "5.2.2", or all of a kind, "5.3.x"'
            below.add_error(f"{quote_toml(code)} is no code of a bounce", remedy, code)
    return found


def _parse_threshold(codes: TomlTable, code: str, counting_window_days: int) -> BounceThreshold:
    if isinstance(codes.get_raw(code), dict):
        return _parse_counted_threshold(codes, code, counting_window_days)
    example = '"never", "at_once" or { events = 3, days = 2 }'
    word = codes.get_raw(code)
    if isinstance(word, str) and word in _NAMED_THRESHOLDS:
        return _NAMED_THRESHOLDS[word]
    near = did_you_mean(word, _NAMED_THRESHOLDS) if isinstance(word, str) else None
    value = quote_toml(word) if isinstance(word, str) else "that"
    codes.add_error(f"{quote_toml(code)} can't be {value}", near or f"write {example}", code)
    return NEVER


def _parse_counted_threshold(
    codes: TomlTable, code: str, counting_window_days: int
) -> BounceThreshold:
    table = codes.subtable(code, _THRESHOLD_FIELDS)
    assert table is not None  # it is a table
    events = table.get_int("events", 1, _MAX_EVENTS, 3)
    days = table.get_int("days", 1, _MAX_EVENTS, 2)
    if "events" not in table:
        table.add_error(f"{quote_toml(code)} has no events", "add events = 3")
    elif events is not None and days is not None and days > events:
        what = f"{events} events can't come on {days} days"
        table.add_error(what, "let days be at most events", "days")
    elif days is not None and days > counting_window_days:
        what = f"{days} days are longer than a bounce counts"
        table.add_error(what, "lower days, or raise counting_window_days", "days")
    return BounceThreshold(events or 1, days or 1, temporary=not table.get_bool("permanent"))


TEXT_MESSAGES = frozenset(
    {
        "%(name)s: you are unsubscribed. You will get no more marketing messages at this number.",
        "%(name)s: you are unsubscribed. We no longer send this to your number: %(what)s.",
        (
            "%(name)s: text STOP to get no more marketing at this number."
            " Choose what you receive: %(url)s"
        ),
        "%(name)s: to get messages at this number again, choose here within 24 hours: %(link)s",
    }
)
"""The keys of the texts that are sent as text messages."""


LONGEST_FIELDS = {
    "name": "N" * MAX_NAME_SEPTETS,
    "what": "W" * MAX_NAME_SEPTETS,
    "url": f"https://{'h' * 30}/form",
    "link": f"https://{'h' * 30}/s/{'c' * 12}",
}
"""What a text message must have space for: names and a host of 30 characters."""


def catalogue_warnings(catalogue: Catalogue) -> list[str]:
    """Each as "what is missing; remedy", in the order of the brands."""
    common = [*_topic_warnings(catalogue), *_policy_warnings(catalogue)]
    return common + [
        line
        for brand in catalogue.brands.values()
        for line in (
            *_contact_warnings(brand, catalogue),
            *_text_message_warnings(brand, catalogue),
            *_replaced_text_warnings(brand),
        )
    ]


def _topic_warnings(catalogue: Catalogue) -> Iterator[str]:
    """What people have to be informed of (GDPR art. 13(1)(c)) and would read as "not stated"."""
    for topic in catalogue.topics.values():
        stated = {"purpose": topic.purpose, "legal_basis": topic.legal_basis}
        missing = [key for key, value in stated.items() if not value]
        if missing and not topic.retired:
            yield (
                f"topic {topic.key} has no {' and no '.join(missing)}, so people who ask for"
                f' their data read "not stated"; add {" and ".join(missing)}'
            )


def _policy_warnings(catalogue: Catalogue) -> Iterator[str]:
    """Whether nobody can agree to the newest version before its day; older ones are past."""
    ended = [
        topic.key
        for topic in catalogue.topics.values()
        if topic.default is TopicDefault.OPT_IN and not topic.retired
    ]
    for version in catalogue.policy_versions[-1:]:
        if version.reconsent and version.ask_from is None and ended:
            yield (
                f"policies.privacy.{version.version} has reconsent and no ask_from, so nobody can"
                f" agree to it before {version.effective}: from that day on nobody is sent"
                f" {', '.join(ended)} until they opt in again; add ask_from, a day of the"
                f" {NOTICE_PERIOD.days} days before, from which you show this version wherever"
                " you ask for consent"
            )


def _contact_warnings(brand: Brand, catalogue: Catalogue) -> Iterator[str]:
    details = catalogue.contact_details(brand)
    if details.contact is None:
        yield (
            f"brand {brand.key} has no contact, so its pages name nobody to write to and its own"
            f" emails come from MAIL_FROM; add [brands.{brand.key}.contact] with email ="
        )
    elif details.contact.address.lower() == parseaddr(brand.sender or "")[1].lower():
        yield (
            f"the contact of brand {brand.key} also sends its marketing, whose complaints"
            " would delay service mail (RULES A13); give one of them another address"
        )
    if not details.privacy_notice:
        yield (
            f"brand {brand.key} has no privacy notice; add privacy_notice to it or to [controller]"
        )


def _text_message_warnings(brand: Brand, catalogue: Catalogue) -> Iterator[str]:
    """Names that our text messages can't contain as they are and stay within one part."""
    topics = [
        topic for topic in catalogue.topics_for_channel(Channel.SMS) if topic.brand == brand.key
    ]
    if topics:
        yield from _name_warnings(
            f"the name of brand {brand.key}", brand.name, "they name the host of the pages instead"
        )
    for topic in topics:
        yield from _name_warnings(
            f"the title of topic {topic.key}", topic.title, "they may take several parts"
        )


def _replaced_text_warnings(brand: Brand) -> Iterator[str]:
    """Texts of its own that leave too little space for the names in a text message."""
    for language, texts in sorted(brand.wording.texts.items()):
        for key, text in sorted(texts):
            if key not in TEXT_MESSAGES:
                continue
            longest = text % LONGEST_FIELDS
            if excess := excess_parts(to_gsm(longest) or longest):
                yield (
                    f'the text of brand {brand.key} in {language} instead of "{key[:40]}..."'
                    f" with names of {MAX_NAME_SEPTETS} characters {excess}"
                )


def _name_warnings(what: str, names: LocalizedText, consequence: str) -> Iterator[str]:
    """`consequence` is what happens where a name can't be written at all."""
    for name in dict.fromkeys(names.values()):
        language = ", ".join(key for key, text in names.items() if text == name)
        written = to_gsm(name)
        if written is None:
            yield (
                f"{what} in {language} can't be written in the alphabet of text messages, so"
                f" {consequence}; add one in Latin letters"
            )
            continue
        if written != name:
            yield (
                f'{what} in {language} becomes "{written}" in text messages, whose alphabet lacks'
                " a character of it"
            )
        if (count_septets(written) or 0) > MAX_NAME_SEPTETS:
            yield (
                f"{what} in {language} has more than {MAX_NAME_SEPTETS} characters and may be"
                " shortened in text messages, which stay within one part"
            )
