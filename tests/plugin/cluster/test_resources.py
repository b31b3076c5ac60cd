import re
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ray.rllib.algorithms import utils as rllib_bundles

from rllib_dreamerv3 import DreamerV3, DreamerV3Config
from rllib_dreamerv3.errors import ResourceError
from rllib_dreamerv3.plugin.cluster.resources import (
    check_resources,
    cluster_may_grow,
    cpus_for_main_process,
    describe_request,
    requested_parts,
    threads_for_this_process,
)


def config(**options):
    return DreamerV3Config().environment("CartPole-v1").update_from_dict(options)


def refusal(cluster, in_tune=True, **options):
    with pytest.raises(ResourceError) as info:
        check_resources(config(**options), cluster, in_tune=in_tune, may_grow=False)
    return str(info.value)


def totals(parts):
    sums = {}
    for part in parts:
        for name in part.each:
            sums[name] = sums.get(name, 0) + part.total(name)
    return {name: value for name, value in sums.items() if value}


SETTINGS = {
    "num_env_runners": st.integers(0, 4),
    "num_cpus_per_env_runner": st.sampled_from([0.25, 0.5, 1, 2]),
    "num_cpus_for_main_process": st.integers(1, 4),
    "num_learners": st.integers(0, 2),
    "num_cpus_per_learner": st.sampled_from(["auto", 1, 2]),
    "num_gpus_per_learner": st.sampled_from([0, 1]),
    "evaluation_interval": st.sampled_from([None, 1]),
    "evaluation_num_env_runners": st.integers(0, 2),
}


@settings(max_examples=40, deadline=None)
@given(options=st.fixed_dictionaries({**SETTINGS, "num_learners": st.just(0)}))
def test_sums_are_what_rllib_asks_tune_for(options):
    request = DreamerV3.default_resource_request(config(**options).to_dict())
    parts = requested_parts(config(**options), in_tune=True)
    assert totals(parts) == pytest.approx(
        {name: value for name, value in request.required_resources.items() if value}
    )


@settings(max_examples=40, deadline=None)
@given(options=st.fixed_dictionaries(SETTINGS))
def test_sums_with_learners_are_those_of_rllibs_bundles(options):
    asked = config(**{**options, "evaluation_interval": None, "evaluation_num_env_runners": 0})
    bundles = [
        rllib_bundles._get_main_process_bundle(asked),
        *rllib_bundles._get_env_runner_bundles(asked),
        *rllib_bundles._get_learner_bundles(asked),
    ]
    parts = totals(requested_parts(asked, in_tune=True))
    for name in ("CPU", "GPU"):
        assert parts.get(name, 0) == pytest.approx(sum(bundle.get(name, 0) for bundle in bundles))


@settings(max_examples=100, deadline=None)
@given(options=st.fixed_dictionaries(SETTINGS), cpus=st.integers(1, 6), in_tune=st.booleans())
def test_every_remedy_that_is_offered_helps(options, cpus, in_tune):
    cluster = {"CPU": cpus, "GPU": 1}
    message = ""
    try:
        check_resources(config(**options), cluster, in_tune=in_tune, may_grow=False)
    except ResourceError as error:
        message = str(error)
    resource = "CPU" if "CPU" in message.partition(",")[0] else "GPU"
    for advice in re.findall(r"To make it fit, set (.*)\.$", message, re.MULTILINE):
        for remedy in advice.split(", or "):
            changes = {
                key: float(value) if "." in value else int(value)
                for key, value in (change.split(": ") for change in remedy.split(" and "))
            }
            changed = requested_parts(config(**{**options, **changes}), in_tune=in_tune)
            assert totals(changed).get(resource, 0) <= cluster[resource]


def test_refusal_says_what_was_asked_what_there_is_and_what_to_set():
    assert refusal({"CPU": 2.0}, num_env_runners=4).splitlines() == [
        "This run requests 5 CPUs, but the cluster has 2:",
        "  main process: 1 CPU",
        "  4 env runners, 1 each: 4 CPUs",
        "To make it fit, set num_env_runners: 1, or num_cpus_per_env_runner: 0.25.",
        "(If this cluster scales up on demand, set RLLIB_DREAMERV3_AUTOSCALING=1.)",
    ]


def test_the_users_own_process_asks_ray_for_nothing():
    check_resources(config(num_env_runners=2), {"CPU": 2}, in_tune=False, may_grow=False)
    assert "requests 3 CPUs" in refusal({"CPU": 2}, in_tune=True, num_env_runners=2)
    assert requested_parts(config(num_env_runners=0), in_tune=False) == []


@pytest.mark.parametrize(
    ("cluster", "options", "message"),
    [
        ({"CPU": 2}, {"num_gpus_per_learner": 1}, "1 GPU, but.* 0:.*num_gpus_per_learner: 0"),
        (
            {"CPU": 8, "GPU": 1},
            {"num_learners": 2, "num_gpus_per_learner": 1},
            "2 learners, 1 each: 2 GPUs.*num_learners: 1, or num_gpus_per_learner: 0.5",
        ),
        (
            {"CPU": 2},
            {"num_cpus_for_main_process": 8},
            "main process: 8 CPUs.*num_cpus_for_main_process: 2",
        ),
        ({"CPU": 2}, {"num_cpus_per_learner": 8}, "main process: 8 CPUs.*num_cpus_per_learner: 2"),
        (
            {"CPU": 2},
            {"num_env_runners": 4, "num_learners": 2},
            "set num_env_runners: 0 and num_learners: 1",
        ),
        (
            {"CPU": 2},
            {"num_env_runners": 1, "evaluation_interval": 1, "evaluation_num_env_runners": 2},
            "2 evaluation env runners, 1 each: 2 CPUs.*evaluation_num_env_runners: 0",
        ),
        (
            {"CPU": 4},
            {"num_env_runners": 2, "custom_resources_per_env_runner": {"simulator": 1}},
            "2 of resource 'simulator', but.*num_env_runners: 0",
        ),
    ],
)
def test_every_part_has_its_remedy(cluster, options, message):
    assert re.search(message, refusal(cluster, **options), re.DOTALL)


def test_fractions_add_up_exactly():
    ten = config(num_env_runners=10, num_cpus_per_env_runner=0.1)
    check_resources(ten, {"CPU": 2.0}, in_tune=True, may_grow=False)


def test_requested_resources_of_a_cluster_are_reported():
    asked = config(num_env_runners=4, num_cpus_per_env_runner=0.5, num_gpus_per_learner=1)
    assert describe_request(asked, {"CPU": 24, "GPU": 2}, machines=3) == (
        "Requests 3 CPUs (main process 1, 4 env runners 0.5 each) of 24, "
        "1 GPU (main process 1) of 2 on 3 machines."
    )
    asked = config(num_env_runners=1)
    assert describe_request(asked, {"CPU": 2}, machines=1) == (
        "Requests 2 CPUs (main process 1, env runner 1) of 2 on 1 machine."
    )


def test_growing_clusters_are_not_judged(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("RLLIB_DREAMERV3_AUTOSCALING", raising=False)
    assert not cluster_may_grow()
    (tmp_path / "ray_bootstrap_config.yaml").touch()
    assert cluster_may_grow()
    check_resources(config(num_env_runners=99), {"CPU": 1}, in_tune=True)
    monkeypatch.setenv("RLLIB_DREAMERV3_AUTOSCALING", "0")
    assert not cluster_may_grow()
    with pytest.raises(ResourceError):
        check_resources(config(num_env_runners=99), {"CPU": 1}, in_tune=True)
    monkeypatch.setenv("RLLIB_DREAMERV3_AUTOSCALING", "1")
    check_resources(config(num_env_runners=99), {"CPU": 1}, in_tune=True)


@pytest.mark.parametrize(
    ("cpus", "options", "left"),
    [
        (8, {}, 8),
        (8, {"num_env_runners": 3}, 5),
        (8, {"num_env_runners": 3, "num_cpus_per_env_runner": 0.5}, 6),
        (8, {"num_env_runners": 2, "evaluation_interval": 1, "evaluation_num_env_runners": 2}, 4),
        (2, {"num_env_runners": 2}, 1),
        (2, {"num_env_runners": 9}, 1),
    ],
)
def test_main_process_gets_what_the_others_leave(cpus, options, left):
    assert cpus_for_main_process(config(**options), cpus) == left


def test_outside_of_rays_workers_all_cores_are_used():
    assert threads_for_this_process() is None


THREADS_IN_WORKERS = """
import ray
from ray.util.placement_group import placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

ray.init(num_cpus=6, include_dashboard=False, log_to_driver=False)

@ray.remote
class Worker:
    def threads(self, cores=None):
        import os
        if cores:
            os.sched_setaffinity(0, cores)
        from rllib_dreamerv3.plugin.cluster.resources import threads_for_this_process
        return threads_for_this_process()

group = placement_group([{"CPU": 2}])
for options in (
    {"num_cpus": 1.5},
    {"num_cpus": 0.25},
    {"num_cpus": 0},
    {"num_cpus": 2, "scheduling_strategy": PlacementGroupSchedulingStrategy(group)},
):
    print(ray.get(Worker.options(**options).remote().threads.remote()))
bound = Worker.options(num_cpus=2).remote()
print(ray.get(bound.threads.remote(cores={0})))
"""


@pytest.mark.long
def test_workers_compute_with_their_share_of_cpus_and_at_most_the_cores_they_are_bound_to():
    done = subprocess.run(
        [sys.executable, "-c", THREADS_IN_WORKERS], capture_output=True, text=True
    )
    assert done.stdout.split() == ["2", "1", "1", "2", "1"], done.stderr
