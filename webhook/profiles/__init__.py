"""Built-in rules for public mirrors: data, each with its source, date and status.

Nobody checks here whether a mirror still works: each profile has the date when it was last
known to.
"""

from webhook.profiles.catalog import PROFILES
from webhook.profiles.model import Profile, Status

__all__ = ["PROFILES", "Profile", "Status"]
