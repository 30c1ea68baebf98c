"""The parts of `mirrorhook pull`: engines, their processes, and what to do with an image."""
