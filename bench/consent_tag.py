"""The consent tool next to the two best-known open libraries of npm: size, and time to the banner.

All three ask the same on the same page, served from the loopback to a Chromium whose processor
and network are slowed; each visit has an empty cache.
"""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import tarfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from statistics import median
from typing import TYPE_CHECKING, Any

from bench.ground import ROOT, Ground
from bench.reporting import NotHere
from dev.maintenance.browser import chromium

if TYPE_CHECKING:
    from playwright.sync_api import Browser

VERSIONS = {"vanilla-cookieconsent": "3.1.0", "klaro": "0.7.22"}
OURS = "consent.js"
FOLDER = ROOT / ".data" / "consent-libraries"
SLOWED = 4
"""Times that the processor is slowed, to that of a cheap phone."""
NETWORK = {
    "offline": False,
    "latency": 40,  # milliseconds a request
    "downloadThroughput": 1_250_000,  # bytes a second
    "uploadThroughput": 1_250_000,
}

SHOWN = """
    window.longTasks = 0;
    new PerformanceObserver((list) => list.getEntries().forEach((e) => longTasks += e.duration))
        .observe({ type: "longtask", buffered: true });
    const isShown = () => {
        const host = document.querySelector("preference-center-consent");
        const found = host?.shadowRoot.querySelector("section")
            ?? document.querySelector("#cc-main .cm, .klaro .cookie-notice");
        return found?.checkVisibility({ visibilityProperty: true }) && found.offsetHeight > 0;
    };
    const look = () => {
        if (isShown()) window.shownAt = performance.now();
        else requestAnimationFrame(look);
    };
    look();
"""


@dataclass(frozen=True, slots=True)
class Library:
    """What a page needs of one: the head of the page, and files by path with their types."""

    name: str
    head: str
    files: Mapping[str, tuple[str, bytes]]

    @property
    def raw(self) -> int:
        """Bytes of script, styles and configuration."""
        return sum(len(body) for _, body in self.files.values())

    @property
    def compressed(self) -> int:
        """The same as servers send them, each file by itself."""
        return sum(len(gzip.compress(body, 9)) for _, body in self.files.values())


@dataclass(frozen=True, slots=True)
class Visit:
    """One visit, in milliseconds: when the banner was shown, the script's time, long tasks."""

    shown: float
    script: float
    long_tasks: float


@dataclass(frozen=True, slots=True)
class Measured:
    """A library, and the medians of its visits."""

    library: Library
    median: Visit


def measure(here: Ground, visits: int) -> list[Measured]:
    """Visit each in turn. Raises NotHere, and BrowserError where there is no Chromium."""
    config = _configuration(here)
    libraries = [_ours(config), _vanilla(config), _klaro(config)]
    found: dict[str, list[Visit]] = {library.name: [] for library in libraries}
    with _serving(libraries) as site, chromium() as browser:
        for _ in range(visits + 1):
            for library in libraries:
                found[library.name].append(_visit(browser, f"{site}/{library.name}/"))
    return [Measured(library, _median(found[library.name][1:])) for library in libraries]


def _configuration(here: Ground) -> dict[str, Any]:
    answer = here.app.test_client().get("/consent/cascina/config.json?language=en")
    config: dict[str, Any] = answer.get_json()
    return config


def _ours(config: Mapping[str, Any]) -> Library:
    script = (ROOT / "preference_center" / "web" / "static" / OURS).read_bytes()
    path = f"/{OURS}/consent/cascina/config.json"
    body = json.dumps(config, ensure_ascii=False, separators=(",", ":")).encode()
    return Library(
        OURS,
        f'<script src="/{OURS}/consent.js" data-site="cascina" async></script>',
        {
            f"/{OURS}/consent.js": ("text/javascript", script),
            path: ("application/json", body),
        },
    )


def _vanilla(config: Mapping[str, Any]) -> Library:
    name, texts = "vanilla-cookieconsent", config["texts"]
    sections = [
        {
            "title": each["title"],
            "description": each["text"],
            "linkedCategory": each["key"],
            "cookieTable": {
                "headers": {"name": "Name", "desc": "Purpose", "time": "Duration"},
                "body": [
                    {"name": c["name"], "desc": c["purpose"], "time": c["duration"]}
                    for c in each["cookies"]
                ],
            },
        }
        for each in config["categories"]
    ]
    buttons = {"acceptAllBtn": texts["accept"], "acceptNecessaryBtn": texts["refuse"]}
    settings = {
        "hideFromBots": False,  # it takes a driven browser for one
        "categories": {
            each["key"]: {"readOnly": each["required"], "enabled": each["required"]}
            for each in config["categories"]
        },
        "language": {
            "default": "en",
            "translations": {
                "en": {
                    "consentModal": {
                        "title": texts["title"],
                        "description": texts["text"],
                        "showPreferencesBtn": texts["choose"],
                        **buttons,
                    },
                    "preferencesModal": {
                        "title": texts["title"],
                        "savePreferencesBtn": texts["save"],
                        "closeIconLabel": texts["cancel"],
                        "sections": sections,
                        **buttons,
                    },
                }
            },
        },
    }
    run = f"CookieConsent.run({_compact(settings)});"
    return Library(
        name,
        f'<link rel="stylesheet" href="/{name}/style.css">'
        f'<script src="/{name}/library.js" defer></script>'
        f'<script src="/{name}/config.js" defer></script>',
        {
            f"/{name}/style.css": ("text/css", _file(name, "dist/cookieconsent.css")),
            f"/{name}/library.js": ("text/javascript", _file(name, "dist/cookieconsent.umd.js")),
            f"/{name}/config.js": ("text/javascript", run.encode()),
        },
    )


def _klaro(config: Mapping[str, Any]) -> Library:
    name, texts = "klaro", config["texts"]
    settings = {
        "version": 1,
        "lang": "en",
        "translations": {
            "en": {
                "consentNotice": {"description": texts["text"], "learnMore": texts["choose"]},
                "consentModal": {"title": texts["title"], "description": texts["text"]},
                "acceptAll": texts["accept"],
                "decline": texts["refuse"],
                "acceptSelected": texts["save"],
                "purposes": {each["key"]: each["title"] for each in config["categories"]},
            }
        },
        "services": [
            {
                "name": cookie["name"],
                "title": cookie["name"],
                "purposes": [each["key"]],
                "required": each["required"],
                "description": f"{cookie['purpose']}, {cookie['duration']}",
                "cookies": [cookie["name"]],
            }
            for each in config["categories"]
            for cookie in each["cookies"]
        ],
    }
    return Library(
        name,
        f'<script src="/{name}/config.js" defer></script>'
        f'<script src="/{name}/library.js" defer></script>',
        {
            f"/{name}/library.js": ("text/javascript", _file(name, "dist/klaro.js")),
            f"/{name}/config.js": (
                "text/javascript",
                f"var klaroConfig={_compact(settings)};".encode(),
            ),
        },
    )


def _compact(settings: object) -> str:
    return json.dumps(settings, ensure_ascii=False, separators=(",", ":"))


def _file(package: str, path: str) -> bytes:
    """A file of the package as it is on npm, fetched once. Raises NotHere."""
    version = VERSIONS[package]
    archive = FOLDER / f"{package}-{version}.tgz"
    if not archive.exists():
        npm = shutil.which("npm")
        if npm is None:
            raise NotHere("no npm to fetch them with: `apt-get install npm`")
        FOLDER.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(
            [npm, "pack", "--silent", f"{package}@{version}"],
            cwd=FOLDER,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if done.returncode:
            raise NotHere(f"npm can't fetch {package}: {done.stderr.strip()[-200:]}")
    with tarfile.open(archive) as files:
        member = files.extractfile(f"package/{path}")
        assert member
        return member.read()


@contextmanager
def _serving(libraries: Sequence[Library]) -> Iterator[str]:
    """One page for each library at `/<name>/`, and its files."""
    answers = {path: answer for library in libraries for path, answer in library.files.items()}
    for library in libraries:
        page = (
            '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Shop</title>'
            f"{library.head}</head><body><main><h1>Shop</h1><p>Goods.</p></main></body></html>"
        )
        answers[f"/{library.name}/"] = ("text/html", page.encode())

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            kind, body = answers.get(self.path.partition("?")[0], ("text/plain", b""))
            self.send_response(200)
            self.send_header("Content-Type", f"{kind}; charset=utf-8")
            self.send_header("Content-Encoding", "gzip")
            body = gzip.compress(body)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _visit(browser: Browser, url: str) -> Visit:
    context = browser.new_context()
    page = context.new_page()
    page.add_init_script(SHOWN)
    devtools = context.new_cdp_session(page)
    devtools.send("Performance.enable")
    devtools.send("Network.enable")
    devtools.send("Network.emulateNetworkConditions", NETWORK)
    devtools.send("Emulation.setCPUThrottlingRate", {"rate": SLOWED})
    page.goto(url)
    page.wait_for_function("window.shownAt")
    metrics = devtools.send("Performance.getMetrics")["metrics"]
    script = next(each["value"] for each in metrics if each["name"] == "ScriptDuration")
    shown, long_tasks = page.evaluate("[window.shownAt, window.longTasks]")
    context.close()
    return Visit(shown, script * 1000, long_tasks)


def _median(visits: Sequence[Visit]) -> Visit:
    return Visit(
        median(each.shown for each in visits),
        median(each.script for each in visits),
        median(each.long_tasks for each in visits),
    )
