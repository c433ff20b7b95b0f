"""An SFTP server of this machine: paramiko's own, on a real socket, over a folder."""

from __future__ import annotations

import os
import socket
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import paramiko
from paramiko import SFTPAttributes, SFTPHandle, SFTPServer, SFTPServerInterface

USER, PASSWORD = "drop", "sftp-password"


class _Login(paramiko.ServerInterface):  # type: ignore[misc] # paramiko has no types
    def __init__(self, server: SftpStandIn) -> None:
        self.server = server

    def check_auth_password(self, username: str, password: str) -> int:
        known = (username, password) == (USER, self.server.password)
        return int(paramiko.AUTH_SUCCESSFUL if known else paramiko.AUTH_FAILED)

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        known = username == USER and key == self.server.user_key
        return int(paramiko.AUTH_SUCCESSFUL if known else paramiko.AUTH_FAILED)

    def get_allowed_auths(self, username: str) -> str:  # noqa: ARG002 - paramiko's
        return "password,publickey"

    def check_channel_request(self, kind: str, chanid: int) -> int:  # noqa: ARG002 - paramiko's
        return int(paramiko.OPEN_SUCCEEDED)


class _Files(SFTPServerInterface):  # type: ignore[misc] # paramiko has no types
    """The root is `server.root`. Rights are as the system has them."""

    def __init__(self, login: _Login, *_: Any) -> None:
        self.server = login.server

    def _there(self, path: str) -> Path:
        return self.server.root / path.strip("/")

    def list_folder(self, path: str) -> Any:
        try:
            return [
                SFTPAttributes.from_stat(found.stat(), found.name)
                for found in self._there(path).iterdir()
            ]
        except OSError as error:
            return SFTPServer.convert_errno(error.errno)

    def stat(self, path: str) -> Any:
        try:
            return SFTPAttributes.from_stat(self._there(path).stat())
        except OSError as error:
            return SFTPServer.convert_errno(error.errno)

    lstat = stat

    def open(self, path: str, flags: int, attr: SFTPAttributes) -> Any:  # noqa: ARG002 - paramiko's
        if self.server.full:
            return paramiko.SFTP_FAILURE
        try:
            file = os.fdopen(os.open(self._there(path), flags, 0o666), "wb")
        except OSError as error:
            return SFTPServer.convert_errno(error.errno)
        handle = SFTPHandle(flags)
        handle.writefile = handle.readfile = file
        handle.filename = str(self._there(path))
        handle.chattr = lambda attr: SFTPServer.set_file_attr(handle.filename, attr) or 0
        return handle

    def rename(self, oldpath: str, newpath: str) -> int:
        self.server.seen.append(self._there(newpath).name)
        if self.server.breaks:
            return int(paramiko.SFTP_FAILURE)
        self._there(oldpath).rename(self._there(newpath))
        return int(paramiko.SFTP_OK)

    def remove(self, path: str) -> int:
        try:
            self._there(path).unlink()
        except OSError as error:
            return int(SFTPServer.convert_errno(error.errno))
        return int(paramiko.SFTP_OK)


class SftpStandIn:
    """Serves `root` to USER with `password` or `user_key`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.password = PASSWORD
        self.user_key: paramiko.PKey | None = None
        self.full = self.breaks = False
        self.seen: list[str] = []
        self.key = paramiko.ECDSAKey.generate()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._transports: list[paramiko.Transport] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self.host = f"127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):  # closing alone would leave accept() waiting
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        for transport in self._transports:
            transport.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            transport = paramiko.Transport(connection)
            transport.add_server_key(self.key)
            transport.set_subsystem_handler("sftp", SFTPServer, _Files)
            self._transports.append(transport)
            # With an event it doesn't wait here for the client.
            transport.start_server(event=threading.Event(), server=_Login(self))
