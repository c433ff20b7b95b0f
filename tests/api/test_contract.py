"""Schemathesis over the served document: whatever it describes is asked what it must not answer.

Every operation that there is, also those added later, is found in the document. A longer
run, e.g. before a release: CONTRACT_EXAMPLES=500 make test ARGS=tests/api/test_contract.py
"""

from __future__ import annotations

import json
import os
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import schemathesis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from preference_center.api.idempotency import IDEMPOTENCY_KEY_HEADER
from preference_center.api.problems import PROBLEMS
from preference_center.app import create_app
from tests.api.sender import Sender
from tests.clock import START
from tests.environment import settings_for

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment
    from flask import Flask
    from schemathesis import BaseSchema

EXAMPLES = int(os.environ.get("CONTRACT_EXAMPLES", "10"))

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


class Served:
    """The service of the test that runs. The document is read before, of one that is idle."""

    def __init__(self) -> None:
        self.by: Flask = create_app(
            settings_for("postgresql://nobody@localhost/none", "redis://none")
        )

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Any:
        return self.by(environ, start_response)


def read(**more: Any) -> BaseSchema:
    """The served document, with every check on."""
    # 304: If-None-Match: *
    # 404, 409, 410: an unknown id, or one that is not or no longer ready for this
    accepted = {"expected-statuses": ["2xx", "304", "401", "404", "409", "410", "422"]}
    config = {
        "generation": {"max-examples": EXAMPLES, "deterministic": True},
        "checks": {"positive_data_acceptance": accepted},
    }
    return schemathesis.openapi.from_wsgi(
        "/v1/openapi.json", served, config=schemathesis.Config.from_dict(config | more)
    )


served = Served()
for_senders = read()
# Without a key there is one and the same answer: examples will do, without systematic coverage.
for_strangers = read(phases={"coverage": {"enabled": False}})


@schemathesis.check
def valid_data_is_refused_for_its_meaning_only(
    ctx: schemathesis.CheckContext, response: schemathesis.Response, case: schemathesis.Case[Any]
) -> None:
    """What the document allows may name an unknown topic, but never have a wrong shape."""
    if response.status_code != 422 or not case.meta or not case.meta.generation.mode.is_positive:
        return
    problem = response.json()
    codes = {fault["code"] for fault in problem.get("errors", [])}
    assert codes <= PROBLEMS.keys(), problem


# What one example wrote the next one finds, as in life.
going_on = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@for_senders.parametrize()
@going_on
def test_a_sender_with_a_key(case: schemathesis.Case[Any], sender: Sender) -> None:
    served.by = sender.app
    assert case.meta
    if case.meta.generation.mode.is_positive and IDEMPOTENCY_KEY_HEADER in case.headers:
        case.headers[IDEMPOTENCY_KEY_HEADER] = str(uuid4())  # else most would be refused as reused
    # Where Schemathesis left the key out, to be refused for it, it stays out.
    case.call_and_validate(headers=sender.headers if "Authorization" in case.headers else None)


@for_strangers.parametrize()
@going_on
def test_somebody_without_a_key(case: schemathesis.Case[Any], in_force: Flask) -> None:
    served.by = in_force
    answer = case.call_and_validate()
    if answer.request.method == case.operation.method.upper():
        assert answer.status_code == 401
