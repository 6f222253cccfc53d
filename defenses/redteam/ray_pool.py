"""Parts of a campaign over Ray, for more cores than one machine has (`bluecode[ray]`).

The cluster is the one that Ray finds, by `RAY_ADDRESS` for example, or else one that is started
here and ends with the campaign. Its nodes need this version of BlueCode, and files that are named
(a policy, keys) at the same paths. Which node does a part changes nothing of it.
"""

import importlib
import importlib.util
import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

from bluecode.defenses.redteam.campaign import Done, Means, Part, Pool


class RayMissing(Exception):
    """Ray is not installed. The message is for the person at the keyboard."""


class _Over:
    """A pool whose workers are Ray's."""

    def __init__(self, ray: Any) -> None:
        self._remote = ray.remote(num_cpus=1, max_retries=1)

    def submit(
        self,
        do: Callable[[Part, Means, float | None], Done | None],
        part: Part,
        means: Means,
        seconds: float | None,
        /,
    ) -> "Future[Done | None]":
        future: Future[Done | None] = self._remote(do).remote(part, means, seconds).future()
        return future


@contextmanager
def over_ray(jobs: int) -> Iterator[Pool]:
    """Ray's workers, `jobs` of them where the cluster is started here.

    Raises `RayMissing`, and what Ray raises where a cluster that is named cannot be reached."""
    if importlib.util.find_spec("ray") is None:
        raise RayMissing("`--engine ray` needs Ray: pip install 'bluecode[ray]'.")
    ray = importlib.import_module("ray")
    size = {} if os.environ.get("RAY_ADDRESS") else {"num_cpus": jobs}
    ray.init(include_dashboard=False, log_to_driver=False, **size)
    try:
        yield _Over(ray)
    finally:
        ray.shutdown()
