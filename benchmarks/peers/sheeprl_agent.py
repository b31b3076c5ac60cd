"""SheepRL's DreamerV3 of a size and for given spaces, as what measures it needs it.

It has both: ``dreamer_v3`` with the sizes XS to XL, and ``dreamer_v3_5``, the 2025 revision, with
1M to 400M.
"""

from pathlib import Path
from typing import Any

from peers.workloads import Spaces

OBSERVATION = "observation"


def read_config(spaces: Spaces, size: str, *overrides: str) -> Any:
    """SheepRL's configuration of the algorithm that has this size.

    Args:
        spaces: What is observed and done.
        size: Name of a model size, in upper or lower case.
        *overrides: Settings other than its defaults, as Hydra reads them.

    Raises:
        SystemExit: If neither has it.
    """
    import sheeprl
    from hydra import compose, initialize_config_dir
    from omegaconf import OmegaConf
    from sheeprl.utils.utils import dotdict

    folder = Path(sheeprl.__path__[0]) / "configs"
    names = [f"{algorithm}_{size.upper()}" for algorithm in ("dreamer_v3", "dreamer_v3_5")]
    found = [name for name in names if (folder / "algo" / f"{name}.yaml").exists()]
    if not found:
        raise SystemExit(f"SheepRL's DreamerV3 has no size {size!r}.")
    keys, no_keys = ("cnn_keys", "mlp_keys") if spaces.is_image else ("mlp_keys", "cnn_keys")
    with initialize_config_dir(str(folder), version_base="1.3"):
        config = compose(
            "config",
            [
                f"exp={found[0].rpartition('_')[0]}",
                f"algo={found[0]}",
                "env=dummy",
                f"algo.{keys}.encoder=[{OBSERVATION}]",
                f"algo.{keys}.decoder=[{OBSERVATION}]",
                f"algo.{no_keys}.encoder=[]",
                f"algo.{no_keys}.decoder=[]",
                f"env.screen_size={spaces.observation[0] if spaces.is_image else 64}",
                *overrides,
            ],
        )
    if found[0] == names[1]:
        config.algo.optimizer.warmup = 0
    used = ("algo", "distribution", "env", "fabric")
    return dotdict({name: OmegaConf.to_container(config[name], resolve=True) for name in used})


def is_of_2025(config: Any) -> bool:
    """Whether a configuration is of its 2025 revision."""
    return config.algo.name == "dreamer_v3_5"


def make_agent(fabric: Any, spaces: Spaces, config: Any) -> tuple[Any, ...]:
    """World model, actor, critic, slow critic and player, with random parameters."""
    import gymnasium as gym
    from sheeprl.algos.dreamer_v3 import agent as of_2023
    from sheeprl.algos.dreamer_v3_5 import agent as of_2025

    if spaces.is_image:
        height, width, channels = spaces.observation
        space = gym.spaces.Box(0, 255, (channels, height, width), "uint8")
    else:
        space = gym.spaces.Box(-float("inf"), float("inf"), spaces.observation)
    build_agent = (of_2025 if is_of_2025(config) else of_2023).build_agent
    observed = gym.spaces.Dict({OBSERVATION: space})
    return build_agent(fabric, (spaces.actions,), spaces.continuous, config, observed)
