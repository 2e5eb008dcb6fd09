"""Checkpoints: which are published, where they lie, how their files are read and written."""
