"""mirrorhook: one file of mirror rules, applied everywhere an image name is written."""

__version__ = "0.1.0"
