"""Trainers that make each update together: each with its own rows, all with the same networks.

TensorFlow's collective operations do the work; see
https://www.tensorflow.org/guide/distributed_training. Variables are plain ones of each process:
all begin with the same values and take the same steps.
"""

import json
import os
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from rllib_dreamerv3.agent.math.batch_shard import WHOLE, RowShare

# Nested dicts, lists and tuples of tensors.
Tensors = Any


class Replicas:
    """A trainer on its own, which has all rows; the base of :class:`WorkerReplicas`.

    Attributes:
        share: The rows that the trainer of this process has.
    """

    share = WHOLE

    def running(self, update: Callable[..., Any]) -> Callable[..., Any]:
        """The function to compile in place of ``update``, in which the others can be met."""
        return update

    def mean(self, tensors: Tensors) -> Tensors:
        """Means of all trainers' tensors, each of the same shape, and bit for bit the same."""
        return tensors

    def of_all(self, values: tf.Tensor) -> tf.Tensor:
        """What all trainers have, one after the other along the first axis."""
        return values


class WorkerReplicas(Replicas):
    """One trainer in each of several processes, which find each other by network addresses."""

    def __init__(self, addresses: Sequence[str], index: int):
        """Waits for the others; to be called before TensorFlow's first operation.

        Args:
            addresses: ``host:port`` of each process, in an order that all know.
            index: The place of this process among them.
        """
        self.share = RowShare(index, len(addresses))
        os.environ["TF_CONFIG"] = json.dumps(
            {"cluster": {"worker": [*addresses]}, "task": {"type": "worker", "index": index}}
        )
        self._strategy = tf.distribute.MultiWorkerMirroredStrategy()

    def running(self, update: Callable[..., Any]) -> Callable[..., Any]:
        """See :meth:`Replicas.running`."""
        return lambda *args: self._strategy.run(update, args)

    def mean(self, tensors: Tensors) -> Tensors:
        """See :meth:`Replicas.mean`; raises UnavailableError if another process has died."""
        # Gradients may be sparse in one process only.
        dense = tf.nest.map_structure(tf.convert_to_tensor, tensors)
        return _here().all_reduce(tf.distribute.ReduceOp.MEAN, dense)

    def of_all(self, values: tf.Tensor) -> tf.Tensor:
        """See :meth:`Replicas.of_all`; raises UnavailableError if another process has died."""
        # A sum with zeros of the others, and not all_gather, which needs compiled functions: what
        # is gathered here is small.
        own, parts = self.share
        places = [values if i == own else tf.zeros_like(values) for i in range(parts)]
        whole = _here().all_reduce(tf.distribute.ReduceOp.SUM, tf.stack(places))
        return tf.reshape(whole, [-1, *values.shape[1:]])


def _here() -> tf.distribute.ReplicaContext:
    return tf.distribute.get_replica_context()


ALONE = Replicas()
"""No others."""
