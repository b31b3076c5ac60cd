"""Exports policies for other programs: folders that act without this package (docs/deploying.md).

``folder.py`` writes the folder; ``formats.py`` converts the step in ``step.py`` to each format.
"""
