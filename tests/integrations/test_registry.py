from __future__ import annotations

import pytest

from preference_center.integrations.base.contract import DestinationConfig, EraseMode
from preference_center.integrations.base.http import HttpContext
from preference_center.integrations.registry import (
    DestinationConfigError,
    get_integration,
    list_kinds,
    list_specs,
    make_connector,
)


def test_every_kind_is_there_under_its_own_name() -> None:
    assert list_kinds()[:4] == ("webhook", "file_drop", "sendgrid", "hubspot")
    for kind in list_kinds():
        integration = get_integration(kind)
        settings = integration.load_settings()
        needed = {name: "x" for name in settings if not name.endswith("?")}
        connector = make_connector(kind, DestinationConfig("d", needed), HttpContext())
        assert connector.kind == kind == integration.load_spec().kind
        names = {name.removesuffix("?") for name in settings}
        assert integration.load_secret_settings() <= names


def test_what_a_connector_declares_it_has() -> None:
    for entry in list_specs():
        kind = entry.kind
        needed = {name: "x" for name in entry.settings if not name.endswith("?")}
        connector = make_connector(kind, DestinationConfig("d", needed), HttpContext())
        can = entry.capabilities
        for able, method in [
            (can.can_read, "read"),
            (can.can_scan, "scan"),
            (can.can_pull, "pull"),
            (can.can_erase, "erase"),
            (can.can_erase, "find_held"),
            (can.can_write_fields, "write_field"),
        ]:
            parts = getattr(entry.build, "connector_factories", {}).values() or [connector]
            assert able == any(hasattr(part, method) for part in parts), (kind, method)


def test_an_unknown_kind_is_refused_with_the_known_ones() -> None:
    with pytest.raises(
        DestinationConfigError, match="use one of webhook, file_drop, sendgrid, hubspot"
    ):
        make_connector("sendgird", DestinationConfig("d", {}), HttpContext())


@pytest.mark.parametrize("settings", [{"apikey": "x"}, {}, {"api_key": ""}])
def test_wrong_settings_are_refused_with_the_right_names(settings: dict[str, str]) -> None:
    with pytest.raises(
        DestinationConfigError, match=r"api_key, base_url\?, on_behalf_of\?"
    ) as caught:
        make_connector("sendgrid", DestinationConfig("d", settings), HttpContext())
    assert "setting api_key is missing" in str(caught.value)


def test_a_settings_value_is_never_quoted() -> None:  # I12
    with pytest.raises(DestinationConfigError) as caught:
        make_connector("sendgrid", DestinationConfig("d", {"key": "SG.secret"}), HttpContext())
    assert "SG.secret" not in str(caught.value)


@pytest.mark.parametrize("kind", list_kinds())
def test_every_connector_declares_what_erasing_does(kind: str) -> None:
    spec = get_integration(kind).load_spec()
    assert spec.capabilities.erase_note
    setting = spec.capabilities.erase_setting
    assert not setting or f"{setting}?" in spec.settings
    if setting:
        assert not spec.capabilities_for({}).can_erase
        assert spec.capabilities_for(dict.fromkeys([*spec.secret_settings, setting], "x")).can_erase


def test_a_person_who_erases_by_hand_reads_what_to_do_and_not_what_an_api_does() -> None:
    reports_only = get_integration("iterable").load_spec().capabilities_for({})
    assert reports_only.erase is EraseMode.BY_HAND
    assert "delete what is held" in reports_only.erase_note
    twilio = get_integration("twilio").load_spec()
    assert twilio.capabilities_for({}).erase_note == twilio.capabilities.erase_note
    mandrill = get_integration("mandrill").load_spec()
    assert mandrill.capabilities_for({}).erase is EraseMode.NOTHING_HELD
