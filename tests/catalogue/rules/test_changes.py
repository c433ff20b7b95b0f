from __future__ import annotations

import pytest

from preference_center.catalogue import diff_catalogues, parse_catalogue, rejection_reasons
from tests.catalogue.catalogues import SECOND_TOPIC, SMALL, edited

# The difference between versions


def lines(old: str | None, new: str) -> list[str]:
    return diff_catalogues(
        parse_catalogue(old) if old else None, parse_catalogue(new)
    ).format_lines()


def test_the_same_file_makes_no_difference() -> None:
    assert not diff_catalogues(
        parse_catalogue(SMALL), parse_catalogue(SMALL + "# only a comment\n")
    )
    assert lines(SMALL, SMALL) == []


def test_a_first_version_adds_everything() -> None:
    assert lines(None, SMALL) == [
        "changed languages: none -> it, en",
        "changed default_language: none -> it",
        "added group news",
        "added brand acme",
        "added topic acme.news",
        "added message type newsletter.monthly",
        "added message type password_reset",
    ]


def test_a_change_is_reported_field_by_field_with_what_it_means() -> None:
    new = edited(('"opt_in"', '"opt_out"'), ('en = "News" }\ndesc', 'en = "Post" }\ndesc'))

    assert lines(SMALL, new) == [
        "changed topic acme.news",
        "    default: opt_in -> opt_out",
        "    people who never asked for it receive it from now on",
        '    title.en: "News" -> "Post"',
    ]


def test_a_change_of_policy_is_reported() -> None:
    new = SMALL + '\n[policy]\nunproven_imports = "flag"\n'

    assert lines(SMALL, new) == ["changed policy.unproven_imports: refuse -> flag"]


def test_removing_and_retiring_are_distinguished() -> None:
    old = SMALL + SECOND_TOPIC
    new = edited(('group = "news"', 'group = "news"\nretired = true'))

    assert lines(old, new) == [
        "retired topic acme.news",
        "    retired: false -> true",
        "    no longer offered nor sent; its opt-outs stay",
        "removed topic acme.offers",
    ]


# What may not change


def refused(old: str, new: str, *suppressed: str) -> list[str]:
    return rejection_reasons(
        diff_catalogues(parse_catalogue(old), parse_catalogue(new)), frozenset(suppressed)
    )


def test_a_topic_with_opt_outs_cannot_be_deleted_but_retired() -> None:
    # I5
    old = SMALL + SECOND_TOPIC

    message = refused(old, SMALL, "acme.offers")

    assert len(message) == 1
    assert message[0].startswith("topic acme.offers still has opt-outs and can't be deleted")
    assert "retired = true" in message[0]
    assert refused(old, SMALL, "acme.news") == []
    assert refused(old, old + "retired = true\n", "acme.offers") == []


@pytest.mark.parametrize(
    "change, message",
    [
        (('channel = "email"', 'channel = "sms"'), "can't move to sms"),
        (
            ('brand = "acme"', 'brand = "other"'),
            "can't move from brand acme to other",
        ),
    ],
)
def test_a_topic_with_opt_outs_keeps_its_channel_and_brand(
    change: tuple[str, str], message: str
) -> None:
    # I5
    old = SMALL + '\n[brands.other]\nname = "Other"\n'
    new = edited(change, text=old)

    (line,) = refused(old, new, "acme.news")

    assert message in line
    assert "declare a new topic" in line
    assert refused(old, new) == []


def test_marketing_cannot_become_service() -> None:
    # I4: a key that may ask for it would get past every opt-out.
    new = edited(
        ('class = "marketing"\ntopic = "acme.news"', 'class = "service"\nground = "account"')
    )

    (line,) = refused(SMALL, new)

    assert "message type newsletter.monthly is marketing and can't become service" in line


def test_service_may_become_marketing() -> None:
    service = 'class = "service"\nground = "security"\nafter_closing = true\n'
    service += 'after_closing_ground = "just_requested"'
    new = edited((service, 'class = "marketing"\ntopic = "acme.news"'))

    assert refused(SMALL, new, "acme.news") == []


def test_a_message_type_cannot_leave_the_topic_that_people_opted_out_of() -> None:
    # I5
    old = SMALL + SECOND_TOPIC
    new = edited(('topic = "acme.news"', 'topic = "acme.offers"'), text=old)

    (line,) = refused(old, new, "acme.news")

    assert "can't move from topic acme.news to acme.offers" in line
    assert refused(old, new, "acme.offers") == []
