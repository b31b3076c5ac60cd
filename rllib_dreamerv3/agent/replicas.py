"""Data-parallel trainers: each with its own rows, all with the same networks.

Uses TensorFlow's collective operations; see
https://www.tensorflow.org/guide/distributed_training. Each process has ordinary variables, which
start with the same values and take the same steps.
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
    """A single trainer, which has all rows; the base of :class:`WorkerReplicas`.

    Attributes:
        share: Share of the rows of this process.
    """

    share = WHOLE

    def running(self, update: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function to compile instead of ``update``, with collective operations."""
        return update

    def mean(self, tensors: Tensors) -> Tensors:
        """Return the means over all trainers, bit-identical in all of them."""
        return tensors

    def of_all(self, values: tf.Tensor) -> tf.Tensor:
        """Return the values of all trainers, concatenated along the first axis."""
        return values


class WorkerReplicas(Replicas):
    """One trainer in each of several processes, which connect by network addresses."""

    def __init__(self, addresses: Sequence[str], index: int):
        """Wait for the others; must be called before TensorFlow's first operation.

        Args:
            addresses: ``host:port`` of each process, in the same order in all processes.
            index: Index of this process.
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
        # Gradients may be sparse in only some processes.
        dense = tf.nest.map_structure(tf.convert_to_tensor, tensors)
        return _here().all_reduce(tf.distribute.ReduceOp.MEAN, dense)

    def of_all(self, values: tf.Tensor) -> tf.Tensor:
        """See :meth:`Replicas.of_all`; raises UnavailableError if another process has died."""
        # A sum with zeros, because all_gather requires compiled functions. The values are small.
        own, parts = self.share
        places = [values if i == own else tf.zeros_like(values) for i in range(parts)]
        whole = _here().all_reduce(tf.distribute.ReduceOp.SUM, tf.stack(places))
        return tf.reshape(whole, [-1, *values.shape[1:]])


def _here() -> tf.distribute.ReplicaContext:
    return tf.distribute.get_replica_context()


ALONE = Replicas()
"""A single trainer."""
