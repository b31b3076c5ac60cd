"""The networks of a policy in NumPy: encoder of vectors, RSSM and actor; no images.

Parameters are read from ``networks.safetensors``, by the names that they have in training. Sizes
and kinds of layers come from the ``settings`` in ``policy.json``. Letters of shapes: N
environments, D and S units and categoricals of the state, A width of the action vector.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

Arrays = dict[str, np.ndarray]

LAYER_EPSILON, RMS_EPSILON = 1e-3, 1e-4
# The greatest float32 below 1.
_BELOW_ONE = np.nextafter(np.float32(1), np.float32(0))


def read_safetensors(path: Path) -> Arrays:
    """Arrays by name from a file of float32 numbers: their bytes follow a header in JSON."""
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    arrays = {}
    for name, entry in header.items():
        if name != "__metadata__":
            begin, end = (start + offset for offset in entry["data_offsets"])
            arrays[name] = np.frombuffer(data[begin:end], "<f4").reshape(entry["shape"])
    return arrays


class NumpyPolicy:
    """One step of a policy, with the inputs and outputs of every other format."""

    def __init__(self, described: Mapping[str, Any], parameters: Arrays):
        """Takes ``policy.json`` and all parameters by name."""
        self._settings: Mapping[str, Any] = described["settings"]
        self._observations = described["observations"]
        self._actions = described["actions"]
        self._parameters = parameters
        block = self._settings["sequence_model"] == "block_gru"
        self._sequence_model = self._block_gru if block else self._normed_gru
        self._start = self._initial_state()

    def __call__(self, inputs: Arrays) -> Arrays:
        """One step of N environments."""
        first = inputs["is_first"][:, None]
        h = np.where(first, self._start[0], inputs["h"])
        index = np.where(first, self._start[1], inputs["index"])
        action = np.where(first, np.float32(0), inputs["action"])
        tokens = self._mlp("encoder/mlp", self._vectors(inputs))
        h = self._sequence_model(h, self._one_hot(index), _bounded(action))
        hidden = self._layer("rssm/posterior_hidden", "rssm/posterior_activation", h, tokens)
        probs = self._by_class(self._linear("rssm/posterior_output", hidden))
        index = _pick(probs, inputs["latent_noise"])
        sample, mode = self._act(h, self._one_hot(index), inputs)
        return {"next_h": h, "next_index": index.astype(np.int32), "sample": sample, "mode": mode}

    def _vectors(self, inputs: Arrays) -> np.ndarray:
        """All columns side by side, as the encoder takes them."""
        parts = []
        for leaf in self._observations:
            column, symlog = inputs[leaf["input"]], self._settings["symlog_obs"] is not False
            if "classes" in leaf["column"]:
                each = zip(column.T, leaf["column"]["classes"], strict=True)
                values = np.concatenate([_one_hot(c, n) for c, n in each], -1)
                symlog &= self._settings["discrete_observations"] != "categorical"
            else:
                values = column
            parts.append(np.sign(values) * np.log1p(np.abs(values)) if symlog else values)
        return np.concatenate(parts, -1, dtype=np.float32)

    def _initial_state(self) -> tuple[np.ndarray, np.ndarray]:
        """The state ``[1, ...]`` before an episode: learned, or zeros (classes of -1)."""
        if "rssm/initial" not in self._parameters:
            s = self._settings
            return np.zeros((1, s["deterministic"]), "f4"), np.full((1, s["categoricals"]), -1)
        h = np.tanh(self._parameters["rssm/initial"])[None]
        hidden = self._mlp("rssm/prior_mlp", h)
        return h, self._by_class(self._linear("rssm/prior_output", hidden)).argmax(-1)

    def _normed_gru(self, h: np.ndarray, z: np.ndarray, action: np.ndarray) -> np.ndarray:
        name = "rssm/sequence_model"
        x = self._layer(f"{name}/input", f"{name}/input_activation", z, action)
        gates = np.concatenate([h, x], -1) @ self._parameters[f"{name}/gates/kernel"]
        scale, offset = (self._parameters[f"{name}/gates_{x}"] for x in ("scale", "offset"))
        return _gru(h, *np.split(_layer_norm(gates, scale, offset), 3, -1))

    def _block_gru(self, h: np.ndarray, z: np.ndarray, action: np.ndarray) -> np.ndarray:
        name = "rssm/sequence_model"
        parts = (
            self._layer(f"{name}/{layer}", f"{name}/{layer}_activation", values)
            for layer, values in (("from_h", h), ("from_z", z), ("from_action", action))
        )
        x = np.concatenate([*parts], -1)
        kernel = self._parameters[f"{name}/hidden/kernel"]
        blocks, n = len(kernel), len(h)
        by_block = h.reshape(n, blocks, -1).transpose(1, 0, 2)
        inputs = np.concatenate([by_block, np.broadcast_to(x, (blocks, *x.shape))], -1)
        hidden = np.matmul(inputs, kernel).transpose(1, 0, 2).reshape(n, -1)
        hidden = self._activate(f"{name}/hidden_activation", hidden)
        gates = np.matmul(
            hidden.reshape(n, blocks, -1).transpose(1, 0, 2),
            self._parameters[f"{name}/gates/kernel"],
        )
        # Each block has its part of reset, candidate and update.
        gates += self._parameters[f"{name}/gates/bias"].reshape(blocks, 1, -1)
        reset, candidate, update = np.split(gates.transpose(1, 0, 2), 3, -1)
        return _gru(h, reset.reshape(n, -1), candidate.reshape(n, -1), update.reshape(n, -1))

    def _act(self, h: np.ndarray, z: np.ndarray, inputs: Arrays) -> tuple[np.ndarray, np.ndarray]:
        """A sampled and the likeliest action vector."""
        hidden = self._layer("actor/mlp/first/linear", "actor/mlp/first_activation", h, z)
        hidden = self._mlp("actor/mlp/rest", hidden)
        mask, noise = inputs.get("action_mask"), inputs["action_noise"]
        samples: list[np.ndarray] = []
        modes: list[np.ndarray] = []
        # Outputs, random numbers and mask entries that are used up.
        output = used = masked = 0
        for leaf in self._actions:
            for n in leaf["classes"] if leaf["kind"] == "classes" else [0]:
                raw = [
                    self._linear(f"actor/outputs/{output}/{i}", hidden)
                    for i in range(1 if n else 2)
                ]
                output += 1
                if n:
                    allowed = None if mask is None else mask[:, masked : masked + n] != 0
                    probs = _unimix(raw[0], self._settings["actor_unimix"], allowed)
                    samples.append(_one_hot(_pick(probs, noise[:, used]), n))
                    modes.append(_one_hot(probs.argmax(-1), n))
                    used, masked = used + 1, masked + n
                else:
                    mean, std = np.tanh(raw[0]), 0.9 * _sigmoid(raw[1] + 2) + 0.1
                    width = mean.shape[-1]
                    samples.append(mean + std * noise[:, used : used + width])
                    modes.append(mean)
                    used += width
        return np.concatenate(samples, -1), np.concatenate(modes, -1)

    def _linear(self, name: str, x: np.ndarray) -> np.ndarray:
        y: np.ndarray = x @ self._parameters[f"{name}/kernel"]
        return y + self._parameters[f"{name}/bias"]

    def _layer(self, linear: str, activation: str, *inputs: np.ndarray) -> np.ndarray:
        """A product with all inputs side by side, norm and SiLU."""
        x = np.concatenate(inputs, -1) @ self._parameters[f"{linear}/kernel"]
        return self._activate(activation, x)

    def _activate(self, name: str, x: np.ndarray) -> np.ndarray:
        """Bias, norm and SiLU, of which the norm's kind and the bias depend on the parameters."""
        found = {key: self._parameters.get(f"{name}/{key}") for key in ("bias", "scale", "offset")}
        if found["bias"] is not None:
            x = x + found["bias"]
        if found["offset"] is not None:
            x = _layer_norm(x, found["scale"], found["offset"])
        else:
            x = x / np.sqrt(np.square(x).mean(-1, keepdims=True) + RMS_EPSILON) * found["scale"]
        y: np.ndarray = x * _sigmoid(x)
        return y

    def _mlp(self, name: str, x: np.ndarray) -> np.ndarray:
        """All blocks in a row."""
        block = 0
        while f"{name}/blocks/{block}/linear/kernel" in self._parameters:
            where = f"{name}/blocks/{block}"
            x = self._layer(f"{where}/linear", f"{where}/activation", x)
            block += 1
        return x

    def _by_class(self, logits: np.ndarray) -> np.ndarray:
        """Probabilities ``[N, S, C]`` of logits ``[N, S * C]``."""
        s = self._settings
        by_class = logits.reshape(len(logits), s["categoricals"], s["classes"])
        return _unimix(by_class, s["unimix"])

    def _one_hot(self, index: np.ndarray) -> np.ndarray:
        """``[N, S] -> [N, S * C]``; a class of -1 gives zeros."""
        return _one_hot(index, self._settings["classes"]).reshape(len(index), -1)


def _one_hot(index: np.ndarray, n: int) -> np.ndarray:
    """``[...] -> float32 [..., n]``; -1 gives zeros."""
    return (index[..., None] == np.arange(n)).astype(np.float32)


def _sigmoid(x: np.ndarray) -> np.ndarray:
    # By tanh, which overflows nowhere.
    y: np.ndarray = 0.5 * np.tanh(0.5 * x) + 0.5
    return y


def _bounded(action: np.ndarray) -> np.ndarray:
    """Divides every component by max(1, |a|), as the sequence model does."""
    return action / np.maximum(1, np.abs(action))


def _layer_norm(x: np.ndarray, scale: Any, offset: Any) -> np.ndarray:
    x = x - x.mean(-1, keepdims=True)
    variance = np.square(x).mean(-1, keepdims=True)
    y: np.ndarray = x / np.sqrt(variance + LAYER_EPSILON) * scale + offset
    return y


def _gru(h: np.ndarray, reset: np.ndarray, candidate: np.ndarray, update: np.ndarray) -> np.ndarray:
    candidate = np.tanh(_sigmoid(reset) * candidate)
    return h + _sigmoid(update - 1) * (candidate - h)


def _unimix(logits: np.ndarray, mix: float, allowed: np.ndarray | None = None) -> np.ndarray:
    """Softmax of logits ``[..., C]``, mixed with the uniform distribution of what is allowed."""
    possible: Any = logits.shape[-1]
    if allowed is not None:
        possible = allowed.sum(-1, keepdims=True).astype(np.float32)
        logits = np.where(allowed, logits, np.finfo(np.float32).min)
    exp = np.exp(logits - logits.max(-1, keepdims=True))
    probs = (1 - mix) * exp / exp.sum(-1, keepdims=True) + mix / possible
    return probs if allowed is None else np.where(allowed, probs, np.float32(0))


def _pick(probs: np.ndarray, uniform: np.ndarray) -> np.ndarray:
    """The class whose share of a running sum a uniform number hits: ``[..., C] -> [...]``."""
    cumulative = np.cumsum(probs, -1)
    threshold = np.minimum(uniform, _BELOW_ONE)[..., None] * cumulative[..., -1:]
    picked: np.ndarray = (cumulative <= threshold).sum(-1)
    return picked
