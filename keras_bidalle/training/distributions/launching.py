"""Processes of one machine that train together, to try a program on it."""

import contextlib
import json
import os
import pathlib
import socket
import subprocess
import sys
from collections.abc import Sequence
from typing import Any


def start_processes(
    command: Sequence[Any],
    distribution: str = "none",
    processes: int = 1,
    environment: dict[str, str] | None = None,
    **options: Any,
) -> list[subprocess.Popen]:
    """Starts a program once, or as several processes that find each other.

    Args:
        command: list of str or paths.
        distribution: str, the name that the program gives `distribute`.
        processes: int.
        environment: dict of environment variables, beside those of this
            process. The others get `LOCAL_RANK`, their number, too.
        **options: as in `subprocess.Popen`.

    Returns:
        List of `subprocess.Popen`: the processes, or the one that has
        started them under Horovod.
    """
    environment = {**os.environ, **(environment or {})}
    if distribution == "horovod":
        launched = [*horovodrun(processes), *command]
        return [subprocess.Popen(launched, env=environment, **options)]
    hosts = [f"127.0.0.1:{port}" for port in _free_ports(processes)]
    return [
        subprocess.Popen(
            command,
            env={**environment, **_joining(distribution, k, hosts)},
            **options,
        )
        for k in range(processes)
    ]


def horovodrun(processes: int, *options: str) -> list[str]:
    """The command that starts processes on this machine under Horovod."""
    # From the same environment, also where that is not activated.
    program = pathlib.Path(sys.executable).with_name("horovodrun")
    return [str(program), "-np", str(processes), *options, "--gloo"]


def _joining(distribution, k, hosts):
    """What process k knows of the others: dict of environment variables."""
    found = {"LOCAL_RANK": str(k)}
    if len(hosts) == 1:
        return found
    if distribution == "multiworker":
        task = {"type": "worker", "index": k}
        config = {"cluster": {"worker": hosts}, "task": task}
        return {**found, "TF_CONFIG": json.dumps(config)}
    return {
        **found,
        "KERAS_DISTRIBUTION_JOB_ADDRESSES": hosts[0],
        "KERAS_DISTRIBUTION_NUM_PROCESSES": str(len(hosts)),
        "KERAS_DISTRIBUTION_PROCESS_ID": str(k),
    }


def _free_ports(count):
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
