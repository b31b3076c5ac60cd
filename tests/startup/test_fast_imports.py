"""Imports of large libraries without garbage collection, and without what they do not need."""

import gc
import importlib
import sys

import pytest

from rllib_dreamerv3.startup.fast_imports import hidden, without_garbage_collection


@pytest.fixture(autouse=True)
def collection_as_before():
    # The test session has frozen what was imported.
    enabled, frozen = gc.isenabled(), gc.get_freeze_count()
    gc.unfreeze()
    yield
    (gc.enable if enabled else gc.disable)()
    if frozen:
        gc.freeze()


@pytest.mark.parametrize("enabled", [True, False])
def test_collection_is_off_inside_and_as_before_afterwards(enabled):
    (gc.enable if enabled else gc.disable)()
    with without_garbage_collection():
        assert not gc.isenabled()
        with without_garbage_collection():
            pass
        assert not gc.isenabled()
    assert gc.isenabled() is enabled


def test_collection_is_on_again_after_an_error():
    gc.enable()
    with pytest.raises(ModuleNotFoundError), without_garbage_collection():
        importlib.import_module("there_is_no_such_module")
    assert gc.isenabled()


def test_objects_of_the_block_are_old_and_still_collected():
    gc.disable()
    with without_garbage_collection():
        cycle = [["some"]]
        cycle.append(cycle)
    young = {id(x) for generation in (0, 1) for x in gc.get_objects(generation)}
    assert id(cycle) not in young
    assert any(x is cycle for x in gc.get_objects(2))


def test_frozen_objects_stay_frozen():
    cycle = [["some"]]
    cycle.append(cycle)
    gc.freeze()
    with without_garbage_collection():
        pass
    assert not any(x is cycle for x in gc.get_objects())
    gc.unfreeze()
    assert any(x is cycle for x in gc.get_objects())


def test_hidden_modules_are_missing_inside_and_importable_afterwards():
    sys.modules.pop("wave", None)
    with hidden("wave", "json"):
        with pytest.raises(ModuleNotFoundError):
            importlib.import_module("wave")
        # What is imported already stays.
        assert importlib.import_module("json")
    assert importlib.import_module("wave")
