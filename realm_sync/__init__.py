"""realm_sync: offline-first synced models for Django. Holds the version and imports nothing."""

__version__ = "0.1.0"
