"""The options of the deployment that Ray Serve runs. Standard library only."""

from __future__ import annotations

from typing import Any

__all__ = ["DEPLOYMENT", "GRACE_S", "deployment_options"]

DEPLOYMENT = "Bundles"
"""Its name, by which a configuration file of Ray Serve sets its options."""

GRACE_S = 5.0
"""Ray waits so many seconds longer than a replica does, so that the replica answers first."""


def deployment_options(
    *,
    replicas: int = 1,
    max_replicas: int | None = None,
    gpu: bool,
    cpus: int,
    max_batch: int,
    max_queue: int,
    timeout: float,
) -> dict[str, Any]:
    """The options, under the names that they have in Ray Serve.

    Args:
        replicas: number of replicas, or the lowest with `max_replicas`.
        max_replicas: the highest number of replicas; None for always `replicas`.
        gpu: whether a replica gets a GPU.
        cpus: cores of a replica.
        max_batch: most rows that run together.
        max_queue: most requests that wait at each of Ray's proxies.
        timeout: seconds after which a replica gives a request up.
    """
    number: dict[str, Any] = {"num_replicas": replicas}
    if max_replicas is not None:
        number = {
            "autoscaling_config": {
                "min_replicas": replicas,
                "max_replicas": max_replicas,
                "target_ongoing_requests": max_batch,  # of one row each: full batches
            }
        }
    return {
        **number,
        # One batch runs while the next gathers.
        "max_ongoing_requests": 2 * max_batch,
        "max_queued_requests": max_queue,
        "health_check_period_s": 10.0,
        "health_check_timeout_s": 30.0,
        "graceful_shutdown_timeout_s": timeout + GRACE_S,
        "ray_actor_options": {"num_cpus": cpus, "num_gpus": int(gpu)},
    }
