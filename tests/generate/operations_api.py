"""The description of the JSON that the operations port returns, as it serves it itself."""

from __future__ import annotations

import json
from typing import Any, cast

from webhook.server.console.routes import create_console_router
from webhook.server.operations import create_operations_app


def generate() -> str:
    """Return the OpenAPI description of the port with the console on."""
    unused = cast("Any", None)  # only requests need them
    console = create_console_router(unused, unused, unused)
    app = create_operations_app(unused, unused, own_state=lambda: unused, console=console)
    return json.dumps(app.openapi(), indent=2) + "\n"
