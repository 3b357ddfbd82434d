"""`tbgrad watch` over a real SSH connection, while ten runs are written to."""

import os
import shlex
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.benchmarks.terminal import LiveRuns
from tests.support.terminal import Terminal

SERVER = shutil.which("sshd", path=f"/usr/sbin:{os.environ.get('PATH', '')}")


@pytest.fixture
def connection(tmp_path_factory):
    """Of a server of its own, with keys of its own: the command up to what is to be run there."""
    if SERVER is None or shutil.which("ssh") is None:
        pytest.skip("there is no OpenSSH server: apt-get install openssh-server openssh-client")
    directory = tmp_path_factory.mktemp("ssh")
    for key in ("host", "user"):
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", directory / key], check=True
        )
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = {
        "ListenAddress": "127.0.0.1", "HostKey": directory / "host", "StrictModes": "no",
        "AuthorizedKeysFile": directory / "user.pub", "PermitRootLogin": "yes", "UsePAM": "no",
        "PidFile": "none",
    }  # fmt: skip
    told = [f"-o{name}={value}" for name, value in options.items()]
    server = subprocess.Popen([SERVER, "-D", "-e", "-f", os.devnull, "-p", str(port), *told])
    command = [
        "ssh", "-tt", "-F", os.devnull, "-p", str(port), "-i", str(directory / "user"),
        "-oStrictHostKeyChecking=no", f"-oUserKnownHostsFile={os.devnull}", "-oLogLevel=ERROR",
        "-oConnectionAttempts=20", "-oBatchMode=yes", "127.0.0.1",
    ]  # fmt: skip
    login = subprocess.run([*command, "true"], capture_output=True, stdin=subprocess.DEVNULL)
    if login.returncode == 0:
        yield command
    server.terminate()
    server.wait(10)
    if login.returncode:
        pytest.skip(f"nobody may log in to this machine: {login.stderr.decode()}")


def test_ten_live_runs_are_followed_in_few_bytes(connection, tmp_path):
    command = shlex.join([sys.executable, "-m", "tbgrad", "watch", "--dark", str(tmp_path)])
    runs = LiveRuns(tmp_path, 10)
    runs.write()
    terminal = Terminal([*connection, command])
    terminal.wait_for("10 runs")
    terminal.wait_for("healthy")
    whole = len(terminal.received)
    for _ in range(20):
        runs.write()
        terminal.settle(0.2)
    terminal.wait_for("21")
    assert len(terminal.received) - whole < 2 * whole, "a picture was sent again and again"
    terminal.send("\r")
    terminal.wait_for("dense_0")
    runs.write()
    terminal.wait_for("step 22")
    terminal.send("q")
    assert terminal.ends() == 0
    assert b"\x1b[?1049l" in terminal.received
