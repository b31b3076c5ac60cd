"""What TensorBoard's files hold."""

import tensorflow as tf
from tensorboardX.proto.event_pb2 import Event


def events_of(trial, kind, tag):
    """Step and value of everything of a kind under a tag, one events file a trial."""
    (file,) = trial.glob("events.out.tfevents.*")
    found = []
    for record in tf.data.TFRecordDataset(str(file)).as_numpy_iterator():
        event = Event.FromString(record)
        found += [(event.step, getattr(x, kind)) for x in event.summary.value if x.tag == tag]
    return found


def scalars_of(trial, tag):
    return events_of(trial, "simple_value", tag)
