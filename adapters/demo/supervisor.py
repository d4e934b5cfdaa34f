"""Keeps one `serve` and one `work` running, starts again what dies, and ends both with itself."""

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque

from service.db.embedded import Attached
from service.errors import SetupError

log = logging.getLogger(__name__)

MOST_STARTS = 5
"""Starts of one program within a minute; one that dies more often is broken, and the demo ends with it."""


class Child:
    """One program under supervision. It holds the read end of a pipe whose write end is ours alone: when we die, however,
    it reads the end of it and leaves."""

    def __init__(self, name: str, environ: dict[str, str]) -> None:
        self.name = name
        self._environ = environ
        self._starts: deque[float] = deque(maxlen=MOST_STARTS)
        self._process: subprocess.Popen[bytes] | None = None
        self._lifeline = -1

    def start(self) -> bool:
        """Start it; False when it has died too often within a minute."""
        now = time.monotonic()
        if len(self._starts) == MOST_STARTS and now - self._starts[0] < 60:
            return False
        self._starts.append(now)
        self._drop()
        read, self._lifeline = os.pipe()
        os.set_inheritable(read, True)
        command = [sys.executable, "-m", "adapters.main", self.name, "--lifeline", str(read)]
        # A group of its own: Ctrl-C reaches us alone, and we end it in order.
        self._process = subprocess.Popen(command, pass_fds=(read,), env=self._environ, start_new_session=True)
        os.close(read)
        return True

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def ended(self) -> int:
        """Reap it: how it ended, as `subprocess` says it."""
        assert self._process is not None
        return self._process.wait()

    def stop(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._drop()

    def _drop(self) -> None:
        if self._lifeline >= 0:
            os.close(self._lifeline)
            self._lifeline = -1


LOOK = 1.0
"""Seconds between two looks at PostgreSQL: it is nobody's child here, so nothing tells of its end."""


class Supervisor:
    """Starts the children, and watches them and the embedded database on threads of its own until `stop`."""

    def __init__(self, environ: dict[str, str], database: Attached | None) -> None:
        self._database = database
        self.children = [Child("serve", environ), Child("work", environ)]
        self.broken = threading.Event()
        """Set when a child dies too often: the demo cannot go on."""
        self._stopping = threading.Event()
        self._starting = threading.Lock()
        """Held while a child is started or the end is announced: none is started that `stop` would not find."""
        self._watches = [
            threading.Thread(target=self._keep, args=(child,), name=child.name, daemon=True) for child in self.children
        ]
        self._look = threading.Thread(target=self._keep_database, name="database", daemon=True)

    def start(self) -> None:
        for child in self.children:
            child.start()
        for watch in self._watches:
            watch.start()
        self._look.start()

    def _keep(self, child: Child) -> None:
        """Start it again whenever it dies. Each child is waited for by its own number: whoever waited for all would take
        from `subprocess` how pg_isready and pg_ctl ended, beside us, and a dead PostgreSQL would pass for a ready one."""
        while not self._stopping.is_set():
            try:
                # Wait without reaping, so that `stop` may still send a signal to a pid that is certainly ours.
                os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
            except ChildProcessError:
                return
            if self._stopping.is_set():
                return
            log.warning("%s ended with %s; starting it again", child.name, child.ended())
            if not self._again(child):
                log.error("%s died %s times within a minute", child.name, MOST_STARTS)
                self.broken.set()
                os.kill(os.getpid(), signal.SIGTERM)
                return

    def _again(self, child: Child) -> bool:
        """Start it again, unless all is to end; False when it has died too often."""
        with self._starting:
            return self._stopping.is_set() or child.start()

    def _keep_database(self) -> None:
        starts: deque[float] = deque(maxlen=MOST_STARTS)
        while self._database is not None and not self._stopping.wait(LOOK):
            if self._database.alive():
                continue
            log.warning("PostgreSQL ended; starting it again")
            starts.append(time.monotonic())
            try:
                self._database.ensure_running()
            except SetupError as fault:
                log.error("%s", fault)
                starts.extend([time.monotonic()] * MOST_STARTS)
            if len(starts) == MOST_STARTS and starts[-1] - starts[0] < 60:
                self.broken.set()
                os.kill(os.getpid(), signal.SIGTERM)
                return

    def stop(self) -> None:
        """End both, and wait until they have."""
        with self._starting:
            self._stopping.set()
        if self._look.is_alive():
            self._look.join()
        for child in self.children:
            child.stop()
