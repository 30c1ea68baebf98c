"""`mirrorhook doctor`: find what keeps Pods from being rewritten in a cluster."""
