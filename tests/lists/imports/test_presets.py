"""Each vendor's file, as it is written, and what is read of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from preference_center.core.errors import InvalidInput
from preference_center.integrations.base.presets import MeaningFilter
from preference_center.integrations.registry import get_preset as by_name
from preference_center.integrations.registry import load_presets
from preference_center.lists.imports.read import ResumePoint, read_rows
from preference_center.lists.rules.instructions import ImportInstructions, ScopeMap
from preference_center.lists.rules.rows import cell_text, parse_row_statements

Statement = tuple[str, str, str]

EXPECTED_STATEMENTS: dict[str, list[Statement]] = {
    "sendgrid-unsubscribes.csv": [
        ("ada@example.com", "opt_out", "global unsubscribes"),
        ("Grace@Example.com", "opt_out", "global unsubscribes"),
        ("not an address", "opt_out", "global unsubscribes"),
    ],
    "sendgrid-groups.csv": [
        ("ada@example.com", "opt_out", "Weekly News"),
        ("ada@example.com", "opt_out", "Daily News"),
        ("grace@example.com", "opt_out", "Daily News"),
    ],
    "sendgrid-groups.json": [
        ("ada@example.com", "opt_out", "Weekly News"),
        ("grace@example.com", "opt_out", "Daily News"),
    ],
    "sendgrid-bounces.csv": [("gone@example.com", "bounce", "")],
    "sendgrid-spam-reports.csv": [("annoyed@example.com", "complaint", "spam reports")],
    "sendgrid-contacts.csv": [("ada@example.com", "subscription", "contacts")],
    "mailchimp-subscribed.csv": [
        ("ada@example.com", "subscription", "audience"),
        ("grace@example.com", "subscription", "audience"),
    ],
    "mailchimp-unsubscribed.csv": [("left@example.com", "opt_out", "audience")],
    "mailchimp-cleaned.csv": [("gone@example.com", "bounce", "")],
    "hubspot-contacts.csv": [
        ("ada@example.com", "opt_out", "all email"),
        ("grace@example.com", "opt_out", "Marketing Information"),
        ("gone@example.com", "bounce", ""),
    ],
    "hubspot-unsubscribes.csv": [
        ("ada@example.com", "opt_out", "all email"),
        ("grace@example.com", "opt_out", "Marketing Information"),
        ("gone@example.com", "bounce", ""),
        ("annoyed@example.com", "complaint", "spam reports"),
    ],
    "klaviyo-profiles.csv": [
        ("ada@example.com", "subscription", "profiles"),
        ("left@example.com", "opt_out", "UNSUBSCRIBED"),
        ("off@example.com", "opt_out", "USER_SUPPRESSED"),
        ("off@example.com", "opt_out", "HARD_BOUNCE"),
        ("odd@example.com", "opt_out", "ABGEMELDET"),
    ],
    "klaviyo-sms.csv": [
        ("+393331234567", "subscription", "profiles"),
        ("+393331234568", "opt_out", "UNSUBSCRIBED"),
    ],
    "klaviyo-suppressed.csv": [
        ("left@example.com", "opt_out", "User suppressed"),
        ("gone@example.com", "bounce", ""),
        ("bare@example.com", "opt_out", "suppressed"),
    ],
    "ses-suppressions.json": [
        ("gone@example.com", "bounce", ""),
        ("annoyed@example.com", "complaint", "complaints"),
        ("also-gone@example.com", "bounce", ""),
    ],
    "ses-contacts.json": [
        ("ada@example.com", "opt_out", "Cycling"),
        ("ada@example.com", "subscription", "Sports"),
        ("left@example.com", "opt_out", "unsubscribed from all"),
    ],
    "mailgun-unsubscribes.csv": [
        ("ada@example.com", "opt_out", "*"),
        ("grace@example.com", "opt_out", "weekly"),
        ("grace@example.com", "opt_out", "offers"),
    ],
    "mailgun-bounces.csv": [("gone@example.com", "bounce", "")],
    "mailgun-complaints.csv": [("annoyed@example.com", "complaint", "complaints")],
    "postmark-suppressions.csv": [
        ("left@example.com", "opt_out", "message stream"),
        ("gone@example.com", "bounce", ""),
        ("annoyed@example.com", "complaint", "spam complaints"),
    ],
    "brevo-contacts.csv": [
        ("ada@example.com", "subscription", "contacts"),
        ("left@example.com", "opt_out", "blocklisted"),
    ],
    "brevo-blocklisted.csv": [("left@example.com", "opt_out", "blocklisted")],
    "listmonk-subscribers.csv": [
        ("ada@example.com", "subscription", "subscribers"),
        ("left@example.com", "opt_out", "blocklisted"),
    ],
    "listmonk-unsubscribed.csv": [("ada@example.com", "opt_out", "unsubscribed")],
    "generic.ndjson": [
        ("ada@example.com", "opt_out", "News"),
        ("grace@example.com", "subscription", "News"),
        ("bare@example.com", "subscription", "News"),
        ("gone@example.com", "bounce", ""),
    ],
    "generic-list.csv": [
        ("ada@example.com", "opt_out", "Letter"),
        ("grace@example.com", "opt_out", "Letter"),
    ],
    "addresses.txt": [
        ("ada@example.com", "opt_out", "list"),
        ("Grace@Example.COM", "opt_out", "list"),
        ("nobody", "opt_out", "list"),
    ],
}


def read(path: Path, preset: str) -> list[Statement]:
    instructions = ImportInstructions(
        by_name(preset), ScopeMap({}), meaning_filter=MeaningFilter.OPT_OUTS
    )
    one = instructions.preset
    with path.open("rb") as stream:
        return [
            (
                cell_text(record.cells, one.address_columns),
                statement.column_meaning.meaning.value,
                statement.group,
            )
            for record in read_rows(stream, instructions, ResumePoint())
            for statement in parse_row_statements(record, one)
            if not one.requires_meaning
            or instructions.meaning_filter is None
            or statement.column_meaning.meaning == "opt_out"
        ]


@pytest.mark.parametrize("name", EXPECTED_STATEMENTS)
def test_an_export_states_what_its_vendor_means_by_it(exports: Path, name: str) -> None:
    assert read(exports / name, Path(name).stem) == EXPECTED_STATEMENTS[name]


def test_every_preset_has_an_export_to_show_it(exports: Path) -> None:
    assert {path.stem for path in exports.iterdir()} == set(load_presets())


@pytest.mark.parametrize(
    "file, preset, expected_message",
    [
        ("mailchimp-unsubscribed.csv", "mailchimp-subscribed", "the preset mailchimp-unsubscribed"),
        ("mailchimp-cleaned.csv", "mailchimp-subscribed", "the preset mailchimp-cleaned"),
        ("sendgrid-groups.csv", "sendgrid-unsubscribes", "the preset sendgrid-groups"),
        ("sendgrid-contacts.csv", "sendgrid-unsubscribes", "the preset sendgrid-contacts"),
        ("sendgrid-bounces.csv", "sendgrid-unsubscribes", "the preset sendgrid-bounces"),
        ("mailgun-unsubscribes.csv", "mailgun-complaints", "the preset mailgun-unsubscribes"),
        ("hubspot-contacts.csv", "hubspot-unsubscribes", "hubspot-contacts"),
        ("postmark-suppressions.csv", "ses-suppressions", "postmark-suppressions"),
        ("klaviyo-profiles.csv", "klaviyo-suppressed", "the preset klaviyo-profiles"),
        ("ses-contacts.json", "postmark-suppressions", ""),
    ],
)
def test_a_file_of_another_preset_is_not_believed(
    exports: Path, file: str, preset: str, expected_message: str
) -> None:
    # Subscribers read as opt-outs, or the other way round, is what must not happen.
    if not expected_message:
        assert read(exports / file, preset) == []  # and planning refuses a file without rows
        return
    with pytest.raises(InvalidInput, match=expected_message):
        read(exports / file, preset)


@pytest.mark.parametrize(
    "header, row, expected",
    [
        (
            "E-Mail;Von allen E-Mails abgemeldet;Abgemeldet von E-Mail: Rundbrief",
            "ada@example.com;Ja;Nein",
            "all email",
        ),
        (
            "E-Mail;Von allen E-Mails abgemeldet;Abgemeldet von E-Mail: Rundbrief",
            "ada@example.com;Nein;WAHR",
            "Rundbrief",
        ),
        ("E-mail;Désinscrit de tous les e-mails", "ada@example.com;Oui", None),
        ("Indirizzo e-mail;Disiscritto da tutte le e-mail", "ada@example.com;Sì", None),
        ("Correo;Opt-out de todos los correos", "ada@example.com;Sí", None),
        ("email;hs_email_optout;hs_email_optout_12", "ada@example.com;false;true", None),
    ],
)
def test_hubspot_headers_of_another_language_lose_no_opt_out(
    tmp_path: Path, header: str, row: str, expected: str | None
) -> None:  # I5, I10: a name that is not known is a group, whose scope is asked for
    path = tmp_path / "list.csv"
    path.write_text(f"{header}\n{row}\n", encoding="utf-8")
    group = expected or header.rsplit(";", maxsplit=1)[-1]
    assert read(path, "hubspot-contacts") == [("ada@example.com", "opt_out", group)]
