"""Checkpoints as directories that are complete or absent, and verified before they are read.

:mod:`.directory` replaces a directory atomically, :mod:`.manifest` lists every file with size and
checksum, and :mod:`.tensors` stores arrays without pickle. :mod:`.files` has the names of the
files, and :mod:`.policy_file` the content of one of them.
"""
