"""Where the workers are: on this machine, or on a Ray cluster."""

from __future__ import annotations

import logging
import os
import signal
import threading
from dataclasses import dataclass
from typing import Any

from judge.errors import EngineError, UsageError

__all__ = ["Cluster"]

_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing about a run leaves the machine
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # Ray 2.55 warns until it is told
}


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where the workers are.

    Attributes:
        workers: how many; None for as many as there is room for: one for each GPU that a model
            needs or, without GPUs, one for each CPU.
        address: of a Ray cluster, such as `auto` or `10.0.0.1:6379`; None for this machine.
        patience: seconds after which a worker that does not answer is given up. Loading the model
            and the slowest batch must both take less.

    Raises:
        UsageError: less than one worker, or no time at all.
    """

    workers: int | None = None
    address: str | None = None
    patience: float = 1800.0

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers < 1:
            raise UsageError(f"--workers {self.workers}: there must be one", hint="--workers 2")
        if self.patience <= 0:
            raise UsageError(
                f"--worker-timeout {self.patience:g}: nobody answers so fast", hint="leave it out"
            )

    def connect(self, ray: Any) -> None:
        """Make this process part of the cluster, which is started first if it is this machine.

        Args:
            ray: the module.

        Raises:
            EngineError: there is no such cluster.
        """
        for name, value in _ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        address = self.address
        here = max(os.cpu_count() or 1, self.workers or 1)
        own = threading.current_thread() is threading.main_thread()
        handler = signal.getsignal(signal.SIGTERM) if own else None
        try:
            ray.init(
                address="local" if address is None else address,
                num_cpus=here if address is None else None,
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise EngineError(
                f"no connection to a Ray cluster at {address or 'this machine'}: {error}",
                hint="start one with `ray start --head`; without --ray-address the workers are on "
                "this machine",
            ) from error
        finally:
            if handler is not None:  # Ray puts its own in the place of ours
                signal.signal(signal.SIGTERM, handler)
