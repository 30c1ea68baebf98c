"""
The console: what the webhook does and why, as a page for people and as JSON.
"""

from webhook.server.console.board import Board
from webhook.server.console.routes import console_routes

__all__ = ["Board", "console_routes"]
