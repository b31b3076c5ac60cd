"""The ``rllib`` command: turns files and options into a config, and runs it with Ray Tune.

Importing any module of this package but ``callback`` imports neither TensorFlow nor Ray.
"""
