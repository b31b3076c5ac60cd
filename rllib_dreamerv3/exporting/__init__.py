"""Writes policies for other programs: folders that act without this package, see docs/deploying.md.

``folder.py`` writes all of it; each format has a file of its own, which makes a model of the step
in ``step.py``.
"""
