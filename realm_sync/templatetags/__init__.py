"""Template tags: `{% load realm_sync %}`."""
