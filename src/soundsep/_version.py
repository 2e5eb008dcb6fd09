"""The version: the one place, from which the build reads it too."""

__version__ = "0.2.0.dev0"
