"""Each connector's tests inherit every contract that its capabilities call for."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pkgutil import iter_modules

import pytest

from preference_center.core.addresses import Channel
from preference_center.integrations.base.integration import ConnectorSpec
from preference_center.integrations.registry import get_spec, list_specs
from tests.integrations.both_ways_contract import (
    AbsentContract,
    BackfillContract,
    FieldContract,
    NobodyCreatedContract,
    PullContract,
    ReadContract,
    ScanContract,
)
from tests.integrations.contract import ConnectorContract, HttpContract, JsonApiContract
from tests.integrations.erase_contract import (
    EraseContract,
    EraseHttpContract,
    SmsEraseContract,
)
from tests.integrations.mapped_contract import MappedContract
from tests.integrations.odd_answers_contract import OddAnswersContract
from tests.integrations.rights_contract import RightsContract
from tests.integrations.sms_contract import (
    SmsAbsentContract,
    SmsContract,
    SmsOddAnswersContract,
    SmsPullContract,
    SmsReadContract,
    SmsScanContract,
    texts_of,
)


def _by_sms(entry: ConnectorSpec) -> bool:
    return Channel.SMS in entry.capabilities.channels


UNDESCRIBED = {
    "file_drop": "writes files",
    "mailman": "is held to the real server",
    "tryton": "is held to the real server",
    "webhook": "its answers are ours to define",
}
"""Connectors of tools that have no description of their answers, and why."""

WITHOUT_CONTACTS = {
    "file_drop": "who reads the file has contacts of their own",
    "mailersend": "its suppression lists take any address",
    "mailgun": "its suppression lists take any address",
    "meta_audiences": "it only takes hashes out of an audience",
    "postmark": "its suppression lists take any address",
    "twilio": "its consents are of any number",
    "webhook": "who is called has contacts of their own",
}
"""Connectors of tools that keep no contacts, or of none that we see, and why."""

CALLED_FOR: dict[type, Callable[[ConnectorSpec], bool]] = {
    ConnectorContract: lambda _: True,
    HttpContract: lambda entry: entry.has_rate_limit,
    JsonApiContract: lambda entry: entry.capabilities.needs_mapping,
    MappedContract: lambda entry: entry.capabilities.needs_mapping,
    ReadContract: lambda entry: entry.capabilities.can_read,
    ScanContract: lambda entry: entry.capabilities.can_scan,
    BackfillContract: lambda entry: entry.capabilities.backfills_by_scan,
    PullContract: lambda entry: entry.capabilities.can_pull,
    FieldContract: lambda entry: entry.capabilities.can_write_fields,
    EraseContract: lambda entry: entry.capabilities.can_erase,
    EraseHttpContract: lambda entry: entry.capabilities.can_erase and entry.has_rate_limit,
    AbsentContract: lambda entry: entry.capabilities.can_create,
    NobodyCreatedContract: lambda entry: entry.kind not in WITHOUT_CONTACTS,
    OddAnswersContract: lambda entry: entry.kind not in UNDESCRIBED,
    RightsContract: lambda entry: entry.capabilities.checks_permissions,
    SmsContract: _by_sms,
    SmsOddAnswersContract: lambda entry: (
        _by_sms(entry) and entry.capabilities.can_read and entry.kind not in UNDESCRIBED
    ),
    SmsReadContract: lambda entry: _by_sms(entry) and entry.capabilities.can_read,
    SmsScanContract: lambda entry: _by_sms(entry) and entry.capabilities.can_scan,
    SmsEraseContract: lambda entry: _by_sms(entry) and texts_of(entry).can_erase,
    SmsPullContract: lambda entry: _by_sms(entry) and texts_of(entry).can_pull,
    SmsAbsentContract: lambda entry: _by_sms(entry) and entry.capabilities.can_read,
}


PUSHED = [spec.kind for spec in list_specs() if spec.capabilities.channels]
"""Those that are only listened to keep no contract of this kind."""


@pytest.mark.parametrize("kind", PUSHED)
def test_every_contract_that_fits_is_kept(kind: str) -> None:
    package = import_module(f"tests.integrations.{kind}")
    modules = [
        import_module(f"{package.__name__}.{found.name}")
        for found in iter_modules(package.__path__)
        if found.name.startswith("test_")
    ]
    kept = {
        each for module in modules for name, each in vars(module).items() if name.startswith("Test")
    }
    missing = [
        contract.__name__
        for contract, calls in CALLED_FOR.items()
        if calls(get_spec(kind)) and not any(issubclass(each, contract) for each in kept)
    ]
    assert missing == []
