"""What `mirrorhook doctor` looks at."""
