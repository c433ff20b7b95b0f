"""`/metrics`, on the internal port only."""

from __future__ import annotations

from flask import Response, abort, request

from preference_center.infra.metrics import CONTENT_TYPE, render_metrics
from preference_center.monitoring.gauges import list_collectors
from preference_center.monitoring.health import INTERNAL, blueprint

METRICS_PATH = "/metrics"


@blueprint.get(METRICS_PATH)
def metrics() -> Response:
    """What this process counts, and measures now; the web processes of one server answer as one.

    404 on the public port, always: it names destinations and says how much we send.
    """
    if INTERNAL not in request.environ:
        abort(404)
    return Response(render_metrics(list_collectors()), content_type=CONTENT_TYPE)
