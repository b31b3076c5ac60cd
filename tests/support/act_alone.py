"""Acts with exported policies where most packages are taken away; a program for subprocesses.

    python act_alone.py blocked,modules jobs.pkl

``jobs.pkl`` is a list of ``(folder, format, options of load(), observations)``; the actions, and
the state after each, are written to ``<jobs.pkl>.done``. The modules can not be imported.
"""

import importlib
import pickle
import sys


class Blocker:
    """Lets modules be missing."""

    def __init__(self, names):
        self.names = names

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in self.names:
            raise ModuleNotFoundError(f"{name} is taken away", name=name)


def act(folder, format, options, observations):
    sys.path.insert(0, str(folder))
    try:
        policy = importlib.import_module("policy_io").load(folder, format=format, **options)
    finally:
        sys.path.remove(str(folder))
    done = []
    for observation in observations:
        action = policy(observation)
        done.append((action, tuple(policy.state)))
    return done


if __name__ == "__main__":
    blocked, jobs = sys.argv[1].split(","), sys.argv[2]
    sys.meta_path.insert(0, Blocker(blocked))
    with open(jobs, "rb") as file:
        done = [act(*job) for job in pickle.load(file)]
    assert not set(blocked) & set(sys.modules)
    with open(f"{jobs}.done", "wb") as file:
        pickle.dump(done, file)
