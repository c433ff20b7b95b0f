"""The process that passes the feed on to Kafka: `python -m workers.feed_publisher`.

One is enough; a second of the same topic takes its place. It needs FEED_KAFKA_TOPIC and the extra
`kafka`; the Procfile starts it only with the former.
"""

from __future__ import annotations

import gc
import signal
from collections.abc import Callable
from pathlib import Path
from threading import Event

import structlog

from preference_center.app.service import create_service
from preference_center.core.errors import ConfigError, Unavailable
from preference_center.infra.context import services
from preference_center.infra.db.connections import WORKER_TIMEOUTS
from preference_center.infra.telemetry import capture_standard_logs, start_telemetry
from preference_center.ledger.feed.publish import FeedPublisher, FeedTopic, TopicUnavailable
from preference_center.monitoring.probes import start_internal_server
from workers.process import stop_requested, wait_for_database

log = structlog.get_logger()

POLL_INTERVAL = 1.0
"""Seconds between looks at the feed once all is published."""
MAX_PAUSE = 60.0
"""Seconds between attempts while the topic or the database is unavailable, at most."""


def run(open_topic: Callable[[], FeedTopic], stop: Event, *, name: str, readable: bool) -> None:
    """Publish until `stop` is set. Raises TopicTaken if another process does so."""
    pause = POLL_INTERVAL
    while not stop.is_set():
        try:
            publisher = FeedPublisher(name, open_topic(), readable=readable)
            while not stop.is_set():
                has_more = publisher.publish_next()
                pause = POLL_INTERVAL
                if not has_more:
                    stop.wait(POLL_INTERVAL)
        except TopicUnavailable as error:
            log.warning("topic_unavailable", error=str(error))
        except Unavailable as error:
            log.warning("feed_not_published", **error.log_fields)
        pause = min(2 * pause, MAX_PAUSE)
        stop.wait(pause)


def kafka_topic_factory() -> Callable[[], FeedTopic]:
    """What connects to the topic of the settings. Raises ConfigError."""
    settings = services().settings
    if not settings.feed_kafka_topic or not settings.feed_kafka_config:
        raise ConfigError("set FEED_KAFKA_TOPIC and FEED_KAFKA_CONFIG (docs/outlets.md)")
    try:  # librdkafka is an extra
        from preference_center.ledger.feed.kafka_topic import KafkaTopic, read_config  # noqa: PLC0415
    except ImportError:
        raise ConfigError("install the extra `kafka`: pip install confluent-kafka") from None
    topic, config = settings.feed_kafka_topic, read_config(Path(settings.feed_kafka_config))
    return lambda: KafkaTopic(topic, topic, config)


def main() -> None:
    """Publish until asked to stop. Raises ConfigError without FEED_KAFKA_TOPIC."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop_requested.set())
    capture_standard_logs()
    app = create_service(timeouts=WORKER_TIMEOUTS)
    with app.app_context():
        start_internal_server(app)
        start_telemetry(services().settings, "publisher")
        wait_for_database()
        settings = services().settings
        run(
            kafka_topic_factory(),
            stop_requested,
            name=settings.feed_kafka_topic or "",
            readable=settings.feed_kafka_addresses,
        )


if __name__ == "__main__":
    gc.freeze()  # else the collector scans every module at the end: half a second
    main()
