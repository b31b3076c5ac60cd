"""Latents on their way round: acted with, stored, trained from, refreshed, saved."""

import copy

import gymnasium as gym
import numpy as np
import pytest
import synthetic
import tensorflow as tf
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from tiny import tiny_config

from rllib_dreamerv3 import DreamerV3
from rllib_dreamerv3.agent.networks.model import DreamerModel, get_weights, set_weights
from rllib_dreamerv3.agent.networks.state import State
from rllib_dreamerv3.agent.networks.world_model import split_context
from rllib_dreamerv3.plugin.sampling.env_runner import DreamerV3EnvRunner
from rllib_dreamerv3.records import ACTION, IS_FIRST, IS_LAST, LATENT_H, LATENT_INDEX
from rllib_dreamerv3.replay import ReplayBuffer
from rllib_dreamerv3.replay.storage import Window


def config_v2(**training):
    # With a warm-up the first updates would hardly change a thing.
    return tiny_config(variant="v2", lr_warmup=0, lr=1e-2, **training)


@pytest.fixture(scope="module")
def algorithm():
    """An algorithm whose replay is filled, for all tests to go on with."""
    built = config_v2().build_algo()
    built.train()
    yield built
    built.stop()


@pytest.fixture(scope="module")
def make_runner():
    """Builds env runners of three environments, with weights that are anything but uniform."""
    built = []

    def make(variant="v2", **evaluation):
        config = tiny_config(variant=variant, replay_context=1).evaluation(**evaluation)
        config.env_runners(num_envs_per_env_runner=3)
        built.append(DreamerV3EnvRunner(config=config, worker_index=0))
        synthetic.scramble(built[-1].module.model)
        return built[-1]

    yield make
    for runner in built:
        runner.stop()


# Acting


def transitions(runner, chunks):
    """Of each record: the h that follows from the record before it, and its own."""
    rssm = runner.module.model.rssm
    for chunk in chunks:
        columns = chunk.columns
        for t in range(1, len(chunk)):
            if columns[IS_FIRST][t]:
                state, action = rssm.initial_state(), tf.zeros([1, 2])
            else:
                index = columns[LATENT_INDEX][t - 1][None].astype(np.int32)
                state = State(columns[LATENT_H][t - 1][None], tf.constant(index))
                action = columns[ACTION][t - 1][None]
            following = rssm.imagine(state, action, synthetic.uniform(1, 4), dense=False)
            yield following.h[0].numpy(), columns[LATENT_H][t]


@pytest.mark.parametrize("random_actions", [False, True], ids=["policy", "random"])
def test_records_carry_the_states_in_which_the_policy_acted(make_runner, random_actions):
    """Each h follows from h, z and action of the record before it, or from an episode's start."""
    runner = make_runner()
    chunks = runner.sample(num_records=120, random_actions=random_actions)
    columns = chunks[0].columns
    assert (columns[LATENT_H].shape, columns[LATENT_H].dtype) == ((40, 16), np.float32)
    assert (columns[LATENT_INDEX].shape, columns[LATENT_INDEX].dtype) == ((40, 4), np.uint8)
    assert columns[LATENT_INDEX].max() < 4
    assert any(chunk.columns[IS_FIRST][1:].any() for chunk in chunks)
    for following, stored in transitions(runner, chunks):
        np.testing.assert_allclose(stored, following, atol=1e-5)
    # The first record of a later call goes on from the last one of the call before.
    (again, *_) = runner.sample(num_records=30, random_actions=random_actions)
    assert again.start == 40
    rows = {name: np.concatenate([columns[name][-1:], x]) for name, x in again.columns.items()}
    joined = type(again)(again.stream, 39, rows)
    following, stored = next(transitions(runner, [joined]))
    np.testing.assert_allclose(stored, following, atol=1e-5)


def test_last_records_carry_states_where_environments_reset_themselves_at_once():
    def entry_point(config):
        poles = [lambda: gym.make("CartPole-v1")] * 3
        return SyncVectorEnv(poles, autoreset_mode=AutoresetMode.SAME_STEP)

    config = tiny_config(entry_point, variant="v2", replay_context=1)
    config.env_runners(num_envs_per_env_runner=3, gym_env_vectorize_mode="vector_entry_point")
    runner = DreamerV3EnvRunner(config=config, worker_index=0)
    synthetic.scramble(runner.module.model)
    chunks = runner.sample(num_records=120)
    runner.stop()
    assert all(chunk.columns[IS_LAST].any() for chunk in chunks)
    for following, stored in transitions(runner, chunks):
        np.testing.assert_allclose(stored, following, atol=1e-5)


@pytest.mark.parametrize("variant", ["v1", "v2"])
def test_training_recomputes_the_states_that_were_stored(make_runner, variant):
    """From observations and actions of whole streams, with the noise that acting drew."""
    runner = make_runner(variant=variant)
    _, noise_seed = runner._seed_key.seeds(runner.config.seed, runner.num_envs)
    rng = np.random.default_rng(noise_seed)
    chunks = [chunk.columns for chunk in runner.sample(num_records=120)]
    records = {name: tf.constant(np.stack([x[name] for x in chunks])) for name in chunks[0]}
    assert np.any(records[IS_FIRST][:, 1:])
    module = runner.module
    world = DreamerModel(
        module.observations.layout, module.actions.layout, module.settings
    ).world_model
    for part in ("encoder", "rssm"):
        acting = getattr(module.model, part).variables
        for variable, other in zip(getattr(world, part).variables, acting, strict=True):
            variable.assign(other)
    noise = np.stack([module.policy.draw_noise(rng, 3).latent for _ in range(40)], 1)
    observed = world.observe(records, tf.constant(noise))
    h, index = observed.state.h, observed.state.index
    np.testing.assert_allclose(tf.reshape(h, [3, 40, -1]), records[LATENT_H], atol=1e-5)
    np.testing.assert_array_equal(tf.reshape(index, [3, 40, -1]), records[LATENT_INDEX])


@pytest.mark.parametrize(
    ("evaluation_action", "explore", "always_best"),
    [("mode", False, True), ("mode", True, False), ("sample", False, False)],
)
def test_evaluation_takes_the_most_likely_action_only_if_configured(
    make_runner, evaluation_action, explore, always_best
):
    """In each state acted in; the states themselves are sampled from posteriors either way."""
    runner = make_runner(evaluation_action=evaluation_action)
    best = []
    for chunk in runner.sample(num_records=150, explore=explore):
        index = tf.constant(chunk.columns[LATENT_INDEX].astype(np.int32))
        policy = runner.module.model.actor(State(chunk.columns[LATENT_H], index))
        same = (policy.mode().numpy() == chunk.columns[ACTION]).all(-1)
        best.extend(same[~chunk.columns[IS_LAST]])
    assert np.all(best) == always_best
    # Even where actions are sampled the better one of two is taken more often.
    assert np.mean(best) > 0.5


# Training


def test_rows_of_replay_go_on_from_the_record_before_them(make_runner):
    """A row's first state follows from h, z and action of its context record."""
    runner = make_runner()
    module = runner.module
    buffer = ReplayBuffer(length=8, context=1, online_queue=True, capacity_records=1000, seed=0)
    for chunk in runner.sample(num_records=150):
        buffer.add(chunk)
    model = DreamerModel(module.observations.layout, module.actions.layout, module.settings)
    set_weights(model, get_weights(model) | get_weights(module.model))
    columns = buffer.sample(100).columns
    records, context = split_context({name: tf.constant(x) for name, x in columns.items()})
    observed = model.world_model.observe(records, synthetic.uniform(100, 8, 4), context)
    h = tf.reshape(observed.state.h, [100, 8, -1])[:, 0]
    np.testing.assert_allclose(h, columns[LATENT_H][:, 1], atol=1e-5)
    # Some rows begin with an episode; the others do not begin like one.
    begins = columns[IS_FIRST][:, 1]
    assert 0 < begins.sum() < 50
    observed_again = model.world_model.observe(records, synthetic.uniform(100, 8, 4))
    observed_again = tf.reshape(observed_again.state.h, [100, 8, -1])[:, 0]
    assert np.abs(observed_again - columns[LATENT_H][:, 1])[~begins].max(1).min() > 1e-3


def content(buffer):
    """All records that are stored, segment after segment."""
    parts = [
        buffer.storage.gather([Window(segment, segment.start)], len(segment))
        for segment in buffer.storage.segments
    ]
    return [{name: x[0] for name, x in part.items()} for part in parts]


def assert_same_content(one, other):
    for a, b in zip(content(one), content(other), strict=True):
        assert a.keys() == b.keys()
        for name in a:
            np.testing.assert_array_equal(a[name], b[name], err_msg=name)


def test_new_records_are_trained_on_first(algorithm):
    """An update takes the two oldest of the rows that wait, and none that was served before."""
    queue = algorithm.replay_buffer.online_queue
    queued = queue.stored()
    assert len(queued) > 2
    algorithm._update()
    assert queue.stored() == queued[2:]


def test_update_stores_the_latents_that_it_computed(algorithm):
    """In the training records of its rows, the last row's where they overlap; nothing else."""
    for _ in range(3):
        twin = copy.deepcopy(algorithm.replay_buffer)
        rows = twin.sample(2)
        before = content(twin)
        _, latents = algorithm._update()
        assert {name: x.shape for name, x in latents.items()} == {
            LATENT_H: (2, 8, 16),
            LATENT_INDEX: (2, 8, 4),
        }
        # By hand, record by record.
        expected = {id(s): part for s, part in zip(twin.storage.segments, before, strict=True)}
        for b, (segment, start) in enumerate(rows.windows):
            for t in range(8):
                place = start - segment.start + 1 + t
                for name, x in latents.items():
                    expected[id(segment)][name][place] = x[b, t]
        for found, wanted in zip(content(algorithm.replay_buffer), expected.values(), strict=True):
            for name in found:
                np.testing.assert_array_equal(found[name], wanted[name], err_msg=name)
        # Not what was there before.
        assert np.abs(latents[LATENT_H] - rows.columns[LATENT_H][:, 1:]).max() > 1e-4


def test_rows_of_one_record_more_are_trained_on_and_counted_without_it(algorithm):
    rows = copy.deepcopy(algorithm.replay_buffer).sample(2)
    assert rows.columns[LATENT_H].shape == (2, 9, 16)
    result = algorithm.train()
    learner = result["learners"]["default_policy"]
    assert learner["num_module_steps_trained_lifetime"] == 16 * result["num_grad_updates_lifetime"]
    assert np.isfinite(learner["CRITIC_L_replay"])


def test_replay_without_context_stores_no_latents():
    algorithm = tiny_config(variant="v2", replay_context=0).build_algo()
    try:
        algorithm.train()
        assert not any(name.startswith("latent") for name in algorithm.replay_buffer.storage.specs)
        assert algorithm._update()[1] == {}
    finally:
        algorithm.stop()


@pytest.mark.long
def test_v1_with_a_context_and_a_remote_env_runner():
    config = tiny_config(replay_context=1)
    config.env_runners(num_env_runners=1, num_envs_per_env_runner=2, num_cpus_per_env_runner=0.5)
    algorithm = config.build_algo()
    try:
        result = algorithm.train()
        assert result["num_grad_updates_lifetime"] == 1
        assert np.isfinite(result["learners"]["default_policy"]["WORLD_MODEL_L_total"])
        twin = copy.deepcopy(algorithm.replay_buffer)
        _, latents = algorithm._update()
        assert latents.keys() == {LATENT_H, LATENT_INDEX}
        twin.write_back(twin.sample(2).windows, latents)
        assert_same_content(algorithm.replay_buffer, twin)
    finally:
        algorithm.stop()


def test_restored_algorithm_goes_on_with_the_same_rows_and_latents(algorithm, tmp_path):
    restored = DreamerV3.from_checkpoint(algorithm.save_to_path(str(tmp_path / "checkpoint")))
    try:
        assert_same_content(algorithm.replay_buffer, restored.replay_buffer)
        for _ in range(2):
            (_, latents), (_, restored_latents) = algorithm._update(), restored._update()
        assert latents.keys() == {LATENT_H, LATENT_INDEX}
        for name, x in latents.items():
            np.testing.assert_array_equal(x, restored_latents[name])
        assert_same_content(algorithm.replay_buffer, restored.replay_buffer)
        one, other = (a.learner_group._learner for a in (algorithm, restored))
        weights = [get_weights(learner.trainer.model) for learner in (one, other)]
        for name, x in weights[0].items():
            np.testing.assert_array_equal(x, weights[1][name])
        for name, x in one.trainer.get_state().items():
            np.testing.assert_array_equal(x, other.trainer.get_state()[name])
    finally:
        restored.stop()
