"""Machines that are namespaces of this machine's kernel: each with a network, processes and a name of its own.

They are joined by a bridge, which is in a further one, so that this machine's own network stays as it is. All end with
the process that made them, however it ends.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.pipeline.engines.cluster import wait_for
from tests.pipeline.test_pipeline import ROOT

PROGRAMS = ("ip", "unshare", "nsenter", "setpriv")
NEW = ("unshare", "--net", "--pid", "--mount", "--uts", "--fork", "--kill-child", "--mount-proc")
PORT = 6379
STORE_PORT = 5000
ROUTE = "default via 10.77.0.254"
"""To nowhere; Ray wants to have one."""
MEMORY = 80_000_000
"""Bytes of a node's object store."""


def fault() -> str:
    """Return why no namespaces can be made here, or ""."""
    if missing := [name for name in PROGRAMS if shutil.which(name) is None]:
        return f"there is no {missing[0]} (iproute2 and util-linux have it)"
    tried = subprocess.run(
        [*NEW, "ip", "link", "add", "bridge", "type", "bridge"], capture_output=True, text=True, check=False
    )
    return tried.stderr.strip().partition("\n")[0] if tried.returncode else ""


class Machine:
    """A machine: what is started in it sees its network, its processes, its name, and folders of its own."""

    def __init__(self, name: str, own: Mapping[Path, Path] | None = None) -> None:
        """own: paths that are other folders for this machine than for others; both are there."""
        self.name = name
        mounts = "".join(f"mount --bind '{source}' '{path}' && " for path, source in (own or {}).items())
        script = f"hostname {name} && {mounts}ip link set lo up && echo ready && while :; do sleep 1000; done"
        self._process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *NEW, "sh", "-c", script], stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        self.pid = int(children.read_text().split()[0])
        """Of its first process, as this machine has it."""

    def command(self, *words: str) -> list[str]:
        """Return what runs a command on this machine, in the folder of the project."""
        return [
            "nsenter", "--target", str(self.pid), "--net", "--pid", "--mount", "--uts", "env", "-C", str(ROOT), *words,
        ]  # fmt: skip

    def ip(self, words: str) -> None:
        """Change its network; processes have the numbers of this machine."""
        subprocess.run(["nsenter", "--target", str(self.pid), "--net", "ip", *words.split()], check=True)

    def run(self, *words: str, **variables: str) -> str:
        """Run a command to its end; returns what it says."""
        done = subprocess.run(
            self.command(*words), env={**os.environ, **variables}, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to all its processes."""
        mine = Path(f"/proc/{self.pid}/ns/pid").readlink()
        for path in Path("/proc").glob("[0-9]*/ns/pid"):
            with suppress(OSError):  # it has ended
                if path.readlink() == mine:
                    os.kill(int(path.parts[2]), number)

    def kill(self) -> None:
        """End all its processes by SIGKILL, if they have not ended."""
        if self._process.poll() is not None:
            return
        self._process.kill()  # and with it, at once, the first process of the namespace, whose end is that of all
        self._process.communicate()
        wait_for(lambda: not Path(f"/proc/{self.pid}").exists())


@dataclass
class Network:
    """Machines that reach each other."""

    folder: Path
    """Where folders of machines are kept."""
    out: Path
    """A folder of which each machine has its own, if it is wanted so (`add`)."""
    switch: Machine = field(default_factory=lambda: Machine("switch"))
    machines: dict[str, Machine] = field(default_factory=dict)
    ports: int = 0

    def __post_init__(self) -> None:
        self.switch.ip("link add bridge type bridge")
        self.switch.ip("link set bridge up")

    def add(self, name: str) -> Machine:
        """Start a machine and plug it in."""
        self.ports += 1
        own = {}
        for path in (self.temporary, self.out):
            own[path] = self.folder / f"{name}-{self.ports}-{path.name}"
            for folder in (path, own[path]):
                folder.mkdir(parents=True, exist_ok=True)
        machine = self.machines[name] = Machine(name, own)
        port, address = f"port{self.ports}", self.address(name)
        self.switch.ip(f"link add {port} type veth peer name eth0 netns {machine.pid}")
        self.switch.ip(f"link set {port} master bridge up")
        machine.ip(f"address add {address}/24 dev eth0")
        machine.ip("link set eth0 up")
        machine.ip(f"route add {ROUTE}")
        return machine

    @property
    def temporary(self) -> Path:
        """Ray's folder, which each machine has for itself; sockets have short paths."""
        return Path(tempfile.gettempdir()) / f"namespaces-{os.getpid()}"

    def address(self, name: str) -> str:
        """Return the address of a machine: that of the head ends in 1, of node-N in N + 1."""
        return f"10.77.0.{1 + int(name.partition('-')[2] or 0)}"

    def link(self, name: str, state: str) -> None:
        """Set the link of a machine `up` or `down`."""
        machine = self.machines[name]
        machine.ip(f"link set eth0 {state}")
        if state == "up":  # the kernel has forgotten it
            machine.ip(f"route replace {ROUTE}")

    def remove(self, name: str) -> None:
        """Kill a machine."""
        self.machines.pop(name).kill()

    # ------------------------------------------------------------------------------------------------ Ray
    def start_head(self) -> None:
        """Start the machine of Ray's head and of the driver, which makes no stages."""
        self._start(self.add("head"), ["--head", f"--port={PORT}", "--include-dashboard=false"], 0, {})

    def start_node(self, name: str, **variables: str) -> None:
        """Start a machine of one CPU, up to three times: Ray gives it 30 s, which a busy machine may need.

        variables: of its environment, which stages see.
        """
        for left in (2, 1, 0):
            try:
                self._start(self.add(name), [f"--address={self.ray_address}"], 1, variables)
                return
            except AssertionError:
                if not left:
                    raise
                self.remove(name)

    @property
    def ray_address(self) -> str:
        """HOST:PORT."""
        return f"{self.address('head')}:{PORT}"

    def _start(self, machine: Machine, options: Sequence[str], cpus: int, variables: Mapping[str, str]) -> None:
        machine.run(
            sys.executable, "-m", "ray.scripts.scripts", "start", *options, f"--num-cpus={cpus}",
            f"--temp-dir={self.temporary}", f"--node-ip-address={self.address(machine.name)}",
            f"--object-store-memory={MEMORY}", "--disable-usage-stats", **variables,
        )  # fmt: skip

    # ------------------------------------------------------------------------------------------------ objects
    def serve_objects(self, bucket: str) -> dict[str, str]:
        """Start a server of objects on the head's machine; returns the variables that its clients need."""
        head, url = self.machines["head"], f"http://{self.address('head')}:{STORE_PORT}"
        words = (sys.executable, "-m", "moto.server", "-H", self.address("head"), "-p", str(STORE_PORT))
        with (self.folder / "objects.log").open("w") as log:
            subprocess.Popen(head.command(*words), stdout=log, stderr=log)
        code = f"import urllib.request as u; u.urlopen(u.Request('{url}/{bucket}', method='PUT'))"

        def made() -> bool:
            return subprocess.run(head.command(sys.executable, "-c", code), capture_output=True).returncode == 0

        wait_for(made, 120)
        return {"AWS_ENDPOINT_URL": url, "AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}

    def close(self) -> None:
        """End all machines."""
        for machine in (*self.machines.values(), self.switch):
            machine.kill()
        shutil.rmtree(self.temporary, ignore_errors=True)


@contextmanager
def network(folder: Path, out: Path) -> Iterator[Network]:
    """A network without machines, ended with all its machines."""
    made = Network(folder, out)
    try:
        yield made
    finally:
        made.close()
