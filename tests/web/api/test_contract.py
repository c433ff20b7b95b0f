"""Schemathesis over the served document: whatever it describes is asked what it must not answer.

Every operation that there is, also those added later, is found in the document: a subtest each,
since Schemathesis would make its examples while pytest collects, 11 s in every worker. `make test`
tries an example or two of each; `make test-contract`, which CI runs, five and every boundary. A
longer run, e.g. before a release: make test-contract CONTRACT_EXAMPLES=500
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
import schemathesis
from hypothesis import strategies as st
from schemathesis.core.result import Ok
from schemathesis.pytest.lazy import get_all_tests

from preference_center.web.api.idempotency import IDEMPOTENCY_KEY_HEADER
from preference_center.web.api.problems import PROBLEMS
from tests.clock import START
from tests.environment import Emptying
from tests.in_force import put_in_force
from tests.web.api.sender import Sender, make_sender

if TYPE_CHECKING:
    from flask import Flask
    from schemathesis import BaseSchema

    Case = schemathesis.Case[Any]
    Check = Callable[[Case, Sender], None]
    CheckEvery = Callable[[BaseSchema, Check], None]

EXAMPLES = int(os.environ.get("CONTRACT_EXAMPLES", "0"))
FEW = 1
WITHOUT_BOUNDARIES = {"phases": {"coverage": {"enabled": False}}}

schemathesis.openapi.format("address", st.sampled_from(["ada@example.com", "g.h+x@example.org"]))
schemathesis.openapi.format("topic", st.sampled_from(["acme.news", "acme.offers"]))
schemathesis.openapi.format("scope", st.sampled_from(["acme.offers", "all_marketing"]))
schemathesis.openapi.format("message-type", st.sampled_from(["offers.weekly", "password_reset"]))
schemathesis.openapi.format("frequency", st.sampled_from(["weekly", "monthly"]))
schemathesis.openapi.format("watermark", st.sampled_from(["01ee385b.9407.3", "01ee385b.0.0"]))
schemathesis.openapi.format("message-id", st.sampled_from(["", "7f0f7f36"]))
schemathesis.openapi.format(
    "date-time",
    st.integers(0, 60).map(lambda days: (START - timedelta(days=days)).isoformat()),
)


@schemathesis.serializer("application/x-ndjson")
def in_one_line(_: schemathesis.SerializationContext, value: Any) -> bytes:
    """Lists are sent as they are, whatever they hold."""
    return json.dumps(value).encode()


def read_document(app: Flask, **more: Any) -> BaseSchema:
    """The document that `app` serves, with every check on."""
    # 304: If-None-Match: *
    # 404, 409, 410: an unknown id, or one that is not or no longer ready for this
    accepted = {"expected-statuses": ["2xx", "304", "401", "404", "409", "410", "422"]}
    config = {
        "generation": {"max-examples": EXAMPLES or FEW, "deterministic": True},
        "checks": {"positive_data_acceptance": accepted},
    }
    return schemathesis.openapi.from_wsgi(
        "/v1/openapi.json", app, config=schemathesis.Config.from_dict(config | more)
    )


@schemathesis.check
def valid_data_is_refused_for_its_meaning_only(
    ctx: schemathesis.CheckContext, response: schemathesis.Response, case: Case
) -> None:
    """What the document allows may name an unknown topic, but never have a wrong shape."""
    if response.status_code != 422 or not case.meta or not case.meta.generation.mode.is_positive:
        return
    problem = response.json()
    codes = {fault["code"] for fault in problem.get("errors", [])}
    assert codes <= PROBLEMS.keys(), problem


@pytest.fixture
def check_every_operation(_emptying: Emptying, app: Flask, subtests: pytest.Subtests) -> CheckEvery:
    """A subtest for each operation: what `parametrize` of Schemathesis does when collecting.

    Each begins with a catalogue and a key in empty tables: thousands of rows about one address
    slow down every further one.
    """

    def check_every(document: BaseSchema, check: Check) -> None:
        tests = get_all_tests(
            schema=document,
            test_func=lambda case: check(case, sender),
            settings=None,
            given_kwargs={},
        )
        for each in tests:
            assert isinstance(each, Ok), each.err()
            operation, test = each.ok()
            _emptying()
            put_in_force(app)
            sender = make_sender(app)
            with subtests.test(operation.label):
                test()

    return check_every


def test_a_sender_with_a_key(app: Flask, check_every_operation: CheckEvery) -> None:
    def check(case: Case, sender: Sender) -> None:
        assert case.meta
        if case.meta.generation.mode.is_positive and IDEMPOTENCY_KEY_HEADER in case.headers:
            # Else most would be refused as reused.
            case.headers[IDEMPOTENCY_KEY_HEADER] = str(uuid4())
        # Where Schemathesis left the key out, to be refused for it, it stays out.
        case.call_and_validate(headers=sender.headers if "Authorization" in case.headers else None)

    check_every_operation(read_document(app, **({} if EXAMPLES else WITHOUT_BOUNDARIES)), check)


def test_somebody_without_a_key(app: Flask, check_every_operation: CheckEvery) -> None:
    def check(case: Case, _: Sender) -> None:
        answer = case.call_and_validate()
        if answer.request.method == case.operation.method.upper():
            assert answer.status_code == 401

    # There is one and the same answer: examples will do, without systematic coverage.
    check_every_operation(read_document(app, **WITHOUT_BOUNDARIES), check)
