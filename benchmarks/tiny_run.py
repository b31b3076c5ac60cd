"""The smallest complete run, for benchmarks and tests."""

from typing import Any

# A nano model on 2 x 8 records, one update for each record. The same numbers on every machine.
TINY: dict[str, Any] = {
    "model_size": "nano",
    "compute_dtype": "float32",
    "batch_size_B": 2,
    "batch_length_T": 8,
    "horizon_H": 3,
    "training_ratio": 16,
    "num_steps_sampled_before_learning_starts": 32,
}
