"""A cluster of Ray: one that runs, or one that is started on this machine, and no noise of it."""

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from typing import Any

from attnviz.errors import AttnvizError, RequestError
from attnviz.threads import processors

OBJECT_STORE = 1 << 29
"""Bytes of shared memory of a local cluster: room for the sums on their way here."""

REACHED_IN = 5
"""Seconds in which the cluster's address must answer."""

QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    "RAY_DATA_LOG_LEVEL": "CRITICAL",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO_GPU": "0",
    "RAY_ENABLE_AUTO_CONNECT": "0",
}
"""Environment variables that keep Ray from sending statistics, from writing to the terminal, and
from joining a cluster again when a thread of its own asks for something after we left: where that
cluster ends, Ray ends this process a minute later."""


@dataclass(frozen=True)
class Cluster:
    """Where workers run: on so many of a cluster's cores or GPUs (None: on all of them).

    `address`: that of a running cluster, `host:port` or `auto`; None starts one on this machine.
    """

    workers: int | None = None
    address: str | None = None


@contextmanager
def connected(cluster: Cluster) -> Iterator[None]:
    """Inside a cluster: afterwards it is left, or ended if it was started here."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise RequestError(
            f"--engine ray needs Ray, and it is not installed ({error})",
            "pip install 'attnviz[ray]'",
        ) from error
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):  # Ray tells of lost workers
        if ray.is_initialized():
            yield
            return
        _connect(cluster)
        try:
            yield
        finally:
            ray.shutdown()


def _connect(cluster: Cluster) -> None:
    """Join the cluster at the address, or start one here; RequestError if nothing answers."""
    import ray

    address = cluster.address or os.environ.get("RAY_ADDRESS") or "local"
    sizes: dict[str, Any] = {}
    if address == "local":
        sizes = {
            "num_cpus": cluster.workers or processors(),
            "object_store_memory": OBJECT_STORE,
            "include_dashboard": False,
        }
    elif address != "auto":
        _check_answers(address)
    try:
        with _no_stderr():
            ray.init(address, log_to_driver=False, logging_level=logging.CRITICAL, **sizes)
    except (ConnectionError, ValueError, RuntimeError, OSError) as error:
        said = str(error).strip().splitlines() or [type(error).__name__]
        if address == "local":
            raise AttnvizError(f"Ray does not start here: {said[0]}") from error
        raise _unanswered(address, said[0]) from error


def _check_answers(address: str) -> None:
    """RequestError if nothing listens at `host:port`; Ray itself would try for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not (host and port.isdecimal()):
        raise RequestError(
            f"--address {address} is not the address of a cluster",
            "give it as HOST:PORT, as `ray start --head` prints it, or auto",
        )
    try:
        socket.create_connection((host.strip("[]"), int(port)), REACHED_IN).close()
    except (OSError, OverflowError) as error:
        raise _unanswered(address, str(error)) from error


def _unanswered(address: str, why: str) -> RequestError:
    return RequestError(
        f"no cluster of Ray answers at {address}: {why}",
        "look whether it runs (ray status --address), or leave out --address to use this machine",
    )


def has(resource: str) -> int:
    """How many of the cluster's machines' GPUs or cores there are."""
    import ray

    found: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    return int(found.get(resource, 0))


@contextmanager
def _no_stderr() -> Iterator[None]:
    """Inside, what libraries in C++ write to standard error is dropped."""
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
