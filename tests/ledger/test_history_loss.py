"""A restored database that lacks opt-outs is not answered from (I1, I2)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from flask import Flask
from structlog.testing import capture_logs

from preference_center.core.addresses import Channel, parse_address
from preference_center.core.errors import ReplayPending
from preference_center.infra.context import services
from preference_center.infra.db.transactions import (
    current_limits,
    override_limits,
    run_in_transaction,
)
from preference_center.ledger import history_loss, record
from preference_center.ledger.history_loss import (
    FILE_NAME,
    accept_losses,
    find_history_loss,
    remember_in,
    require_no_loss,
)
from preference_center.ledger.restore_gate import CHECK_INTERVAL
from preference_center.ledger.watermarks import begin_epoch, ensure_epoch
from preference_center.monitoring.measure import measure_database
from tests.backups import back_up, drop_backup, put_back
from tests.clock import Clock
from tests.in_force import put_in_force
from tests.ledger.changes import change
from tests.web.api.sender import Sender, make_sender

pytestmark = pytest.mark.owner
ADA = parse_address("ada@example.com", Channel.EMAIL)


@pytest.fixture(autouse=True)
def _context(app: Flask) -> Iterator[None]:
    put_in_force(app)
    with app.app_context():
        try:
            yield
        finally:
            drop_backup()


def start_again(app: Flask, folder: Path | None = None) -> None:
    """As another process of the same host."""
    app.extensions.pop(history_loss.EXTENSION_KEY, None)
    if folder is not None:
        remember_in(folder)


def accept() -> bool:
    return run_in_transaction(lambda connection: accept_losses(connection, "grace"))


def answer(sender: Sender) -> tuple[int, bool | None]:
    """The status, and what was decided."""
    asked = {"message_type": "offers.weekly", "recipient": ADA.exact}
    response = sender.post("/v1/decisions", asked)
    return response.status_code, response.get_json().get("allow")


def test_who_opted_out_since_the_backup_is_not_allowed_after_a_restore(
    app: Flask, clock: Clock
) -> None:  # I1, I2
    sender = make_sender(app)
    record([change(1)])
    back_up()
    sender.opt_out(ADA.exact, "acme.offers")
    assert answer(sender) == (200, False)
    put_back()
    with capture_logs() as logs:
        refused = sender.post(
            "/v1/decisions", {"message_type": "offers.weekly", "recipient": ADA.exact}
        )
    assert refused.status_code == 503
    assert "flask ledger accept-restore" in refused.get_json()["detail"]
    assert next(line["event"] for line in logs) == "history_lost"
    sender.opt_out("grace@example.com", "acme.offers")  # they are accepted, and do not open it
    clock.advance(CHECK_INTERVAL)
    assert answer(sender) == (503, None)
    assert measure_database(services().now()).is_history_lost
    assert app.test_client().get("/healthz").get_json()["history_lost"]

    start_again(app)  # also where no process knows what there was
    assert answer(sender) == (503, None)
    sender.opt_out(ADA.exact, "acme.offers")  # as an operator brings it back
    done = app.test_cli_runner().invoke(args=["ledger", "accept-restore", "--yes"])
    assert done.exit_code == 0, done.output
    clock.advance(CHECK_INTERVAL)
    assert answer(sender) == (200, False)
    assert not app.test_client().get("/healthz").get_json()["history_lost"]


@pytest.mark.parametrize("path", ["/v1/changes", "/v1/changes/snapshot"])
def test_a_reader_of_the_feed_gets_nothing_before_the_next_check_either(
    app: Flask, path: str
) -> None:  # I1: its copy would lack what is lost
    sender = make_sender(app)
    back_up()
    sender.opt_out(ADA.exact, "acme.offers")
    assert app.test_client().get(path, headers=sender.headers).status_code == 200
    put_back()
    assert app.test_client().get(path, headers=sender.headers).status_code == 503


def test_what_this_process_has_recorded_since_its_last_check_counts_too(app: Flask) -> None:
    record([change(1)])
    assert find_history_loss() is None
    back_up()
    record([change(2)])
    put_back()
    ensure_epoch()
    record([change(3)])  # its number is higher than that of the lost one
    with pytest.raises(ReplayPending):
        require_no_loss("another")


def test_a_process_that_starts_after_the_restore_knows_from_the_disk(
    app: Flask, tmp_path: Path
) -> None:
    start_again(app, tmp_path)
    back_up()
    record([change(1)])
    assert find_history_loss() is None
    put_back()
    start_again(app, tmp_path)
    assert find_history_loss() == history_loss.LOST


def test_a_restore_that_lacks_nothing_shuts_nothing(
    app: Flask, clock: Clock, tmp_path: Path
) -> None:
    start_again(app, tmp_path)
    record([change(1)])
    assert find_history_loss() is None
    back_up()
    put_back()
    assert find_history_loss("another") is None
    start_again(app, tmp_path)
    assert find_history_loss() is None
    run_in_transaction(lambda c: begin_epoch(c, services().now()))  # decision 18: VACUUM FULL
    record([change(2)])
    clock.advance(CHECK_INTERVAL)
    assert find_history_loss() is None


def test_an_empty_database_in_its_place_is_a_loss(app: Flask, tmp_path: Path) -> None:
    back_up()
    start_again(app, tmp_path)
    record([change(1)])
    assert find_history_loss() is None
    put_back()
    assert find_history_loss("another") == history_loss.LOST


def test_what_was_accepted_before_a_process_finds_it_shuts_nothing_and_a_later_loss_does(
    app: Flask, clock: Clock, tmp_path: Path
) -> None:
    start_again(app, tmp_path)
    back_up()
    record([change(1)])
    assert find_history_loss() is None
    put_back()
    clock.advance(timedelta(hours=1))
    assert not accept()
    start_again(app, tmp_path)
    assert find_history_loss() is None

    back_up()
    clock.advance(timedelta(hours=1))
    record([change(2)])
    assert find_history_loss() is None
    put_back()
    assert find_history_loss("another") == history_loss.LOST
    clock.advance(CHECK_INTERVAL)
    assert accept()
    clock.advance(CHECK_INTERVAL)
    assert find_history_loss() is None


def test_what_is_recorded_after_a_loss_was_accepted_counts_before_the_next_check(
    app: Flask, clock: Clock
) -> None:
    accept()
    for start in (lambda: start_again(app), find_history_loss):  # it may have seen nothing before
        start()
        clock.advance(timedelta(hours=1))
        back_up()
        clock.advance(timedelta(hours=1))
        record([change(1)])
        put_back()
        assert find_history_loss("another") == history_loss.LOST
        clock.advance(CHECK_INTERVAL)
        accept()
        drop_backup()


def test_a_file_that_can_not_be_read_or_written_shuts_nothing(app: Flask, tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text("nonsense")
    record([change(1)])
    with capture_logs() as logs:
        start_again(app, tmp_path)
        assert find_history_loss() is None
        start_again(app, tmp_path / "missing")
        assert find_history_loss() is None
    assert [line["event"] for line in logs] == ["spool_unreadable", "spool_unwritable"]


def test_a_process_that_knows_of_no_loss_forgets_nothing_while_one_is_open(
    app: Flask, clock: Clock, tmp_path: Path
) -> None:  # the same backup may be put back again
    start_again(app, tmp_path)
    record([change(1)])
    assert find_history_loss() is None
    knows_less = app.extensions[history_loss.EXTENSION_KEY]
    back_up()
    start_again(app, tmp_path)
    record([change(2)])
    assert find_history_loss() is None
    kept = (tmp_path / FILE_NAME).read_bytes()
    put_back()
    assert find_history_loss("another") == history_loss.LOST
    app.extensions[history_loss.EXTENSION_KEY] = knows_less
    record([change(3)])
    clock.advance(CHECK_INTERVAL)
    assert find_history_loss() == history_loss.LOST
    assert (tmp_path / FILE_NAME).read_bytes() == kept


def test_an_exclusive_lock_on_the_events_shuts_nothing(
    app: Flask, clock: Clock, database_url: str
) -> None:  # as VACUUM FULL and ALTER TABLE hold it; decisions do not read them
    sender = make_sender(app)
    record([change(1)])
    assert answer(sender)[0] == 200
    limits = replace(current_limits(), lock=0.1, retry=0.0)
    with psycopg.connect(database_url) as other, override_limits(limits):
        other.execute("LOCK TABLE event IN ACCESS EXCLUSIVE MODE")
        for _ in range(5):
            clock.advance(CHECK_INTERVAL)
            assert answer(sender) == (200, True)
