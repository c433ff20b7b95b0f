"""What is counted, and that no label can hold an address (I12)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from prometheus_client.parser import text_string_to_metric_families

from preference_center.core.errors import UnavailableCause
from preference_center.core.events import EventKind
from preference_center.core.links import LinkKeyProblem
from preference_center.decisions.rules import DecisionRule
from preference_center.destinations.rules.states import NOT_PUSHED
from preference_center.infra import metrics
from preference_center.infra.job_queue import JOB_QUEUES
from preference_center.infra.metrics import (
    InboundKind,
    InboundOutcome,
    OptOutOutcome,
    PushFailure,
    render_metrics,
)
from preference_center.infra.outbox import EmailKind, SendResult
from preference_center.integrations.base.contract import PushResult
from tests.in_force import put_in_force
from tests.web.api.sender import Sender, make_sender

if TYPE_CHECKING:
    from flask import Flask


@pytest.fixture
def sender(app: Flask) -> Sender:
    put_in_force(app)
    return make_sender(app)


DESTINATION = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")  # as destinations.manage checks it
NUMBER = re.compile(r"[0-9.]+|\+Inf")


def samples(name: str = "") -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """The values shown, of one name or of all: to parse every line takes a third of a second."""
    lines = render_metrics().decode().splitlines(keepends=True)
    text = "".join(line for line in lines if not name or line.startswith((f"{name}{{", f"{name} ")))
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(name: str, **labels: str) -> float:
    return samples(name).get((name, frozenset(labels.items())), 0.0)


def closed_sets(app: Flask) -> dict[str, set[str]]:
    """Each label's values, but for destinations, which have a format."""
    endpoints = {rule.endpoint for rule in app.url_map.iter_rules()}
    return {
        "endpoint": endpoints | {"none"},
        "status": {"1xx", "2xx", "3xx", "4xx", "5xx", "other"},
        "rule": set(DecisionRule),
        "allow": {"true", "false"},
        "outcome": {*OptOutOutcome, *PushResult, NOT_PUSHED, *InboundOutcome},
        "kind": {*EventKind, *InboundKind, *EmailKind},
        "cause": set(UnavailableCause),
        "problem": set(LinkKeyProblem),
        "reason": set(PushFailure),
        "result": set(SendResult),
        "task": {job.rpartition(".")[2] for job in JOB_QUEUES} | {"other"},
    }


def test_every_label_comes_from_a_closed_set(app: Flask, sender: Sender) -> None:  # I12
    for path in ("/u/anna@example.com", "/in/anna@example.com", "/anna@example.com", "/v1/nothing"):
        app.test_client().get(path, headers={"User-Agent": "anna@example.com"})
        app.test_client().post(path, data={"List-Unsubscribe": "One-Click"})
    sender.post("/v1/decisions", {"recipient": "anna@example.com", "message_type": "receipt"})
    sets = closed_sets(app)
    for _, labels in samples():
        for name, found in labels:
            if name == "destination":
                assert not found or DESTINATION.fullmatch(found)
            elif name == "le":
                assert NUMBER.fullmatch(found)
            else:
                assert found in sets[name], name
    assert b"@" not in render_metrics()


def test_a_request_is_counted_by_route_and_class_of_status(app: Flask) -> None:
    labels = {"endpoint": "probes.livez", "status": "2xx"}
    before = value("preference_center_http_request_seconds_count", **labels)
    app.test_client().get("/livez")
    assert value("preference_center_http_request_seconds_count", **labels) == before + 1


def test_a_batch_of_decisions_is_counted_by_rule(sender: Sender) -> None:
    labels = {"rule": "unparseable_address", "allow": "false"}
    before = value("preference_center_decisions_total", **labels)
    body = {"recipients": ["?", "??", "anna@example.com"], "message_type": "password_reset"}
    assert sender.post("/v1/decisions", body).status_code == 200
    assert value("preference_center_decisions_total", **labels) == before + 2


def test_outcomes_are_there_before_the_first_of_them() -> None:
    shown = samples("preference_center_opt_outs_total")
    for outcome in OptOutOutcome:
        assert ("preference_center_opt_outs_total", frozenset({("outcome", outcome)})) in shown


def test_a_failed_push_is_counted() -> None:
    labels = {"destination": "crm", "reason": "failed"}
    before = value("preference_center_push_failures_total", **labels)
    metrics.count_push_failure("crm", PushFailure.FAILED)
    assert value("preference_center_push_failures_total", **labels) == before + 1


@pytest.mark.parametrize("status, label", [(204, "2xx"), (503, "5xx"), (799, "other")])
def test_an_odd_status_makes_no_label_of_its_own(status: int, label: str) -> None:
    before = value("preference_center_http_request_seconds_count", endpoint="none", status=label)
    metrics.observe_request(None, status, 0.1)
    assert (
        value("preference_center_http_request_seconds_count", endpoint="none", status=label)
        == before + 1
    )
