"""The error for options that do not exist here: all at once, each with what to do.

Options of RLlib's other algorithms are known by name, since configs are often adapted from theirs.
"""

from collections.abc import Iterable, Mapping

from rllib_dreamerv3.errors import ConfigError, suggestion
from rllib_dreamerv3.options.rllibs_refused import IDLE, REFUSED
from rllib_dreamerv3.options.table import REPLAY_BUFFER

# Algorithm, what to do instead, and its options that one sentence is about.
_GROUPS = (
    ("an older DreamerV3", "set model_size instead", "model_dimension"),
    ("PPO", "DreamerV3 has no clipping: leave it out", "clip_param vf_clip_param"),
    (
        "PPO",
        "DreamerV3 has no KL penalty on the policy: leave it out",
        "use_kl_loss kl_coeff kl_target",
    ),
    ("PPO", "DreamerV3 always has a critic and lambda-returns: leave it out", "use_gae use_critic"),
    ("PPO", "set gae_lambda instead", "lambda_"),
    ("PPO", "set entropy_scale instead", "entropy_coeff entropy_coeff_schedule"),
    (
        "PPO",
        "actor, critic and world model are separate networks: leave it out",
        "vf_loss_coeff vf_share_layers",
    ),
    (
        "PPO",
        "training_ratio sets the number of updates, batch_size_B and batch_length_T their size",
        "num_sgd_iter sgd_minibatch_size",
    ),
    (
        "another library",
        "set world_model_lr, actor_lr and critic_lr (Adam) or lr (LaProp) instead",
        "learning_rate",
    ),
    (
        "PPO",
        "a learning rate may be a schedule: [[env step, rate], ...]",
        "lr_schedule",
    ),
    (
        "IMPALA",
        "DreamerV3 learns from replay without importance weights: leave it out",
        "vtrace vtrace_clip_rho_threshold vtrace_clip_pg_rho_threshold target_worker_clipping",
    ),
    (
        "IMPALA",
        "set optimizer_type and the learning rates instead",
        "opt_type decay momentum epsilon adam_epsilon optimization_config",
    ),
    (
        "IMPALA",
        "replay is set by replay_buffer_config and training_ratio",
        "replay_proportion replay_buffer_num_slots minibatch_buffer_size learner_queue_size "
        "learner_queue_timeout use_circular_buffer circular_buffer_num_batches "
        "circular_buffer_iterations_per_batch simple_queue_size",
    ),
    (
        "SAC",
        "slow_critic_decay sets how fast the slow critic follows",
        "tau target_network_update_freq target_update_frequency",
    ),
    (
        "SAC",
        "the weight of the entropy is fixed: set entropy_scale instead",
        "initial_alpha alpha_lr target_entropy",
    ),
    (
        "SAC",
        "set model_size instead",
        "q_model_config policy_model_config hiddens",
    ),
    ("DQN", "set training_ratio instead", "training_intensity"),
    ("DQN", "checkpoints always hold replay: leave it out", "store_buffer_in_checkpoints"),
    (
        "DQN",
        "DreamerV3 learns no Q-values: leave it out",
        "twin_q double_q dueling noisy sigma0 num_atoms v_min v_max n_step td_error_loss_fn "
        "categorical_distribution_temperature burn_in_len before_learn_on_batch",
    ),
)

OTHERS = {
    name: f"{algorithm}'s; {instead}."
    for algorithm, instead, names in _GROUPS
    for name in names.split()
}


def unknown_options(
    what: str, names: Iterable[str], valid: Iterable[str], hints: Mapping[str, str] | None = None
) -> ConfigError:
    """Build the error for unknown options.

    Args:
        what: Kind of the options, e.g. ``"training option"``.
        names: The unknown ones, at least one.
        valid: All valid names. Private ones, and those that have no effect here, are not suggested.
        hints: What to do about some of the unknown ones.

    Returns:
        An error that names all of them.
    """
    offered = {name for name in valid if not name.startswith("_") and name not in REFUSED | IDLE}
    nested = dict.fromkeys(REPLAY_BUFFER, "set it in replay_buffer_config.")
    known = OTHERS | nested | dict(hints or {})
    found = {name: known.get(name) or suggestion(name, offered) for name in names}
    if len(found) == 1:
        ((name, hint),) = found.items()
        return ConfigError(f"Unknown {what} {name!r}{':' if name in known else '.'} {hint}")
    lines = "".join(f"\n  {name!r}: {hint}" for name, hint in found.items())
    return ConfigError(f"Unknown {what}s:{lines}")
