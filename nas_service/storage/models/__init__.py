"""The tables, typed. Repositories translate between rows and values; nothing else sees rows.

All of them are known as soon as one is: a migration, and a look at every table, need them all.
"""

from nas_service.storage.models import access, devices, events, files, jobs, searches, trained

__all__ = ["access", "devices", "events", "files", "jobs", "searches", "trained"]
