"""The tables of realm_sync: history, epoch, client files, subscriptions, and what log-in needs.

Columns, constraints and readable names only; no sync logic. The engine writes most of them in SQL of its own
(history.py, subscriptions.py, uploads.py); the admin shows them read-only.
"""

from __future__ import annotations

import secrets

from django.conf import settings as django_settings
from django.db import models


def new_salt() -> int:
    return secrets.randbelow(2**63 - 1) + 1


class Change(models.Model):
    """One row of the history: one change of one object, written by the trigger of its table (R1).

    Also two kinds that no trigger writes: `advance` (a client file's changesets were integrated up to the client
    version in `after`, whose object id is the file's ident) and `access` (what a user may see or write may have
    changed; the object id is the user's key).
    """

    class Kind(models.TextChoices):
        INSERT = "insert"
        UPDATE = "update"
        DELETE = "delete"
        ADVANCE = "advance"
        ACCESS = "access"

    id = models.BigAutoField(primary_key=True)
    version = models.BigIntegerField()
    """Position in the history. PostgreSQL: the transaction; SQLite: the row itself (R2)."""
    class_name = models.CharField(max_length=200, db_column="class")
    object_id = models.CharField(max_length=255)
    kind = models.CharField(max_length=8, choices=Kind)
    before = models.TextField(null=True)
    """JSON: the old wire values of the fields that changed; the whole image for a delete; null for an insert."""
    after = models.TextField(null=True)
    """JSON: the whole wire image; null for a delete."""
    timestamp = models.BigIntegerField()
    """Milliseconds since 1970: of the user's write for uploads, of the statement for any other writer."""
    origin = models.BigIntegerField(default=0)
    """The ident of the client file whose upload this is, or 0 for any other writer."""
    sets = models.TextField(null=True)
    """JSON: the paths of counters that an upload set: whoever else changes a counter adds the difference (R7). Also those
    of other integers that it added to, with a plus in front: whoever else changes an integer sets it."""

    class Meta:
        ordering = ("version", "id")
        indexes = (
            models.Index(fields=("version", "id"), name="realm_sync_change_version"),
            models.Index(fields=("class_name", "object_id", "version"), name="realm_sync_change_object"),
        )

    def __str__(self) -> str:
        return f"{self.version}: {self.kind} {self.class_name} {self.object_id}".strip()


class Epoch(models.Model):
    """One row: which life of the database this is. A client that presents another one meets a client reset."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    epoch = models.CharField(max_length=32)
    pruned_upto = models.BigIntegerField(default=0)
    """History up to this version is gone; a client file that has not seen it all must start over."""
    created = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.epoch


class Origin(models.Model):
    """SQLite only: one row with the ident of the client file whose upload the running transaction integrates.

    Triggers read it, as PostgreSQL's read a transaction-local setting; it is 0 whenever no upload is being written.
    """

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    ident = models.BigIntegerField(default=0)
    timestamp = models.BigIntegerField(null=True)
    """Milliseconds since 1970 for what is written meanwhile; null: now."""

    def __str__(self) -> str:
        return str(self.ident)


class ClientFile(models.Model):
    """One local database file of one user, with the ident and salt the server gave it."""

    class Encoding(models.TextChoices):
        JSON = "json", "JSON"
        DEVICE_SYNC = "device-sync", "Device Sync (official SDKs)"

    ident = models.BigAutoField(primary_key=True)
    salt = models.BigIntegerField(default=new_salt, editable=False)
    user = models.ForeignKey(django_settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="client_files")
    user_agent = models.CharField(max_length=300, blank=True)
    encoding = models.CharField(max_length=11, choices=Encoding, default=Encoding.JSON)
    """What its client speaks: the two count versions and views differently, so no file ever changes over."""
    created = models.DateTimeField(auto_now_add=True)
    last_seen = models.DateTimeField(auto_now_add=True)
    client_version = models.BigIntegerField(default=0)
    """Every changeset of the file up to this one is integrated (R6)."""
    server_version = models.BigIntegerField(default=0)
    """The version the file said it holds, when it last said so."""
    views = models.JSONField(default=dict)
    """What its downloads were cut to: bootstrap number → {class: query text}. The newest acknowledged and those since.
    Of an official SDK's file: the bootstrap's version → the same, with the digest of the schema it holds under ""."""
    opened = models.BigIntegerField(default=0)
    """Official SDKs: how many sessions have opened it. What an older one than the last notes is out of date."""
    reset_reason = models.CharField(max_length=200, blank=True)
    """Not empty: the file must start over at its next bind, and this is why."""

    def __str__(self) -> str:
        return f"file {self.ident} of {self.user}"


class SubscriptionSet(models.Model):
    """What a client file wants in its realm, as of one query version."""

    class State(models.TextChoices):
        PENDING = "pending"
        BOOTSTRAPPING = "bootstrapping"
        COMPLETE = "complete"
        ERROR = "error"
        SUPERSEDED = "superseded"

    client_file = models.ForeignKey(ClientFile, on_delete=models.CASCADE, related_name="subscription_sets")
    query_version = models.BigIntegerField()
    state = models.CharField(max_length=13, choices=State, default=State.PENDING)
    error = models.TextField(blank=True)
    created = models.DateTimeField(auto_now_add=True)
    updated = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ("client_file", "-query_version")
        constraints = (
            models.UniqueConstraint(fields=("client_file", "query_version"), name="realm_sync_one_set_per_version"),
        )

    def __str__(self) -> str:
        return f"query version {self.query_version} of {self.client_file} ({self.state})"


class Subscription(models.Model):
    """A named query in a subscription set."""

    subscription_set = models.ForeignKey(SubscriptionSet, on_delete=models.CASCADE, related_name="subscriptions")
    ident = models.CharField(max_length=24)
    """The client's ObjectId of the subscription; stable while the subscription lives."""
    name = models.CharField(max_length=200, null=True, blank=True)
    class_name = models.CharField(max_length=200, db_column="class")
    query = models.TextField()
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.name or 'unnamed'}: {self.class_name} where {self.query}"


class Identity(models.Model):
    """One way a user logs in: a provider of the client API, and who the user is there."""

    user = models.ForeignKey(django_settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="realm_identities")
    provider_type = models.CharField(max_length=32)
    subject = models.CharField(max_length=255)
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name_plural = "identities"
        constraints = (
            models.UniqueConstraint(fields=("provider_type", "subject"), name="realm_sync_one_user_per_identity"),
        )

    def __str__(self) -> str:
        return f"{self.provider_type}: {self.subject}"


class UserSession(models.Model):
    """One log-in on one device: the refresh token, hashed. Revoked means its access tokens are worth nothing too."""

    user = models.ForeignKey(django_settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="realm_sessions")
    provider_type = models.CharField(max_length=32)
    token_hash = models.CharField(max_length=64, unique=True)
    device_id = models.CharField(max_length=24)
    device = models.JSONField(default=dict, blank=True)
    created = models.DateTimeField(auto_now_add=True)
    refreshed = models.DateTimeField(auto_now_add=True)
    expires = models.DateTimeField()
    revoked = models.BooleanField(default=False)
    credential = models.CharField(max_length=64, blank=True)
    """What was shown at log-in and can be withdrawn: an API key's id, or the hash of a Django session's key."""
    auth_hash = models.CharField(max_length=128, blank=True)
    """`user.get_session_auth_hash()` at a log-in with a password: a new password ends the session, as it ends Django's.
    Empty where no password was involved."""

    def __str__(self) -> str:
        return f"{self.user} since {self.created:%Y-%m-%d %H:%M}" + (" (revoked)" if self.revoked else "")


class ApiKey(models.Model):
    """A key a user made for a program of theirs; only its hash is kept."""

    id = models.CharField(max_length=24, primary_key=True)
    user = models.ForeignKey(django_settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="realm_api_keys")
    name = models.CharField(max_length=100)
    key_hash = models.CharField(max_length=64, unique=True)
    disabled = models.BooleanField(default=False)
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("user", "name"), name="realm_sync_one_api_key_per_name"),)

    def __str__(self) -> str:
        return self.name
