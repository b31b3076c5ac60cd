"""The number of blocks of every block-diagonal layer: the GRU's and the image decoder's."""

# The same at every model size (2025 code).
BLOCKS = 8
