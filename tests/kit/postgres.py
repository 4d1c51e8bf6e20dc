"""PostgreSQL, the real one: one server for a run of tests, empty tables for each test."""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from tests.kit.addresses import free_port
from tests.kit.programs import require

GUARD_S = 60.0
"""Longest wait until the server is ready or has done what it was told. Never a measured time."""

HOST = "127.0.0.1"

# Nothing of it outlives the tests, so no commit has to wait for a disk.
_SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "listen_addresses": HOST,
    "max_connections": "60",
    "max_wal_size": "64MB",
    "shared_buffers": "16MB",
    "unix_socket_directories": "",
}

_REMEMBER = """
DROP SCHEMA IF EXISTS {copy} CASCADE;
CREATE SCHEMA {copy};
DO $$ DECLARE name text; BEGIN
  FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP
    EXECUTE format('CREATE TABLE {copy}.%1$I AS SELECT * FROM public.%1$I', name);
  END LOOP;
END $$
"""

_RESTORE = """
DO $$ DECLARE name text; BEGIN
  PERFORM pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid();
  FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP
    EXECUTE format('DELETE FROM public.%I', name);
    EXECUTE format('INSERT INTO public.%1$I SELECT * FROM {copy}.%1$I', name);
  END LOOP;
END $$
"""


class Postgres:
    """A server on loopback with its data in a folder of its own.

    Synchronous, since it outlives the event loops of the tests.
    """

    def __init__(self) -> None:
        """Choose a port and a folder; `start` starts it."""
        self.port = free_port(HOST, "tcp")
        self._folder = Path(tempfile.mkdtemp(prefix="postgres-"))
        self._log = self._folder / "server.log"
        self._databases = itertools.count(1)
        self._server: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Make its data the first time, start it, and wait until it takes connections."""
        data = self._folder / "data"
        if not data.exists():
            if os.getuid() == 0:
                shutil.chown(self._folder, "postgres", "postgres")
            made = self._as_user("initdb", "-D", str(data), "-U", "kit", "-A", "trust", "-N")
            subprocess.run(made, check=True, capture_output=True, timeout=GUARD_S)
        settings = {**_SETTINGS, "port": str(self.port)}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        # A test run that is killed takes its server along.
        guarded = [require("setpriv"), "--pdeathsig", "QUIT", "--", require("postgres")]
        with self._log.open("ab") as log:
            self._server = subprocess.Popen(
                self._as_user(*guarded, "-D", str(data), *options),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + GUARD_S
        ready = self._client("pg_isready")
        while subprocess.run(ready, capture_output=True, check=False).returncode:
            if self._server.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"PostgreSQL did not start\n{self._log.read_text()[-3000:]}")
            time.sleep(0.01)

    def stop(self) -> None:
        """End it and delete its data."""
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def kill(self) -> None:
        """Kill it at once (SIGKILL); `start` starts it again with what it has."""
        if self._server is None:
            return
        # Stopped, it starts no other process meanwhile.
        self._server.send_signal(signal.SIGSTOP)
        everybody = self._signal_all(signal.SIGKILL)
        self._server.wait(GUARD_S)
        self._server = None
        deadline = time.monotonic() + GUARD_S
        # The memory they share must be nobody's before the next one starts.
        while any(map(_lives, everybody)) and time.monotonic() < deadline:
            time.sleep(0.005)

    def pause(self) -> None:
        """Stop it in its tracks (SIGSTOP), connections and all."""
        self._signal_all(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on after `pause`."""
        self._signal_all(signal.SIGCONT)

    def recover(self) -> None:
        """Have it run, whatever was done to it."""
        if self._server is None:
            self.start()
        self.resume()

    def new_database(self) -> str:
        """Make an empty database and return its name."""
        name = f"test{next(self._databases)}"
        self.tell(f"CREATE DATABASE {name} TEMPLATE template0")
        return name

    def remember(self, database: str, copy: str = "remembered") -> None:
        """Keep a copy, by that name, of what every table of a database has now."""
        self.tell(_REMEMBER.format(copy=copy), database)

    def restore(self, database: str, copy: str = "remembered") -> None:
        """Give every table what it had in a copy, and end whoever is still connected.

        Much cheaper than another database for each test.
        """
        self.tell(_RESTORE.format(copy=copy), database)

    def url(self, name: str) -> str:
        """Return what an engine is told to use a database."""
        return f"postgresql+asyncpg://kit@{HOST}:{self.port}/{name}"

    def tell(self, statement: str, database: str = "postgres") -> str:
        """Run a statement and return what it says, a row a line."""
        arguments = ["-d", database, "-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1"]
        command = [*self._client("psql"), *arguments, "-c", statement]
        told = subprocess.run(command, capture_output=True, check=False, text=True, timeout=GUARD_S)
        assert told.returncode == 0, told.stderr
        return told.stdout.strip()

    # --- inside -----------------------------------------------------------------------------------

    def _signal_all(self, kind: signal.Signals) -> list[int]:
        """Signal the server and the processes that serve its connections; return their ids."""
        assert self._server is not None
        pid = self._server.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        everybody = [pid, *map(int, children)]
        for process in everybody:
            with suppress(ProcessLookupError):
                os.kill(process, kind)
        return everybody

    def _client(self, program: str) -> list[str]:
        return [require(program), "-h", HOST, "-p", str(self.port), "-U", "kit"]

    def _as_user(self, program: str, *arguments: str) -> list[str]:
        """Return a command line for whoever PostgreSQL runs as: not for root."""
        command = [require(program), *arguments]
        if os.getuid():
            return command
        user = pwd.getpwnam("postgres")
        ids = [f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
        return [require("setpriv"), *ids, "--", *command]


def _lives(pid: int) -> bool:
    """Tell whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
