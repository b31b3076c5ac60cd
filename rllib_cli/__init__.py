"""The ``rllib`` command: builds configs from files and options and runs them with Ray Tune.

``main`` and ``commands`` import no TensorFlow, Ray or NumPy; the commands import what they need
when they run.
"""
