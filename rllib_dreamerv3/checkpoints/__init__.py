"""Checkpoints as directories that are whole or not there, verified before they are read.

:mod:`.directory` puts a finished directory in the place of an older one in a single step,
:mod:`.manifest` lists every file with size and checksum, and :mod:`.tensors` keeps arrays without
pickle. :mod:`.files` says which files there are, and :mod:`.policy_file` what one of them holds.
"""
