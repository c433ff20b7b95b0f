"""`[policies.privacy]` of the catalogue: which version is in force, and which ask again."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from preference_center.catalogue import (
    Catalogue,
    catalogue_warnings,
    diff_catalogues,
    parse_catalogue,
)
from preference_center.core.errors import CatalogueError, InvalidInput, UnknownPolicyVersion
from preference_center.ledger.rules import check_policy_shown
from tests.catalogue.catalogues import SMALL, edited

SHA256 = "0" * 64
VERSIONS = f"""
[controller]
name = "Acme"
address = "Via Roma 1, Milano"
privacy_contact = "privacy@acme.example"
timezone = "Europe/Rome"

[policies.privacy."2026-01"]
effective = 2026-01-01
url = "https://acme.example/privacy"
sha256 = "{SHA256}"
summary = {{ it = "La prima", en = "The first one" }}

[policies.privacy."2027-01"]
effective = 2027-01-01
material = true
url = {{ it = "https://acme.example/it/2027", en = "https://acme.example/en/2027" }}
sha256 = {{ it = "{SHA256}", en = "{"f" * 64}" }}
summary = {{ it = "Nuovo fornitore", en = "A new supplier" }}
reconsent = true
message_type = "password_reset"
"""
IN_FORCE = datetime(2026, 12, 31, 23, tzinfo=UTC)
"""When the day begins in Rome."""
SECOND = timedelta(seconds=1)


def parse(*changes: tuple[str, str]) -> Catalogue:
    return parse_catalogue(edited(*changes, text=SMALL + VERSIONS))


def test_a_version_is_in_force_from_the_beginning_of_its_day_where_the_company_is() -> None:
    catalogue = parse()

    def in_force(at: datetime) -> str | None:
        version = catalogue.policy_in_force(at)
        return version.version if version else None

    assert in_force(IN_FORCE) == "2027-01"
    assert in_force(IN_FORCE - SECOND) == "2026-01"
    assert in_force(datetime(2025, 12, 31, 22, 59, tzinfo=UTC)) is None
    newest = catalogue.policy_version("2027-01")
    assert (newest.effective, newest.reference) == (date(2027, 1, 1), "privacy/2027-01")
    assert newest.url["en"] == "https://acme.example/en/2027"


def test_pages_tell_of_a_version_thirty_days_before_and_after() -> None:
    catalogue = parse()
    newest, month = catalogue.policy_version("2027-01"), timedelta(days=30)
    assert catalogue.policy_notice(IN_FORCE - month) == newest
    assert catalogue.policy_notice(IN_FORCE + month - SECOND) == newest
    assert catalogue.policy_notice(IN_FORCE - month - SECOND) is None
    assert catalogue.policy_notice(IN_FORCE + month) is None


def test_consents_count_from_the_newest_version_in_force_that_asks_again() -> None:
    topic = parse().topics["acme.news"]
    assert topic.consents_count_from(IN_FORCE) == IN_FORCE
    assert topic.consents_count_from(IN_FORCE - SECOND) is None
    kept = parse(("reconsent = true", "reconsent = false")).topics["acme.news"]
    assert kept.consents_count_from(IN_FORCE) is None


EARLY = ("reconsent = true", "reconsent = true\nask_from = 2026-12-05")


def test_a_consent_to_a_version_that_asks_before_its_day_counts_on() -> None:
    catalogue, asked = parse(EARLY), IN_FORCE - timedelta(days=27)
    topic = catalogue.topics["acme.news"]
    assert topic.consents_count_from(IN_FORCE) == asked
    assert topic.consents_count_from(IN_FORCE - SECOND) is None
    names = [catalogue.policy_asked_for(at) for at in (asked - SECOND, asked, IN_FORCE)]
    assert [each and each.version for each in names] == ["2026-01", "2027-01", "2027-01"]


def test_from_then_on_no_consent_is_recorded_to_the_version_before() -> None:
    catalogue, asked = parse(EARLY), IN_FORCE - timedelta(days=27)
    assert check_policy_shown("privacy/2026-01", catalogue, asked - SECOND)
    assert check_policy_shown("privacy/2027-01", catalogue, asked)
    with pytest.raises(InvalidInput, match="asks for a new consent"):
        check_policy_shown("privacy/2026-01", catalogue, asked)


@pytest.mark.parametrize(
    "change, problem",
    [
        (
            ("effective = 2027-01-01", "effective = 2026-01-01"),
            'effective 2026-01-01 is not after 2026-01-01, the day of version "2026-01" above',
        ),
        (("effective = 2027-01-01", "effective = 2027-01-01T00:00:00"), "has a time of day"),
        (("effective = 2027-01-01", 'effective = "2027-01-01"'), "effective is text, not a date"),
        (("effective = 2027-01-01\n", ""), "has no effective; add effective = 2027-01-01"),
        (("https://acme.example/en", "http://acme.example/en"), "begin it with https://"),
        ((f'"{"f" * 64}"', '"F00"'), "the 64 hexadecimal digits"),
        (("summary = { it", "sumary = { it"), 'did you mean "summary"?'),
        ((', en = "A new supplier"', ""), "has no en"),
        (('privacy."2027-01"', 'privacy."New one"'), "is no good version"),
        (
            ('message_type = "password_reset"', 'message_type = "newsletter.monthly"'),
            'message_type "newsletter.monthly" is not declared',
        ),
        (('privacy."2027-01"', 'terms."2027-01"'), 'unknown key "terms"'),
        ((EARLY[0], "ask_from = 2026-12-05"), "ask_from has no effect here"),
        ((EARLY[0], f"{EARLY[0]}\nask_from = 2026-12-01"), "choose a day from 2026-12-02 to"),
        ((EARLY[0], f"{EARLY[0]}\nask_from = 2027-01-02"), "choose a day from 2026-12-02 to"),
    ],
)
def test_each_fault_names_its_remedy(change: tuple[str, str], problem: str) -> None:
    with pytest.raises(CatalogueError) as raised:
        parse(change)
    assert any(problem in line for line in raised.value.problems), raised.value.problems


def test_what_a_new_version_of_the_catalogue_changes_is_listed() -> None:
    old = parse(("reconsent = true", "reconsent = false"))
    assert diff_catalogues(old, parse()).format_lines() == [
        "changed policies.privacy/2027-01.reconsent: false -> true"
    ]
    added = diff_catalogues(parse_catalogue(SMALL), parse()).format_lines()
    assert "changed policies.privacy/2027-01.effective: none -> 2027-01-01" in added
    assert not [line for line in added if "topic" in line]  # their cut-offs follow from it


def test_evidence_may_name_any_version_that_still_counts() -> None:
    catalogue = parse()
    assert check_policy_shown(None, catalogue, IN_FORCE) == ""
    before = IN_FORCE - SECOND
    assert check_policy_shown("privacy/2026-01", catalogue, before) == "privacy/2026-01"
    assert check_policy_shown("privacy/2027-01", catalogue, IN_FORCE) == "privacy/2027-01"
    with pytest.raises(InvalidInput, match="2027-01 of the privacy policy asks for a new consent"):
        check_policy_shown("privacy/2026-01", catalogue, IN_FORCE)
    with pytest.raises(UnknownPolicyVersion, match="no such version"):
        check_policy_shown("privacy/1999", catalogue, IN_FORCE)


def test_a_newest_version_that_nobody_can_agree_to_before_its_day_is_warned_of() -> None:
    def warnings(*changes: tuple[str, str]) -> list[str]:
        return [line for line in catalogue_warnings(parse(*changes)) if "ask_from" in line]

    (line,) = warnings()
    assert line.startswith(
        "policies.privacy.2027-01 has reconsent and no ask_from, so nobody can agree to it before"
        " 2027-01-01: from that day on nobody is sent acme.news until they opt in again;"
    )
    assert "add ask_from, a day of the 30 days before" in line
    assert warnings(EARLY) == []
    assert warnings(("reconsent = true", "reconsent = false")) == []
    assert warnings(('default = "opt_in"', 'default = "opt_out"')) == []
    newer = f"""{VERSIONS}
[policies.privacy."2028"]
effective = 2028-01-01
url = "https://acme.example/2028"
sha256 = "{SHA256}"
summary = {{ it = "Altro", en = "More" }}
"""
    assert "ask_from" not in str(catalogue_warnings(parse_catalogue(SMALL + newer)))
