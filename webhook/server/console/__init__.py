"""The console: what the webhook does and why, as a page for people and as JSON.

`webhook.server.console.routes` is imported when somebody looks, as it takes FastAPI.
"""

from webhook.server.console.board import Board

__all__ = ["Board"]
