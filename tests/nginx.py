"""The real nginx with the shipped deploy/nginx/preference-center.conf, on ports of its own."""

from __future__ import annotations

import shutil
import signal
import ssl
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from dev.processes import children, wait_until
from dev.server import free_port, is_free
from tests.infra.tls import make_certificate

SHIPPED = Path(__file__).resolve().parents[1] / "deploy" / "nginx" / "preference-center.conf"
PATIENCE = 60.0
KEPT = httpx.Limits(max_keepalive_connections=20)
"""A client's connections are used again."""
SERVERS = (
    "server 127.0.0.1:8000 max_fails=1 fail_timeout=2s;",
    "server 127.0.0.1:8000 max_fails=0 backup;",
)
"""The lines of the shipped file for a web process."""

# As Debian's nginx.conf, which logs every request line, with an error log that says more.
_AROUND = """
{user}pid {folder}/pid;
daemon off;
error_log {folder}/error.log info;
events {{}}
http {{
    access_log {folder}/access.log;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/preference-center.conf;
}}
"""


CONSOLE = "console.example.com"
"""The host of the console in the shipped file."""


@dataclass(slots=True)
class Nginx:
    """nginx in front of the web processes on `ports` of this machine."""

    folder: Path
    """Where everything lies that it writes."""
    ports: Sequence[int]
    port: int
    plain_port: int
    console_port: int
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    @property
    def trust(self) -> ssl.SSLContext:
        """For `verify` of httpx: its certificate signs itself."""
        return ssl.create_default_context(cafile=self.folder / "certificate.pem")

    def client(self, limits: httpx.Limits = KEPT) -> httpx.Client:
        """A client of it that waits as long as a busy machine may take."""
        return httpx.Client(base_url=self.url, verify=self.trust, timeout=PATIENCE, limits=limits)

    def reload(self, ports: Sequence[int]) -> None:
        """Put other web processes behind it, as `nginx -s reload` does: no request is lost."""
        before = set(children(self.process.pid))
        self.ports = ports
        _write(self.folder, ports, self.port, self.plain_port, self.console_port)
        self.process.send_signal(signal.SIGHUP)
        assert wait_until(lambda: not before & set(children(self.process.pid)), PATIENCE)

    def stop(self) -> None:
        """Let it answer the requests in hand and end."""
        self.process.send_signal(signal.SIGQUIT)
        self.process.wait(PATIENCE)

    def access_log(self) -> list[str]:
        """The lines of the log that the shipped file asks for; complete once it is stopped."""
        return (self.folder / "preference-center.log").read_text().splitlines()

    def written(self) -> dict[str, bytes]:
        """Every file that it wrote, standard output and error included, by name."""
        ours = {"nginx.conf", "preference-center.conf", "certificate.pem", "key.pem"}
        files = (path for path in self.folder.rglob("*") if path.is_file())
        return {path.name: path.read_bytes() for path in files if path.name not in ours}


@contextmanager
def nginx(folder: Path, ports: Sequence[int], console_port: int = 8002) -> Iterator[Nginx]:
    """Start it with its files in `folder`, which must not exist; skips without nginx."""
    program = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
    if program is None:
        pytest.skip("nginx is missing: apt-get install nginx-light")
    folder.mkdir(parents=True)
    make_certificate(folder, datetime.now(UTC) + timedelta(days=1))
    port, plain_port = free_port(), free_port()
    _write(folder, ports, port, plain_port, console_port)
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(
            [program, "-p", folder, "-e", folder / "error.log", "-c", folder / "nginx.conf"],
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        assert wait_until(lambda: not is_free(port) or process.poll() is not None, PATIENCE)
        assert process.poll() is None, (folder / "output").read_text()
        yield Nginx(folder, ports, port, plain_port, console_port, process)
    finally:
        process.terminate()
        process.wait(PATIENCE)


def _write(
    folder: Path, ports: Sequence[int], port: int, plain_port: int, console_port: int
) -> None:
    """Fill the shipped file in as somebody who deploys it does, but with ports of this test."""
    text = SHIPPED.read_text()
    servers = [
        (line, "\n    ".join(line.replace("8000", str(number)) for number in ports))
        for line in SERVERS
    ]
    for shipped, here in (
        *servers,
        ("listen 443 ssl default", f"listen 127.0.0.1:{port} ssl default"),
        ("listen [::]:443 ssl default_server;", ""),
        ("listen 443 ssl;", f"listen 127.0.0.1:{port} ssl;"),
        ("listen [::]:443 ssl;", ""),
        ("server 127.0.0.1:8002;", f"server 127.0.0.1:{console_port};"),
        ("allow 10.0.0.0/8;", "allow 127.0.0.1;"),
        ("/etc/ssl/console.pem;", f"{folder}/certificate.pem;"),
        ("/etc/ssl/private/console.key;", f"{folder}/key.pem;"),
        ("listen 80 ", f"listen 127.0.0.1:{plain_port} "),
        ("listen [::]:80 default_server;", ""),
        ("server_name preferences.example.com;", "server_name preferences.example.com 127.0.0.1;"),
        ("/etc/ssl/preferences.pem;", f"{folder}/certificate.pem;"),
        ("/etc/ssl/private/preferences.key;", f"{folder}/key.pem;"),
        ("/var/log/nginx/preference-center.log", f"{folder}/preference-center.log"),
    ):
        assert shipped in text, shipped
        text = text.replace(shipped, here)
    (folder / "preference-center.conf").write_text(text)
    # Started by root, its workers are somebody else, who may not enter the folder of a test.
    user = "user root;\n" if folder.stat().st_uid == 0 else ""
    (folder / "nginx.conf").write_text(_AROUND.format(folder=folder, user=user))
