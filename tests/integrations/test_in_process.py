"""Without a socket a stand-in gets and answers the same as with one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpcore
import pytest
from werkzeug.wrappers import Request, Response

from preference_center.integrations.base.contract import NoResponse
from preference_center.integrations.base.http import HttpContext, HttpSession, HttpTimeouts
from tests.integrations.rig import PATIENT
from tests.integrations.tools.in_process import InProcess
from tests.integrations.tools.stand_in import Fault, StandIn


class Mirror(StandIn):
    """Answers what it was asked."""

    def handle(self, request: Request) -> Response:
        if request.path == "/nothing":
            return Response(status=204)
        if request.path == "/broken":
            raise LookupError
        names = ("Content-Type", "Content-Length", "X-Name", "Host", "User-Agent")
        said = {name: request.headers.get(name) for name in names}
        asked = [request.method, request.path, request.environ["RAW_URI"], said]
        body = [*asked, request.args.to_dict(flat=False), request.get_data().decode()]
        return Response(iter([json.dumps(body).encode()]), 207, {"X-Found": "yes"})


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    with Mirror() as server:
        yield server


def session(mirror: Mirror, network: Callable[[], Any], **given: Any) -> HttpSession:
    http = HttpContext(allow_private=True, network=network, **{"timeouts": PATIENT} | given)
    return http.session("m", mirror.url, headers={"X-Name": "a  b"})


@pytest.mark.parametrize(
    "method, path, asked",
    [
        ("GET", "/a/{id}", {"path_params": {"id": "a/b c+ü?@x"}}),
        ("GET", "/a", {"query": {"of": ["ü", "b c"], "none": ""}}),
        ("POST", "/a", {"body": {"name": "ü"}}),
        ("PUT", "/a", {"body": b"\0 raw", "headers": {"Content-Type": "text/plain"}}),
        ("DELETE", "/nothing", {}),
        ("GET", "/broken", {"allowed_statuses": {500}}),
    ],
)
def test_it_gets_and_answers_the_same(
    mirror: Mirror, method: str, path: str, asked: dict[str, Any]
) -> None:
    found = []
    for network in (httpcore.SyncBackend, InProcess):
        with session(mirror, network) as opened:
            answer = opened.send(method, path, **asked)
        found.append((answer.status, answer.body, answer.headers.get("x-found")))
    assert found[0] == found[1]


def test_several_requests_take_one_connection(mirror: Mirror) -> None:
    with session(mirror, InProcess) as opened:
        answers = [opened.send("POST", f"/{n}", body=[n]).body for n in range(3)]
    assert [json.loads(answer)[1] for answer in answers] == ["/0", "/1", "/2"]


def test_silence_is_no_response_and_nothing_waits_for_it(mirror: Mirror) -> None:
    mirror.fail(Fault(hang=True))
    hours = HttpTimeouts(read=36_000, total=36_000)
    with (
        session(mirror, InProcess, timeouts=hours) as opened,
        pytest.raises(NoResponse, match="ReadTimeout"),
    ):
        opened.send("GET", "/")
