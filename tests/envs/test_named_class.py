import functools
import re
from textwrap import dedent

import gymnasium as gym
import pytest

from rllib_dreamerv3.envs.named_class import directory_of, find_maker, is_found, make_named
from rllib_dreamerv3.errors import ConfigError


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Writes modules that can be imported, under names that no other test has."""
    monkeypatch.syspath_prepend(tmp_path)

    def write_module(name, text):
        path = tmp_path / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text("import gymnasium as gym\n" + dedent(text))
        return path

    return write_module


@pytest.mark.parametrize(
    ("signature", "received"),
    [
        ("self, config", {"config": {"size": 3}}),
        ("self, config=None", {"config": {"size": 3}}),
        ("self, anything", {"anything": {"size": 3}}),
        ("self, size=1, render_mode=None", {"size": 3, "render_mode": None}),
        ("self, *, size", {"size": 3}),
    ],
)
def test_classes_are_made_as_rllib_or_as_gymnasium_does(write, signature, received):
    name = f"made_{abs(hash(signature))}"
    write(
        name,
        f"""
        class Mine(gym.Env):
            def __init__({signature}):
                self.received = {{k: v for k, v in locals().items() if k not in ("self",
                    "__class__")}}

        def function(config):
            return Mine(**config) if {"size" in received} else Mine(config)
        """,
    )
    assert make_named(f"{name}:Mine", {"size": 3}).received == received
    assert make_named(f"{name}:function", {"size": 3}).received == received


def test_ids_that_a_module_registers_come_first(write):
    write(
        "registering_module",
        """
        class Own(gym.Env): pass
        gym.register("OwnOfModule-v0", Own)
        gym.register("OwnUnversioned", Own)
        """,
    )
    assert find_maker("registering_module:OwnOfModule-v0") is None
    assert find_maker("registering_module:OwnUnversioned") is None
    assert find_maker("CartPole-v1") is None


@pytest.mark.parametrize(
    ("env", "message"),
    [
        ("no_such_module:Own", "The module 'no_such_module' of.*--pythonpath DIR"),
        ("wrong_names:Ownn", r"Unknown environment of .*wrong_names\.py: 'Ownn'.*'Own'"),
        ("wrong_names:Own-v0", r"wrong_names\.py: 'Own-v0'. Did you mean 'Own'"),
        ("wrong_names:number", "'wrong_names:number' is int 3; it must be a class"),
        ("needs_another:Own", "cannot be imported: ModuleNotFoundError: .*'not_installed'.*line 2"),
        ("raises:Own", r"cannot be imported: ZeroDivisionError: .*raises\.py, line 2\)"),
    ],
)
def test_errors_in_a_name_are_reported(write, env, message):
    write("wrong_names", "class Own(gym.Env): pass\nnumber = 3")
    write("needs_another", "import not_installed")
    write("raises", "1 / 0")
    with pytest.raises(ConfigError, match=message):
        find_maker(env)


def test_a_module_is_located_without_importing_it(write, tmp_path):
    write("never_imported", "raise SystemError")
    write("packaged/__init__", "raise SystemError")
    assert directory_of("never_imported:Own") == str(tmp_path)
    assert directory_of("packaged.inner:Own") == str(tmp_path)
    assert directory_of("gymnasium:Own") is None
    assert is_found("never_imported:Own")
    assert is_found("gymnasium:Own")
    assert not is_found("no_such_module:Own")
    assert directory_of("no_such_module:Own") is None


def test_a_config_takes_it_like_any_other_name(write):
    from ray.tune.registry import ENV_CREATOR, _global_registry

    from rllib_dreamerv3 import DreamerV3Config

    write(
        "for_a_config",
        """
        class Own(gym.Env):
            def __init__(self, size=1):
                self.size = size
        """,
    )
    DreamerV3Config().environment("for_a_config:Own").validate()
    creator = _global_registry.get(ENV_CREATOR, "for_a_config:Own")
    assert isinstance(creator, functools.partial)
    assert creator({"size": 4}).size == 4
    with pytest.raises(ConfigError, match=re.escape("'Ownn'. Did you mean 'Own'?")):
        DreamerV3Config().environment("for_a_config:Ownn").validate()
    assert isinstance(creator({}), gym.Env)
