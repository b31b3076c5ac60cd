"""The networks: world model (encoder, RSSM, decoder, heads), actor and critic.

Letters used for shapes everywhere in this package:

======  ==========================================================================
letter  meaning
======  ==========================================================================
B       sequences of a training batch
T       records of a sequence
N       independent states: B * T imagination starts, or environments when acting
H       imagination horizon
S, C    categoricals of z, and classes of each
D       units of the deterministic state h
F       width of the model state seen by heads: D + S * C
E       width of the encoder's output
A       width of the action vector
U       units of a dense layer
======  ==========================================================================
"""
