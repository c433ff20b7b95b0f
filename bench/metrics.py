"""`python -m bench.metrics`: what counting costs a decision, in shares of its time.

Counting is measured in a process like a web worker's, whose counts go to shared files.
"""

from __future__ import annotations

import json
import multiprocessing
from io import BytesIO
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.load import Request
    from dev.engines import Engines

LIMIT = 0.02
"""The share that counting may take."""
COUNTED = 50_000
ASKED = 3_000
BATCH = 10_000


def main() -> None:
    """Measure and compare with LIMIT."""
    from bench import ground  # noqa: PLC0415 - see count

    with ground.engines() as engines:
        measure(engines, ASKED)


def measure(engines: Engines, asked: int) -> None:
    """Ask about so many recipients one by one, and about BATCH at once."""
    from bench import decisions, ground  # noqa: PLC0415 - see count

    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        single, bulk = pool.apply(count)
    with ground.ground(engines) as here:
        key = decisions.make_key(here)
        one = median(_times(here.app, decisions.single(key)[:asked]))
        many = median(_times(here.app, decisions.bulk(key, BATCH) * 10))
    _report("one decision", single, one)
    _report(f"{BATCH:,} decisions", bulk, many)


def count() -> tuple[float, float]:
    """Seconds to count one request with one decision, and one with BATCH of them.

    A worker imports this module before it is known to be one, and metrics must be made after that.
    """
    from preference_center.decisions.rules import ALLOW_BY_DEFAULT  # noqa: PLC0415
    from preference_center.infra import metrics  # noqa: PLC0415

    assert metrics.SHARED_FOLDER
    one, many = [ALLOW_BY_DEFAULT], [ALLOW_BY_DEFAULT] * BATCH
    return _count(one, COUNTED), _count(many, 200)


def _count(given: list[Any], times: int) -> float:
    from preference_center.infra import metrics  # noqa: PLC0415 - see count

    began = perf_counter()
    for _ in range(times):
        metrics.count_decisions(given)
        metrics.observe_request("api.post_decisions", 200, 0.001)
    return (perf_counter() - began) / times


def _times(app: Any, requests: list[Request]) -> list[float]:
    found = []
    for request in requests:
        body = request.body.encode()
        environ = {
            "REQUEST_METHOD": "POST",
            "SCRIPT_NAME": "",
            "PATH_INFO": request.path,
            "QUERY_STRING": "",
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "CONTENT_TYPE": request.content_type,
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_AUTHORIZATION": f"Bearer {request.key}",
            "wsgi.url_scheme": "http",
            "wsgi.input": BytesIO(body),
        }
        began = perf_counter()
        answer = b"".join(app.wsgi_app(environ, lambda *_: None))
        found.append(perf_counter() - began)
        assert b'"as_of"' in answer, json.loads(answer)
    return found


def _report(what: str, counting: float, whole: float) -> None:
    share = counting / whole
    excess = "" if share <= LIMIT else f", more than {LIMIT:.0%}"
    print(f"{what}: {counting * 1e6:,.1f} of {whole * 1e6:,.0f} us, {share:.1%}{excess}")


if __name__ == "__main__":
    main()
