"""The console: what the webhook does and why, as a page for people and as JSON."""

from webhook.server.console.views import ConsoleViews

__all__ = ["ConsoleViews"]
