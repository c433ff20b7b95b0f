"""Clients that standard generators make from the served description, against the service."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dev.maintenance.client_tools import NODE_MODULES, PYTHON_GENERATOR

if TYPE_CHECKING:
    from flask import Flask

pytestmark = pytest.mark.skipif("TEST_CLIENTS" not in os.environ, reason="make test-clients")

GENERATED = "preference_center_api_client"
"""The package that openapi-python-client makes by itself: not the name of our own client."""
READ = {"application/json", "application/problem+json", "application/octet-stream"}
"""Content types that openapi-python-client reads and writes; it reports what has another."""
IN_PYTHON = """
import os
from datetime import datetime, timezone

from preference_center_api_client import AuthenticatedClient
from preference_center_api_client.api.default import (
    get_changes, post_contacts, post_decisions, post_opt_outs,
)
from preference_center_api_client.models import (
    ContactAddressBody, ContactRequest, DecisionRequest, DecisionRule, OptOutRequest,
    ProblemDocument, ReceivedVia,
)

key = os.environ["PREFERENCE_CENTER_KEY"]
client = AuthenticatedClient(os.environ["PREFERENCE_CENTER_URL"], key)
ADA = "ada@example.com"
ASKED = DecisionRequest(message_type="offers.weekly", recipient=ADA)

assert post_decisions.sync(client=client, body=ASKED).rule is DecisionRule.NOT_OPTED_OUT
stop = OptOutRequest(
    address=ADA, scope="acme.offers", via=ReceivedVia.PHONE,
    received_at=datetime(2026, 11, 24, 8, tzinfo=timezone.utc),
)
assert post_opt_outs.sync(client=client, body=stop, idempotency_key="a-1").recorded
[again] = post_opt_outs.sync(client=client, body=[stop])
assert not again.recorded
decided = post_decisions.sync(client=client, body=ASKED)
assert (decided.allow, decided.rule) == (False, DecisionRule.OPTED_OUT_OF_TOPIC)
both = DecisionRequest(message_type="offers.weekly", recipients=[ADA, "eve@example.com"])
decided = post_decisions.sync(client=client, body=both)
assert [each.allow for each in decided.decisions] == [False, True]
person = ContactRequest(external_id="4711", locale="it", addresses=[ContactAddressBody(ADA)])
assert post_contacts.sync(client=client, body=person).account == "open"
assert [each.kind for each in get_changes.sync(client=client).changes] == ["opted_out"]
stop.scope = "acme.ofers"
refused = post_opt_outs.sync(client=client, body=stop)
assert isinstance(refused, ProblemDocument) and refused.errors[0].pointer == "/scope"
"""
IN_TYPESCRIPT = """
import assert from 'node:assert/strict';
import createClient from 'openapi-fetch';
import type { components, paths } from './schema.js';

const { PREFERENCE_CENTER_URL: baseUrl, PREFERENCE_CENTER_KEY: key } = process.env;
const client = createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${key}` } });
const address = 'ada@example.com';
const asked = { message_type: 'offers.weekly', recipient: address };

const before = await client.POST('/v1/decisions', { body: asked });
assert.ok(before.data && 'rule' in before.data);
assert.equal(before.data.rule, 'not_opted_out');
const body: components['schemas']['OptOutRequest'] = {
  address, scope: 'acme.offers', via: 'phone', received_at: '2026-11-24T08:00:00Z',
};
const params = { header: { 'Idempotency-Key': 'a-1' } };
const first = await client.POST('/v1/opt-outs', { body, params });
assert.ok(first.data && !Array.isArray(first.data) && first.data.recorded);
const list = { message_type: 'offers.weekly', recipients: [address, 'eve@example.com'] };
const both = await client.POST('/v1/decisions', { body: list });
assert.ok(both.data && 'decisions' in both.data);
assert.deepEqual(both.data.decisions.map((each) => each.allow), [false, true]);
const contact = await client.POST('/v1/contacts', { body: { addresses: [{ address }] } });
assert.ok(contact.data);
const refused = await client.POST('/v1/opt-outs', { body: { ...body, scope: 'acme.ofers' } });
assert.equal(refused.error?.errors?.[0]?.pointer, '/scope');
// @ts-expect-error one recipient, or a list of them
await client.POST('/v1/decisions', { body: { message_type: 'offers.weekly' } });
// @ts-expect-error a contact is selected by one of three
await client.POST('/v1/contacts/query', { body: {} });
"""


@pytest.fixture
def described(app: Flask, tmp_path: Path) -> Path:
    """The served description, as a file in an empty folder."""
    path = tmp_path / "openapi.json"
    answer = app.test_client().get("/v1/openapi.json")
    path.write_text(json.dumps(answer.get_json()), encoding="utf-8")
    return path


def run(*command: str | Path, folder: Path, environ: dict[str, str]) -> str:
    done = subprocess.run(
        command, cwd=folder, env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def content_types(part: Any) -> set[str]:
    """All that are described within this part of an operation."""
    if not isinstance(part, dict):
        return set()
    return {*part.get("content", {})}.union(*map(content_types, part.values()))


def test_openapi_python_client_makes_a_working_client(
    described: Path, service_environ: dict[str, str]
) -> None:
    where: dict[str, Any] = {"folder": described.parent, "environ": service_environ}
    options = ["--path", described.name, "--meta", "none"]
    report = run(PYTHON_GENERATOR, "generate", *options, **where)
    document = json.loads(described.read_text(encoding="utf-8"))
    reported, left_out = set(), set()
    for path, found in document["paths"].items():
        for method, operation in found.items():
            sent = content_types(operation.get("requestBody", {}))
            if (sent | content_types(operation["responses"])) - READ:
                reported.add(f"{method.upper()} {path}")
            if sent and not sent & READ:
                left_out.add(operation["operationId"])
    assert set(re.findall(r"WARNING parsing (\S+ \S+) within", report)) == reported
    made = {path.stem for path in (described.parent / GENERATED / "api/default").glob("*.py")}
    assert left_out == {"post_decisions_stream"}
    assert not left_out & made
    assert "post_decisions" in made
    python = PYTHON_GENERATOR.with_name("python")
    run(python, "-c", IN_PYTHON, **where)


def test_openapi_typescript_makes_a_working_client(
    described: Path, service_environ: dict[str, str]
) -> None:
    if not NODE_MODULES.exists():
        pytest.skip("npm is missing: apt-get install npm")
    node = shutil.which("node") or "node"
    folder = described.parent
    (folder / "node_modules").symlink_to(NODE_MODULES)
    (folder / "calls.ts").write_text(IN_TYPESCRIPT, encoding="utf-8")
    (folder / "package.json").write_text('{"type": "module"}', encoding="utf-8")
    where: dict[str, Any] = {"folder": folder, "environ": service_environ}
    run(
        NODE_MODULES / ".bin" / "openapi-typescript", described,
        "--default-non-nullable=false", "--output", "schema.d.ts", **where,
    )  # fmt: skip
    strict = ["--strict", "--target", "es2022", "--module", "nodenext", "--types", "node"]
    run(NODE_MODULES / ".bin" / "tsc", *strict, "calls.ts", **where)
    run(node, "calls.js", **where)
