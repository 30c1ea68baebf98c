"""The command line as ``python -m webhook``."""

from webhook.cli.main import main

main()
