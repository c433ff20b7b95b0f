"""The web server's variables and ports."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from workers.web import Port, main, read_number, require_free


@pytest.fixture
def taken() -> Iterator[int]:
    """A port on which somebody listens who would share it."""
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening.getsockname()[1]


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_a_port_on_which_somebody_listens_is_not_shared(taken: int, host: str) -> None:
    with pytest.raises(SystemExit, match=f"^PORT {taken} on {host}: Address already in use"):
        require_free(Port("PORT", host, taken), patience=0)


def test_a_port_that_is_free_can_be_looked_at_twice() -> None:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        number = found.getsockname()[1]
    for _ in range(2):
        require_free(Port("PORT", "127.0.0.1", number))


def test_a_port_that_a_killed_server_still_has_is_waited_for() -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        ending = threading.Timer(0.2, listening.close)
        ending.start()
        require_free(Port("PORT", "127.0.0.1", listening.getsockname()[1]), patience=30)
        ending.join()


@pytest.mark.parametrize("name", ["PORT", "INTERNAL_PORT"])
def test_the_server_ends_with_a_sentence_before_it_starts_anything(name: str, taken: int) -> None:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        free = str(found.getsockname()[1])
    with pytest.raises(SystemExit, match=f"Set {name} to another port"):
        main(environ={"PORT": free, name: str(taken)}, patience=0)


def test_an_unknown_host_is_named() -> None:
    with pytest.raises(SystemExit, match=r"^PORT 8000 on nowhere\.invalid: "):
        require_free(Port("PORT", "nowhere.invalid", 8000))


@pytest.mark.parametrize("text", ["0", "1001", "-1", "two", "2.5", "²"])
def test_a_number_that_is_none_is_named_with_what_it_should_be(text: str) -> None:
    with pytest.raises(SystemExit, match=r"^WEB_WORKERS must be a number from 1 to 1000, not "):
        read_number({"WEB_WORKERS": text}, "WEB_WORKERS", 1000)


def test_a_variable_that_is_empty_counts_as_unset(taken: int) -> None:
    with pytest.raises(SystemExit, match=f"^PORT {taken} on 127.0.0.1: "):
        main(environ={"HOST": "", "INTERNAL_PORT": "", "PORT": str(taken)}, patience=0)


FORKING = """
import os, signal
from workers.web import end_children_at_sigterm

end_children_at_sigterm()
signal.signal(signal.SIGTERM, lambda *_: None)  # as the server does, which waits for its children
for _ in range(200):
    pid = os.fork()
    if not pid:
        signal.pause()
        os._exit(0)
    os.kill(pid, signal.SIGTERM)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGTERM
os.kill(os.getpid(), signal.SIGTERM)  # the process itself still finishes its requests
print("finished")
"""


def test_a_worker_process_ends_at_sigterm_from_its_fork_on() -> None:
    command = [sys.executable, "-c", FORKING]
    assert subprocess.run(command, check=True, capture_output=True).stdout == b"finished\n"
