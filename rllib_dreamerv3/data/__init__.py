"""Recorded experience: datasets in several formats are read as episodes, and episodes as records.

==================  ==============================================================================
`episode.py`        an :class:`Episode`, and its conversion to records and back
`dataset.py`        the interface of all formats
`formats.py`        :func:`open_dataset`: which format a path has
`loading.py`        episodes as chunks of records, for replay
`pieces.py`         joins the pieces of an episode
`rllib_episodes.py` Parquet files of RLlib's episodes, read and written
`minari_data.py`    Minari datasets, read and written
`replay_data.py`    the replay of a checkpoint
`npz_data.py`       the authors' NPZ files
`recorder.py`       writes the records of a run as episodes, while it runs
==================  ==============================================================================
"""
