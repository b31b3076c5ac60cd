"""The benchmark environments by id. RLlib creates all others from Gymnasium's registry.

Each benchmark has its own file in this directory. Atari is a vector environment; the others are
single environments, which are vectorised here.
"""

import importlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import Any

import gymnasium as gym
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv, VectorEnv

from rllib_dreamerv3.envs.atari import (
    AtariOptions,
    check_atari_game,
    is_atari,
    make_atari,
    warn_of_single_frames,
)
from rllib_dreamerv3.envs.bsuite import BSuiteOptions, bsuite_ids, make_bsuite
from rllib_dreamerv3.envs.catch import CATCH_IDS, CatchOptions, make_catch
from rllib_dreamerv3.envs.crafter import CRAFTER_IDS, CrafterOptions, make_crafter
from rllib_dreamerv3.envs.dm_control import (
    DmControlOptions,
    check_pixels,
    dm_control_ids,
    make_dm_control,
)
from rllib_dreamerv3.envs.env_config import EnvOptions, unknown_environment
from rllib_dreamerv3.envs.infos import make_unmerged
from rllib_dreamerv3.envs.minigrid import MiniGridOptions, make_minigrid, minigrid_ids
from rllib_dreamerv3.envs.rllib_ids import replacement_of_rllib_id
from rllib_dreamerv3.errors import ConfigError


@dataclass(frozen=True)
class Suite:
    """A benchmark of single environments.

    Attributes:
        prefix: Common prefix of the ids.
        module: Python module that users may write before an id, as in ``module:id``.
        packages: Required Python modules.
        extra: The extra of this package that installs them.
        options: Class of the options in ``env_config``.
        ids: Returns all ids.
        make: Creates one environment from its id and options.
        check_machine: Raises ConfigError if this machine does not support the options.
    """

    prefix: str
    module: str
    packages: tuple[str, ...]
    extra: str
    options: type[EnvOptions]
    ids: Callable[[], Collection[str]]
    make: Callable[[str, Any], gym.Env]
    check_machine: Callable[[Any], None] = lambda options: None

    def check(self, env_id: str, options: EnvOptions) -> None:
        """Raise ConfigError if a package is not installed, or the environment does not exist."""
        for package in self.packages:
            if find_spec(package) is None:
                raise ConfigError(
                    f"{env_id!r} needs the package {package}, which is not installed: "
                    f"pip install 'rllib-dreamerv3[{self.extra}]'"
                )
        ids = self.ids()
        if env_id not in ids:
            raise unknown_environment(
                env_id,
                ids,
                common=self.prefix,
                advice=f"There are {len(ids)}, from {min(ids)} to {max(ids)}.",
            )
        self.check_machine(options)


_SUITES = (
    Suite(
        prefix="dm_control/",
        module="shimmy",
        packages=("shimmy", "dm_control"),
        extra="dmc",
        options=DmControlOptions,
        ids=dm_control_ids,
        make=make_dm_control,
        check_machine=check_pixels,
    ),
    Suite(
        prefix="crafter/",
        module="crafter",
        packages=("crafter",),
        extra="crafter",
        options=CrafterOptions,
        ids=lambda: CRAFTER_IDS,
        make=make_crafter,
    ),
    Suite(
        prefix="bsuite/",
        module="shimmy",
        packages=("shimmy", "bsuite"),
        extra="bsuite",
        options=BSuiteOptions,
        ids=bsuite_ids,
        make=make_bsuite,
    ),
    Suite(
        prefix="Catch-",
        module="rllib_dreamerv3",
        packages=(),
        extra="",
        options=CatchOptions,
        ids=lambda: CATCH_IDS,
        make=make_catch,
    ),
    Suite(
        prefix="MiniGrid-",
        module="minigrid",
        packages=("minigrid",),
        extra="minigrid",
        options=MiniGridOptions,
        ids=minigrid_ids,
        make=make_minigrid,
    ),
)


def is_benchmark(env: object) -> bool:
    """Whether an environment is a benchmark: an Atari game, or of one of the suites."""
    return is_atari(env) or _find_suite(env) is not None


def options_of(env_id: str, env_config: Mapping[str, Any]) -> EnvOptions:
    """Parse the options of a benchmark environment, without requiring its packages.

    Args:
        env_id: An id that :func:`is_benchmark` accepts.
        env_config: Option name -> value.

    Returns:
        The options of that benchmark.

    Raises:
        ConfigError: If an option is unknown (names the most similar), or a value is invalid.
    """
    suite = _find_suite(env_id)
    return (AtariOptions if suite is None else suite.options).from_env_config(env_config)


def check_environment(env_id: str, env_config: Mapping[str, Any]) -> EnvOptions | None:
    """Check an environment's name and options, without creating it.

    Args:
        env_id: Id of a benchmark, or one registered with Gymnasium.
        env_config: Option name -> value; checked only for benchmarks.

    Returns:
        The options of a benchmark; None for other environments.

    Raises:
        ConfigError: If the environment does not exist (names the most similar), a package is
            missing (says what to install), or an option's value is invalid.
    """
    if not is_benchmark(env_id):
        module, _, name = env_id.rpartition(":")
        try:
            if module:
                # As in gym.make, importing the module registers its environments.
                importlib.import_module(module)
            gym.spec(name)
        except (gym.error.Error, ModuleNotFoundError) as error:
            raise _not_found(env_id, error) from error
        return None
    options = options_of(env_id, env_config)
    suite = _find_suite(env_id)
    if isinstance(options, AtariOptions):
        check_atari_game(env_id)
        if options.frameskip == 1:
            warn_of_single_frames()
    elif suite is not None:
        suite.check(_without_module(env_id, suite), options)
    return options


def _not_found(env_id: str, error: Exception) -> ConfigError:
    """Build the error for an id that is not registered with Gymnasium."""
    here = replacement_of_rllib_id(env_id)
    if here is not None:
        return ConfigError(here)
    known = [name for name in gym.registry if not is_benchmark(name)]
    # Gymnasium has no exception class of its own for malformed ids.
    readable = isinstance(error, gym.error.UnregisteredEnv | ModuleNotFoundError)
    form = "Ids read Name-v1 or namespace/Name-v1; gymnasium.pprint_registry() lists all."
    return unknown_environment(env_id, known, advice="" if readable else form)


def make_benchmark(
    env_id: str,
    num_envs: int,
    env_config: Mapping[str, Any],
    vectorize_mode: gym.VectorizeMode = gym.VectorizeMode.SYNC,
) -> VectorEnv:
    """Create N environments of a benchmark.

    Args:
        env_id: An id that :func:`is_benchmark` accepts.
        num_envs: Number of environments N.
        env_config: Option name -> value.
        vectorize_mode: Whether the environments are stepped sequentially, or each in its own
            process (``ASYNC``). Atari uses threads instead.

    Returns:
        A vector environment in ``AutoresetMode.NEXT_STEP``: the step after an end ignores the
        action and returns the observation of a reset with reward 0. :class:`InfoList` lists its
        infos.

    Raises:
        ConfigError: As :func:`check_environment`.
    """
    options = check_environment(env_id, env_config)
    if isinstance(options, AtariOptions):
        return make_atari(env_id, num_envs, options)
    suite = _find_suite(env_id)
    assert suite is not None
    make_one = partial(suite.make, _without_module(env_id, suite), options)
    return vectorize([make_one] * num_envs, vectorize_mode)


def vectorize(make: Sequence[Callable[[], gym.Env]], mode: gym.VectorizeMode) -> VectorEnv:
    """Create a vector environment that steps single ones sequentially, or each in its own process.

    Args:
        make: A function for each environment.
        mode: ``SYNC`` or ``ASYNC``.

    Returns:
        A vector environment in ``AutoresetMode.NEXT_STEP``; :class:`InfoList` lists its infos.
    """
    makers = [partial(make_unmerged, make_one) for make_one in make]
    if mode == gym.VectorizeMode.ASYNC:
        # A process forked from one with threads of TensorFlow and Ray may hang.
        return AsyncVectorEnv(makers, context="forkserver", autoreset_mode=AutoresetMode.NEXT_STEP)
    return SyncVectorEnv(makers, autoreset_mode=AutoresetMode.NEXT_STEP)


def _find_suite(env: object) -> Suite | None:
    if not isinstance(env, str):
        return None
    for suite in _SUITES:
        if _without_module(env, suite).startswith(suite.prefix):
            return suite
    return None


def _without_module(env_id: str, suite: Suite) -> str:
    return env_id.removeprefix(f"{suite.module}:")
