"""Cards of shared policies."""

from rllib_dreamerv3.checkpoints import card, manifest
from rllib_dreamerv3.checkpoints.files import NETWORKS_FILE


def test_only_the_card_of_a_shared_policy_is_removed(tmp_path):
    shared, others = tmp_path / "shared", tmp_path / "others"
    for directory in (shared, others):
        directory.mkdir()
        for name in (card.CARD_FILE, card.README_FILE):
            (directory / name).write_text("x")
        card.remove(directory)
    assert len(list(shared.iterdir())) == len(list(others.iterdir())) == 2
    networks = shared / NETWORKS_FILE
    networks.parent.mkdir(parents=True)
    networks.write_bytes(b"x")
    manifest.write(shared, env_steps=1, updates=1, iteration=1)
    assert manifest.is_shared(shared)
    card.remove(shared)
    assert not {card.CARD_FILE, card.README_FILE} & {path.name for path in shared.iterdir()}
