"""The parts of `mirrorhook rewrite`: where manifests come from, and where they go."""
