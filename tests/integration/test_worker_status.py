"""Warnings of one process that another shows."""

import logging

import ray

from rllib_dreamerv3.plugin.cluster.forwarded_warnings import forward_warnings, take_warnings
from rllib_dreamerv3.plugin.cluster.worker_status import post_status, take_status


@ray.remote(num_cpus=0)
class Trial:
    def warn(self, texts):
        forward_warnings()
        forward_warnings()
        for text in texts:
            logging.getLogger("rllib_dreamerv3.plugin.sampling.remote_sampler").warning("%s", text)
            logging.getLogger("rllib_dreamerv3.plugin.sampling.remote_sampler").info(
                "not a warning"
            )

    def leave(self, status):
        post_status(status)


def test_warnings_are_read_once_and_the_last_are_kept():
    take_warnings()
    trial = Trial.remote()
    ray.get(trial.warn.remote(["first", "second"]))
    assert take_warnings() == ["first", "second"]
    assert take_warnings() == []
    ray.get(trial.warn.remote([str(i) for i in range(100)]))
    assert [*map(int, take_warnings())] == list(range(80, 100))


def test_warnings_are_in_order_whenever_they_are_read():
    take_warnings()
    trial = Trial.remote()
    ray.get(trial.warn.remote([str(i) for i in range(18)]))
    take_warnings()
    ray.get(trial.warn.remote([str(i) for i in range(18, 22)]))
    assert take_warnings() == ["18", "19", "20", "21"]


def test_each_env_runner_has_its_own_status():
    one, other = Trial.remote(), Trial.remote()
    ray.get(one.leave.remote("it hangs"))
    assert take_status(other) is None
    assert take_status(one) == "it hangs"
    assert take_status(one) is None
    ray.get([one.leave.remote("it hangs"), one.leave.remote("")])
    assert take_status(one) is None
