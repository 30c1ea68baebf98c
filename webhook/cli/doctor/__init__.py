"""`mirrorhook doctor`: find out why Pods of a cluster are not rewritten."""
