"""Every act at every level: denied by default."""

from __future__ import annotations

from itertools import combinations

import pytest

from preference_center.core.addresses import Channel, parse_address
from preference_center.rights.rules.identity import (
    Circumstance,
    Proof,
    is_role_mailbox,
    may_act,
    proven_level,
    required_level,
)
from preference_center.rights.rules.requests import Extent, IdentityLevel, RequestKind

NEEDED = {
    (RequestKind.ACCESS, None): 2,
    (RequestKind.CORRECT, None): 2,
    (RequestKind.ERASE, None): 3,
    (RequestKind.ERASE, Extent.MARKETING): 2,
    (RequestKind.ERASE, Extent.ACCOUNT): 2,
    (RequestKind.RESTRICT, None): 2,
    (RequestKind.UNRESTRICT, None): 2,
    (RequestKind.CLOSE, None): 2,
    (RequestKind.REOPEN, None): 2,
    (RequestKind.OBJECT, None): 0,
    (RequestKind.DONT_SELL_OR_SHARE, None): 0,
    (RequestKind.COMPLAINT, None): 0,
    (RequestKind.MINOR, None): 0,
}
"""RIGHTS.md, Identity: typed here again."""

PROTECTING = {
    RequestKind.OBJECT,
    RequestKind.DONT_SELL_OR_SHARE,
    RequestKind.COMPLAINT,
    RequestKind.MINOR,
}


@pytest.mark.parametrize("kind, extent", NEEDED)
def test_an_act_is_allowed_from_its_level_on(kind: RequestKind, extent: Extent | None) -> None:
    allowed = {level for level in IdentityLevel if may_act(level, kind, extent)}
    assert allowed == {level for level in IdentityLevel if level >= NEEDED[kind, extent]}


def test_the_matrix_names_every_kind() -> None:
    assert {kind for kind, _ in NEEDED} == set(RequestKind)


def test_only_what_protects_is_allowed_to_anybody() -> None:
    assert {kind for kind in RequestKind if may_act(IdentityLevel.NONE, kind)} == PROTECTING


@pytest.mark.parametrize("kind", RequestKind)
def test_every_circumstance_asks_for_the_contact_but_for_what_protects(kind: RequestKind) -> None:
    needed = {required_level(kind, Extent.MARKETING, [each]) for each in Circumstance}
    assert needed == {IdentityLevel.NONE if kind in PROTECTING else IdentityLevel.CONTACT}


@pytest.mark.parametrize("kind", RequestKind)
def test_no_circumstance_ever_lowers_a_level(kind: RequestKind) -> None:
    for extent in (None, *Extent):
        plain = required_level(kind, extent)
        for pair in combinations(Circumstance, 2):
            assert required_level(kind, extent, pair) >= plain


@pytest.mark.parametrize(
    "proof, level",
    [
        (Proof.NOTHING, 0),
        (Proof.MESSAGE_LINK, 1),
        (Proof.ONE_TIME_LINK, 2),
        (Proof.PORTAL, 2),
        (Proof.CONTACT_LOGIN, 3),
        (Proof.RECENT_DEALINGS, 3),
    ],
)
def test_each_proof_gives_its_level(proof: Proof, level: int) -> None:
    assert proven_level(proof) == level


@pytest.mark.parametrize(
    "text, role",
    [
        ("info@example.com", True),
        ("Info+x@example.com", True),
        ("postmaster@example.com", True),
        ("ada@example.com", False),
        ("information@example.com", False),
    ],
)
def test_a_mailbox_of_a_role_is_known_by_its_name(text: str, *, role: bool) -> None:
    assert is_role_mailbox(parse_address(text, Channel.EMAIL)) is role


def test_a_phone_number_is_no_role() -> None:
    assert not is_role_mailbox(parse_address("+39 333 1234567", Channel.SMS))
