"""The card of a shared policy: what it was trained for, how, and how well it plays."""

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from rllib_dreamerv3.checkpoints.manifest import damaged, is_shared
from rllib_dreamerv3.checkpoints.untrusted import read_json

CARD_FILE, README_FILE = "card.json", "README.md"
"""The card as JSON and as a page. The manifest lists neither, so both may be edited."""


@dataclass(frozen=True, kw_only=True)
class Card:
    """Content of a card.

    Attributes:
        env: The environment.
        env_config: Its options.
        model_size: Size of the networks.
        variant: "v1" (2023) or "v2" (2025).
        env_steps: Env steps of training.
        updates: Updates of training.
        episodes: Number of evaluation episodes, after training.
        action: How they were played: "sample" or "mode".
        seed: Seed of these episodes; None if they were not seeded.
        return_mean: Their mean return.
        return_std: Standard deviation of the returns (n - 1); None for a single episode.
        package_version: Version that wrote the policy.
        command: Command that trained it; None if unknown.
        commit: Commit of the package at which that command was run; None if unknown.
    """

    env: str
    env_config: dict[str, Any]
    model_size: str
    variant: str
    env_steps: int
    updates: int
    episodes: int
    action: str
    seed: int | None
    return_mean: float
    return_std: float | None
    package_version: str
    command: str | None
    commit: str | None

    @property
    def returns(self) -> str:
        """Mean return ± standard deviation, as text."""
        spread = "" if self.return_std is None else f" ± {self.return_std:.4g}"
        return f"{self.return_mean:.4g}{spread}"


def write(directory: Path, card: Card) -> None:
    """Write both files of a card."""
    text = json.dumps(asdict(card), indent=1, allow_nan=False) + "\n"
    (directory / CARD_FILE).write_text(text, encoding="utf-8")
    (directory / README_FILE).write_text(_page(card), encoding="utf-8")


def remove(directory: Path) -> None:
    """Remove the card of a shared policy, if it has one: its policy is about to be replaced."""
    if is_shared(directory):
        for name in (CARD_FILE, README_FILE):
            (directory / name).unlink(missing_ok=True)


def read(directory: Path) -> Card:
    """Read the card of a shared policy.

    Raises:
        CheckpointError: If it is missing or damaged.
    """
    path = directory / CARD_FILE
    try:
        content = read_json(path)
        return Card(**{field.name: content[field.name] for field in fields(Card)})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise damaged(path, f"{error or type(error).__name__}") from error


def _page(card: Card) -> str:
    """Return the page, with the metadata that the Hugging Face hub reads."""
    rows = {
        "environment": f"`{card.env}`",
        "its options": f"`{json.dumps(card.env_config)}`" if card.env_config else "defaults",
        "algorithm": f"DreamerV3 {card.variant}, size {card.model_size}",
        "training": f"{card.env_steps:,} env steps, {card.updates:,} updates",
        "mean return": f"{card.returns} (standard deviation) over {card.episodes} episodes",
        "actions": "sampled" if card.action == "sample" else "the most likely ones",
        "seed of these episodes": str(card.seed),
        "written by": f"rllib-dreamerv3 {card.package_version}",
    }
    if card.commit:
        rows["trained at commit"] = f"`{card.commit}`"
    table = "\n".join(f"| {name} | {value} |" for name, value in rows.items())
    training = f"\nTrained by\n\n    {card.command}\n" if card.command else ""
    # JSON is YAML: names of environments need no quoting rules of their own.
    env, value = json.dumps(card.env), json.dumps(card.returns)
    return f"""---
library_name: rllib-dreamerv3
pipeline_tag: reinforcement-learning
tags: [reinforcement-learning, deep-reinforcement-learning, DreamerV3, RLlib, {env}]
model-index:
- name: DreamerV3
  results:
  - task: {{type: reinforcement-learning, name: reinforcement-learning}}
    dataset: {{name: {env}, type: {env}}}
    metrics:
    - {{type: mean_reward, name: mean_reward, value: {value}, verified: false}}
---

# A policy of DreamerV3 for {card.env}

| | |
|---|---|
{table}
{training}
It has the networks of the world model, the actor and the critic (float16), and a few records, from
which dreams start. It has no optimizers and no pickles: reading it executes no code from it.

```python
from rllib_dreamerv3 import DreamEnv, load_policy

policy = load_policy(".")  # the path of this directory, or hf://owner/name
action = policy(observation)
dream = DreamEnv(".")  # the world model as a Gymnasium environment
```

    rllib evaluate .
    rllib train ... --from-checkpoint .
"""
