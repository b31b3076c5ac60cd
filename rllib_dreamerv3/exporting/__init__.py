"""Exports policies for other programs: folders that act without this package (docs/deploying.md).

``folder.py`` writes the folder; ``formats.py`` converts the step in ``step.py`` to each format.
"""

# Here, because the command line needs the names without loading TensorFlow.
FORMATS = ("savedmodel", "litert", "onnx")
"""Formats of models."""
