"""What stays of trainers that are gone, as in a process that trains many times."""

import ctypes
import gc
import os
import weakref

import pytest
import synthetic
import tensorflow as tf
import trainers
from tensorflow.python.framework.func_graph import FuncGraph

PARTS = (synthetic.VECTOR, synthetic.DISCRETE)
# Of an update of the smallest model, XLA keeps about 40 MB of programs for the life of the process.
MAX_MB = 60


def train_and_forget():
    """References to the trainer and to its graph, which is compiled."""
    trainer, batch = trainers.make_trainer(*PARTS), synthetic.batch(*PARTS)
    trainer.update(batch)
    return weakref.ref(trainer), weakref.ref(trainer.update.get_concrete_function(batch).graph)


def megabytes():
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def alive(kind):
    gc.collect()
    # Not isinstance(), which raises for a weak proxy whose object is gone.
    return sum(issubclass(type(x), kind) for x in gc.get_objects())


@pytest.mark.compiled
@pytest.mark.long
def test_networks_and_graphs_are_freed_and_the_rest_is_bounded():
    train_and_forget()
    variables, graphs, before = alive(tf.Variable), alive(FuncGraph), megabytes()
    rounds = 2
    for _ in range(rounds):
        references = train_and_forget()
        gc.collect()
        assert [reference() for reference in references] == [None, None]
    # What other tests have left may be freed meanwhile.
    assert alive(tf.Variable) <= variables
    # The backward pass of the recurrence, with the condition and body of its loop.
    assert alive(FuncGraph) <= graphs + 3 * rounds
    assert (megabytes() - before) / rounds < MAX_MB
