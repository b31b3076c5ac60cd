"""The README of an exported policy: what is in the folder, and how to act with it."""

from collections.abc import Mapping
from typing import Any

README_FILE = "README.md"

_NEEDED = {
    "savedmodel": ("SavedModel, for TensorFlow", "tensorflow"),
    "litert": ("LiteRT (TensorFlow Lite), float32", "ai-edge-litert"),
    "onnx": ("ONNX", "onnxruntime"),
}


def readme(described: Mapping[str, Any]) -> str:
    """Writes the page.

    Args:
        described: ``policy.json``; ``files`` may be missing.

    Returns:
        Markdown.
    """
    rows = [
        f"| `{name}` | {_NEEDED[name][0]} | `{model['path']}` | {_NEEDED[name][1]} |"
        for name, model in described["models"].items()
    ]
    names = [leaf["input"] for leaf in described["observations"]]
    if described["action_mask"]:
        names.append("action_mask")
    columns = ", ".join(f"`{x}`" for x in names)
    first = next(iter(described["models"]))
    return f"""# A policy of DreamerV3

Trained in {described["env"] or described["env_class"] or "an environment without a name"};
exported by rllib-dreamerv3 {described["package_version"]}.

| format | model | path | needs NumPy and |
|---|---|---|---|
{chr(10).join(rows)}

`policy.json` says what observations and actions look like, how they are encoded and decoded, and
has the SHA-256 of every file, its own too. `policy_io/` does that with NumPy alone.
`networks.safetensors` has the networks, for `load_policy()` and `rllib evaluate` of
rllib-dreamerv3.

## Acting

With this folder on the path of Python's modules, or `policy_io/` copied beside your program:

```python
from policy_io import load

policy = load(".", format="{first}")  # or another one of the table
policy.reset()  # where an episode begins
action = policy(observation)  # one observation, as the environment returns it
```

N environments at once: `policy(observations, is_first=begins)` with arrays `[N, ...]`, nested as
the space is, and `begins` (`[N]` bool) True where an episode begins. `load(..., mode="mode")` takes
the likeliest actions, `mode="sample"` draws them, as `seed=` says; by default it is
"{described["mode"]}". `policy.state` can be copied and put back.

## Without `policy_io`

The model is one step, a function of named arrays with N in front. Inputs: {columns},
`is_first`, the state `h`, `index` and `action`, and random numbers: `latent_noise` in [0, 1);
`action_noise`, in [0, 1) for each choice and standard normal for each number. Outputs: `next_h`,
`next_index` and two action vectors, `sample` and `mode`: the one that is taken is the next
`action`.
"""
