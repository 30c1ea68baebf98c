"""Built-in rules for public mirrors: data, each with its source, date and status.

Whether a mirror still works is not checked: each profile has the date when it was last known
to work.
"""

from webhook.profiles.catalog import PROFILES
from webhook.profiles.model import Profile, Status

__all__ = ["PROFILES", "Profile", "Status"]
