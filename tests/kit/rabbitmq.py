"""RabbitMQ, the real one: one broker for a whole run of tests, a virtual host for each test.

It is driven through its own Erlang shell on standard input, where the command-line tools would take
a second each.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.kit.addresses import free_port, is_bound
from tests.kit.programs import require

GUARD_S = 60.0
"""Longest wait until the broker is ready or has done what it was told. Never a measured time."""

HOST = "127.0.0.1"

# The package's wrapper runs it as another user, in that user's folder.
_SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")

# Its schedulers wait without spinning: every worker of a run has a broker, most of them idle.
_ERLANG = (
    "+S 1:1 +sbwt none +sbwtdcpu none +sbwtdio none -kernel inet_dist_use_interface {127,0,0,1}"
)

_CONFIGURATION = """\
listeners.tcp.1 = {host}:{port}
log.console = true
log.console.level = info
"""


class RabbitMq:
    """A broker on loopback with its data in a folder of its own.

    Synchronous, since it outlives the event loops of the tests; inside one, `restarted` is for what
    takes seconds.
    """

    def __init__(self) -> None:
        """Choose ports and a folder; `start` starts it."""
        require("rabbitmq-server")
        self.port = free_port(HOST, "tcp")
        self._epmd_port, self._dist_port = self.port + 1, self.port + 2
        self._folder = Path(tempfile.mkdtemp(prefix="rabbitmq-"))
        self._log = self._folder / "console.log"
        self._said = itertools.count(1)
        self._vhosts = itertools.count(1)
        self._epmd: subprocess.Popen[bytes] | None = None
        self._server: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, again after `kill`, and wait until it takes connections."""
        self._launch()
        self._wait_ready()

    async def restarted(self) -> None:
        """Do the same inside an event loop, which goes on meanwhile."""
        # From the main thread: a child that dies with its parent dies with the thread it is of.
        self._launch()
        await asyncio.to_thread(self._wait_ready)

    def _launch(self) -> None:
        self._write_configuration()
        if self._epmd is None:
            arguments = ["-address", HOST, "-port", str(self._epmd_port)]
            self._epmd = self._run([require("epmd"), *arguments])
            self._wait(lambda: is_bound(HOST, self._epmd_port, "tcp"))
        self._log.unlink(missing_ok=True)
        self._server = self._run([str(_SERVER)])

    def _wait_ready(self) -> None:
        self._wait(lambda: is_bound(HOST, self.port, "tcp"))
        # A shell that answers, and virtual hosts that are recovered.
        self.tell("rabbit:await_startup()")

    def stop(self) -> None:
        """End it and delete its data."""
        self.kill()
        if self._epmd is not None:
            self._end(self._epmd)
        shutil.rmtree(self._folder, ignore_errors=True)

    def kill(self) -> None:
        """Kill it at once (SIGKILL). Idempotent."""
        if self._server is not None:
            self._end(self._server)
            self._server = None

    def pause(self) -> None:
        """Stop it in its tracks (SIGSTOP), connections and all."""
        assert self._server is not None
        os.killpg(self._server.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on after `pause`."""
        assert self._server is not None
        os.killpg(self._server.pid, signal.SIGCONT)

    def tell(self, expression: str) -> str:
        """Evaluate an Erlang expression in the broker and return its value as text."""
        assert self._server is not None
        assert self._server.stdin is not None
        mark = f"kit-{next(self._said)}"
        line = f'io:format("~n[{mark} ~0p {mark}]~n", [catch {expression}]).\n'
        self._server.stdin.write(line.encode())
        self._server.stdin.flush()
        pattern = re.compile(rf"\[{mark} (.*?) {mark}\]", re.DOTALL)
        self._wait(lambda: pattern.search(self._text()) is not None)
        found = pattern.search(self._text())
        assert found is not None
        return found[1]

    def new_vhost(self) -> str:
        """Make a virtual host and return the URL of it; a broker that was killed is started."""
        if self._server is None:
            self.start()
        name = f"test{next(self._vhosts)}"
        made = self.tell(
            f'{{rabbit_vhost:add(<<"{name}">>, <<"kit">>), '
            "rabbit_auth_backend_internal:set_permissions("
            f'<<"guest">>, <<"{name}">>, <<".*">>, <<".*">>, <<".*">>, <<"kit">>)}}'
        )
        assert made == "{ok,ok}", made
        return f"amqp://guest:guest@{HOST}:{self.port}/{name}"

    def block(self) -> None:
        """Have it take no messages, as it does when it is out of memory."""
        self.tell("rabbit_alarm:set_alarm({{resource_limit, memory, node()}, []})")

    def unblock(self) -> None:
        """End what `block` began."""
        self.tell("rabbit_alarm:clear_alarm({resource_limit, memory, node()})")

    def drop_connections(self) -> None:
        """Close every connection from the broker's side."""
        self.tell('rabbit_networking:close_all_connections("by the kit")')

    # --- inside -----------------------------------------------------------------------------------

    def _write_configuration(self) -> None:
        text = _CONFIGURATION.format(host=HOST, port=self.port)
        (self._folder / "rabbitmq.conf").write_text(text)
        (self._folder / "enabled_plugins").write_text("[].\n")

    def _environment(self) -> dict[str, str]:
        folder = str(self._folder)
        return {
            **os.environ,
            "HOME": folder,
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_EPMD_ADDRESS": HOST,
            "RABBITMQ_ALLOW_INPUT": "1",
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_CONFIG_FILE": f"{folder}/rabbitmq.conf",
            "RABBITMQ_DIST_PORT": str(self._dist_port),
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{folder}/enabled_plugins",
            "RABBITMQ_LOG_BASE": folder,
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_MNESIA_BASE": folder,
            "RABBITMQ_NODENAME": f"kit{self.port}@localhost",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": _ERLANG,
        }

    def _run(self, command: list[str]) -> subprocess.Popen[bytes]:
        # A test run that is killed takes the broker along.
        with self._log.open("ab") as log:
            return subprocess.Popen(
                [require("setpriv"), "--pdeathsig", "KILL", "--", *command],
                cwd=self._folder, env=self._environment(), start_new_session=True,
                stdin=subprocess.PIPE, stdout=log, stderr=log,
            )  # fmt: skip

    @staticmethod
    def _end(process: subprocess.Popen[bytes]) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if process.stdin is not None:
            process.stdin.close()

    def _wait(self, done: Callable[[], bool]) -> None:
        deadline = time.monotonic() + GUARD_S
        while not done():
            gone = self._server is not None and self._server.poll() is not None
            if gone or time.monotonic() > deadline:
                story = self._text()[-4000:]
                self.kill()
                raise AssertionError(f"RabbitMQ is not ready\n{story}")
            time.sleep(0.005)

    def _text(self) -> str:
        return self._log.read_text(errors="replace") if self._log.exists() else ""
