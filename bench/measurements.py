"""What `python -m bench` measures, by name."""

from __future__ import annotations

from collections.abc import Callable

from bench import idle, measured_requests, measured_work
from bench.reporting import Options
from dev.engines import Engines

Measure = Callable[[Engines, Options], None]

MEASUREMENTS: dict[str, Measure] = {
    "opt-out": measured_requests.measure_opt_outs,
    "decisions": measured_requests.measure_decisions,
    "streaming": measured_requests.measure_streaming,
    "draining": measured_work.measure_draining,
    "undoing": measured_work.measure_undoing,
    "backfilling": measured_work.measure_backfilling,
    "pacing": measured_work.measure_pacing,
    "vendors": measured_work.measure_vendors,
    "workers": measured_work.measure_workers,
    "calling": measured_requests.measure_calling,
    "local-filter": measured_requests.measure_local_filter,
    "minting": measured_requests.measure_minting,
    "inbound": measured_requests.measure_inbound,
    "probing": measured_requests.measure_probing,
    "starving": measured_work.measure_starving,
    "forms": measured_work.measure_forms,
    "access": measured_work.measure_access,
    "erasing": measured_work.measure_erasing,
    "announcing": measured_work.measure_announcing,
    "counting": measured_work.measure_counting,
    "consent-tag": measured_requests.measure_consent_tag,
    "console": measured_requests.measure_console,
    "idle": idle.measure,
}
