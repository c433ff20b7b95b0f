"""Folders on SFTP servers and in S3 buckets, through fsspec.

https://filesystem-spec.readthedocs.io, https://s3fs.readthedocs.io
Importing this module needs the extra `drop`.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from typing import Any
from urllib.parse import unquote, urlsplit

import paramiko
from botocore.exceptions import BotoCoreError, NoCredentialsError
from fsspec.implementations.sftp import SFTPFileSystem
from s3fs import S3FileSystem

from preference_center.core.networks import NETWORKS_SETTING, InvalidNetworks, parse_own_networks
from preference_center.integrations.base.contract import (
    CheckReport,
    DeliveryError,
    DestinationConfig,
    LeaseExpired,
)
from preference_center.integrations.base.http import HttpContext
from preference_center.integrations.base.network import (
    ForbiddenUrl,
    Resolver,
    resolve_allowed_addresses,
    validate_url,
)
from preference_center.integrations.file_drop.client import FILE_MODE, delivery_errors

# At DEBUG they log keys, and what is sent (I12).
for _name in ("botocore", "aiobotocore", "s3fs", "fsspec", "paramiko"):
    logging.getLogger(_name).setLevel(logging.WARNING)

UNTESTED_HINT = (
    "whether files may be written there is known after the first one: a check writes nothing"
)


def _allowed_addresses(
    config: DestinationConfig,
    http: HttpContext,
    setting: str,
    host: str,
    port: int,
    *,
    resolve: Resolver | None = None,
    allow_public: bool = True,
) -> tuple[str, ...]:
    """The addresses of `host` that may be connected to, by the rule of all connectors.

    Raises DeliveryError (permanent) that names the setting, and OSError.
    """
    try:
        return resolve_allowed_addresses(
            host,
            port,
            resolve or http.resolve,
            allow_private=http.allow_private,
            allow_public=allow_public,
            any_port=True,
            networks=parse_own_networks(config.settings, http.private_networks),
        )
    except InvalidNetworks as error:
        problem = f"{NETWORKS_SETTING}: {error}"
    except ForbiddenUrl as error:
        problem = f"{setting}: {error}"
    except UnicodeError:  # the name of a host has labels of at most 63 characters
        problem = f"{setting}: the host can't be read: check its name"
    raise DeliveryError(f"{config.name}: {problem}", permanent=True)


class SftpFolder:
    """A folder on an SFTP server whose key is known beforehand."""

    def __init__(self, config: DestinationConfig, http: HttpContext) -> None:
        self._config = config
        self._http = http
        url = urlsplit(config.settings["folder"])
        self._url = url
        self._path = unquote(url.path).rstrip("/")
        self._keys = frozenset(config.settings.get("host_key", "").split())

    def check(self) -> CheckReport:
        """See DropFolder."""
        faults = tuple(self._find_problems())
        if faults:
            return CheckReport(faults)
        try:
            with self._open() as there:
                found = there.isdir(self._path)
        except DeliveryError as error:
            return CheckReport((str(error),))
        if not found:
            return CheckReport(("folder: there is no such folder on the server: make it",))
        return CheckReport(hints=(UNTESTED_HINT,))

    def _find_problems(self) -> Iterator[str]:
        if not (self._url.hostname and self._url.username and self._path):
            yield "folder: write it as sftp://user@host/folder"
        if self._url.password:
            yield "folder: anybody may see it: write the password as a setting of its own"
        if not self._keys or not all(key.startswith("SHA256:") for key in self._keys):
            yield (
                "host_key: write the fingerprint of the server's key, SHA256:..., as its owner "
                "tells it, or addresses might go to somebody else's server"
            )
        key_file = self._config.settings.get("key_file")
        if not (self._config.settings.get("password") or key_file):
            yield "password, key_file: one of them is needed"
        if key_file and not os.access(key_file, os.R_OK):
            yield "key_file: the workers can't read it: change its path or its rights"

    def write_file(self, name: str, suffix: str, content: bytes) -> str:
        """See DropFolder."""
        with self._open() as there:
            for path in there.ls(self._path, detail=False):
                found = str(path).rpartition("/")[2]
                if found.endswith(suffix):
                    return found
            self._write(there, name, content)
        return name

    def _write(self, filesystem: Any, name: str, content: bytes) -> None:
        scratch = f"{self._path}/.{name}.{self._http.nonce()}.part"
        try:
            with filesystem.open(scratch, "wb") as file:
                with suppress(OSError):  # not every server has rights to set
                    file.chmod(FILE_MODE)
                file.set_pipelined(True)  # acknowledged by the size below
                file.write(content)
            if filesystem.info(scratch)["size"] != len(content):
                raise DeliveryError(f"{self._config.name}: the server kept only part of a file")
            if not self._http.lease_valid():
                raise LeaseExpired(f"{self._config.name}: the lease is over, nothing dropped")
            # Not fsspec's mv: that asks for an extension that only OpenSSH has.
            filesystem.ftp.rename(scratch, f"{self._path}/{name}")
        finally:
            with suppress(OSError, EOFError, paramiko.SSHException):
                filesystem.ftp.remove(scratch)

    @contextmanager
    def _open(self) -> Iterator[Any]:
        """The server's files; its errors become DeliveryErrors."""
        name = self._config.name
        self._http.acquire(name)
        try:
            with delivery_errors(name):
                there = self._connect()
                try:
                    there.ftp.get_channel().settimeout(self._http.timeouts.read)
                    yield there
                finally:
                    there.client.close()
        except (paramiko.AuthenticationException, UnknownHostKey) as error:
            why = (
                "its key is not host_key" if isinstance(error, UnknownHostKey) else "log-in refused"
            )
            raise DeliveryError(f"{name}: {why}: fix it", permanent=True) from error
        except (paramiko.SSHException, EOFError) as error:
            raise DeliveryError(f"{name}: the server broke off, {type(error).__name__}") from error

    def _connect(self) -> Any:
        connected = self._dial()
        try:
            return self._log_in(connected)
        except BaseException:
            connected.close()
            raise

    def _dial(self) -> socket.socket:
        """A connection to an address that was checked, never to a name."""
        port, failure = self._url.port or 22, OSError("the host has no address")
        host = self._url.hostname or ""
        for address in _allowed_addresses(self._config, self._http, "folder", host, port):
            try:
                return socket.create_connection((address, port), self._http.timeouts.connect)
            except OSError as error:
                failure = error
        raise failure

    def _log_in(self, connected: socket.socket) -> Any:
        settings, limits = self._config.settings, self._http.timeouts
        return SFTPFileSystem(
            self._url.hostname,
            sock=connected,
            port=self._url.port or 22,
            username=unquote(self._url.username or ""),
            password=settings.get("password"),
            key_filename=settings.get("key_file"),
            host_key_policy=_PinnedHostKeys(self._keys),
            look_for_keys=False,
            allow_agent=False,
            timeout=limits.connect,
            banner_timeout=limits.connect,
            auth_timeout=limits.connect,
            channel_timeout=limits.connect,
            skip_instance_cache=True,
        )


class UnknownHostKey(paramiko.SSHException):  # type: ignore[misc] # paramiko has no types
    """The server's key is none of those that the settings name."""


class _PinnedHostKeys(paramiko.MissingHostKeyPolicy):  # type: ignore[misc] # paramiko has no types
    """Accepts named keys only; fsspec's own `reject` accepts none."""

    def __init__(self, fingerprints: frozenset[str]) -> None:
        self._fingerprints = fingerprints

    def missing_host_key(self, client: Any, hostname: str, key: paramiko.PKey) -> None:  # noqa: ARG002 - paramiko's
        """Raise UnknownHostKey for a key that is not named."""
        if key.fingerprint not in self._fingerprints:
            raise UnknownHostKey


class S3Folder:
    """A folder in a bucket of Amazon S3, or of another service that speaks S3."""

    def __init__(self, config: DestinationConfig, http: HttpContext) -> None:
        self._config = config
        self._http = http
        url = urlsplit(config.settings["folder"])
        self._bucket = url.netloc
        self._prefix = url.path.strip("/")
        self._path = f"{self._bucket}/{self._prefix}".rstrip("/")

    def check(self) -> CheckReport:
        """See DropFolder."""
        settings = self._config.settings
        if not self._bucket:
            return CheckReport(("folder: write it as s3://bucket/folder",))
        if bool(settings.get("access_key_id")) != bool(settings.get("secret_access_key")):
            return CheckReport(("access_key_id, secret_access_key: write both, or neither",))
        try:
            with self._s3_errors():
                prefix = f"{self._prefix}/" if self._prefix else ""
                self._files.call_s3(
                    "list_objects_v2", Bucket=self._bucket, Prefix=prefix, MaxKeys=1
                )
        except DeliveryError as error:
            return CheckReport((str(error),))
        return CheckReport(hints=(UNTESTED_HINT,))

    def write_file(self, name: str, suffix: str, content: bytes) -> str:
        """See DropFolder. S3 lists an object only when it is complete."""
        with self._s3_errors():
            for path in self._names():
                if path.endswith(suffix):
                    return path.rpartition("/")[2]
            if not self._http.lease_valid():
                raise LeaseExpired(f"{self._config.name}: the lease is over, nothing dropped")
            self._files.pipe_file(f"{self._path}/{name}", content)
        return name

    def _names(self) -> list[str]:
        try:
            return list(self._files.ls(self._path, detail=False))
        except FileNotFoundError:
            return []  # there is a folder once there is a file in it

    @contextmanager
    def _s3_errors(self) -> Iterator[None]:
        name = self._config.name
        self._http.acquire(name)
        try:
            with delivery_errors(name):
                self._check_service()
                yield
        except NoCredentialsError as error:
            raise DeliveryError(
                f"{name}: no key is set, and the worker runs as no role", permanent=True
            ) from error
        except BotoCoreError as error:
            raise DeliveryError(f"{name}: S3 can't be reached, {type(error).__name__}") from error

    def _check_service(self) -> None:
        """Raises DeliveryError for a `base_url` that may not be called; the socket is checked, too.

        So the message says why, which botocore does not pass on.
        """
        base_url = self._config.settings.get("base_url")
        if base_url is None:
            return
        try:
            parts = validate_url(base_url, allow_any_port=True, allow_http=True)
        except ForbiddenUrl as error:
            message = f"{self._config.name}: base_url: {error}"
            raise DeliveryError(message, permanent=True) from error
        port = parts.port or (443 if self._is_tls else 80)
        self._allow(parts.hostname or "", port, None)

    @property
    def _is_tls(self) -> bool:
        return not self._config.settings.get("base_url", "").lower().startswith("http://")

    def _allow(self, host: str, port: int, resolve: Resolver | None) -> None:
        _allowed_addresses(
            self._config,
            self._http,
            "base_url",
            host,
            port,
            resolve=resolve,
            allow_public=self._is_tls,
        )

    def _make_socket(self, info: tuple[Any, ...]) -> socket.socket:
        """For aiohttp: a socket for an address, whatever name it was resolved from, if allowed."""
        family, kind, protocol, _name, address = info
        try:
            self._allow(str(address[0]), int(address[1]), lambda host, _port: (host,))
        except DeliveryError as error:
            raise OSError(str(error)) from error
        return socket.socket(family, kind, protocol)

    @cached_property
    def _files(self) -> Any:
        settings, limits = self._config.settings, self._http.timeouts
        files = S3FileSystem(
            key=settings.get("access_key_id"),
            secret=settings.get("secret_access_key"),
            endpoint_url=settings.get("base_url"),
            client_kwargs={"region_name": settings["region"]} if settings.get("region") else {},
            config_kwargs={
                "connect_timeout": limits.connect,
                "read_timeout": limits.read,
                "retries": {"total_max_attempts": 1},
                "connector_args": {"socket_factory": self._make_socket},
                "proxies": {},
            },
            use_listings_cache=False,
            skip_instance_cache=True,
        )
        files.retries = 1  # the sync loop retries until the deadline
        return files
