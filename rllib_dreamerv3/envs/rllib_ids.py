"""Ids of environments in RLlib's examples that are not registered with Gymnasium."""

_DM_CONTROL = "DMC"
_ROBOTICS = "GRB"


def replacement_of_rllib_id(env_id: str) -> str | None:
    """Return a sentence with the replacement of an id of RLlib's examples.

    Args:
        env_id: E.g. ``DMC/cartpole/swingup``, a domain and a task of the DeepMind Control Suite.

    Returns:
        The sentence; None for other ids.
    """
    suite, _, name = env_id.partition("/")
    if suite == _DM_CONTROL:
        domain, _, task = name.partition("/")
        here = f"dm_control/{domain or 'cartpole'}-{task or 'swingup'}-v0"
        return (
            f"{env_id!r} is how RLlib's examples name a task of the DeepMind Control Suite. Here "
            f'it is {here!r}, and for images (from_pixels there) env_config {{"pixels": true}}.'
        )
    if suite == _ROBOTICS:
        return (
            f"{env_id!r} is how RLlib's examples named a task of Gymnasium-Robotics. Here it is "
            f"'gymnasium_robotics:{name}', with that package installed."
        )
    return None
