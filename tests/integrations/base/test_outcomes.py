from __future__ import annotations

from itertools import pairwise

import pytest

from preference_center.integrations.base.contract import PushResult, UnexpectedResponse
from preference_center.integrations.base.http import Response
from preference_center.integrations.base.push_results import (
    absent,
    deferred,
    outcome_for_status,
    reflected,
    refused,
    retry_later,
    worst,
)


@pytest.mark.parametrize(
    "status, result",
    [
        (200, PushResult.REFLECTED),
        (204, PushResult.REFLECTED),
        (302, PushResult.RETRY_LATER),
        (400, PushResult.REFUSED),
        (404, PushResult.ABSENT),
        (409, PushResult.RETRY_LATER),
        (422, PushResult.REFUSED),
    ],
)
def test_a_status_is_an_outcome(status: int, result: PushResult) -> None:
    assert outcome_for_status(status).result is result
    assert str(status) in outcome_for_status(status).ack


def test_the_worst_outcome_counts_and_what_must_be_tried_again_is_worst() -> None:
    in_order = [reflected(), absent(), refused(), retry_later()]
    for better, worse in pairwise(in_order):
        assert worst(better, worse) == worst(worse, better) == worse


def test_what_was_sent_in_part_is_no_deferral() -> None:  # I5: a lift may be under way
    assert worst(deferred(), deferred()).result is PushResult.DEFERRED
    for sent in (reflected(), absent(), refused(), retry_later()):
        assert worst(deferred(), sent).result is PushResult.RETRY_LATER
        assert worst(sent, deferred()).result is PushResult.RETRY_LATER


def test_one_member_of_an_object_is_parsed() -> None:
    response = Response(200, b'{"rows": [1, 2], "none": null}')
    assert response.parse_member(list[int], "rows") == [1, 2]
    assert response.parse_member(list[int], "none", or_empty=True) == []
    assert response.parse_member(list[int], "missing", or_empty=True) == []
    for name in ("none", "missing"):
        with pytest.raises(UnexpectedResponse):
            response.parse_member(list[int], name)
    for body in (b"[1]", b"", b'{"rows": ["x"]}'):
        with pytest.raises(UnexpectedResponse):
            Response(200, body).parse_member(list[int], "rows", or_empty=True)
