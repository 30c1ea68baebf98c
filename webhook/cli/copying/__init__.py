"""The parts of `mirrorhook copy`: which images, between which stores, and what is told."""
