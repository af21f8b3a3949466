"""What kills an official client: every check it makes on what a server sends, one class each.

The real client closes its connection, falls mute, hangs, loops or aborts its process; the model raises instead, so that
a test fails where the server made the mistake. Device Sync, protocol 14.
"""

from __future__ import annotations


class ClientKilled(AssertionError):
    """An official client would not survive this message: see the subclass."""


class ProtocolViolation(ClientKilled):
    """The client closes the connection, tells the app a fatal error and does not come back by itself."""


class UnreadableMessage(ProtocolViolation):
    """Unknown word, wrong number of fields, bad number or a body of another length than the header says."""


class OutOfOrder(ProtocolViolation):
    """A message in a state of the session, or for a session, in which it must not come."""


class AfterUnbound(OutOfOrder):
    """For a session that has ended."""


class AfterError(OutOfOrder):
    """After an error that suspended the session, which ends what the server may say in it. UNBOUND included."""


class WrongIdent(ProtocolViolation):
    """A client file's ident or salt outside of 1 … 2⁶³ − 1, or the server's own ident 1."""


class LatestWentBack(ProtocolViolation):
    """L.sv below what the client has."""


class WrongUploadCursor(ProtocolViolation):
    """U.cv below what the client has, or beyond what it has ever written."""


class WrongDownloadCursor(ProtocolViolation):
    """D.sv below what the client has, or beyond L.sv."""


class WrongIntegratedVersion(ProtocolViolation):
    """D.cv below what the client has, or beyond U.cv."""


class DownloadBehindUpload(ProtocolViolation):
    """D.sv below U.sv."""


class WrongEntryVersion(ProtocolViolation):
    """An entry's server version is 0, decreases (partition sync: does not grow), or is beyond D.sv."""


class WrongEntryClientVersion(ProtocolViolation):
    """An entry's client version decreases, or is beyond D.cv."""


class WrongOrigin(ProtocolViolation):
    """An entry's origin is 0 or the receiver itself."""


class WrongMark(ProtocolViolation):
    """A MARK that was not asked for, or was answered before."""


class WrongPong(ProtocolViolation):
    """A PONG without a PING, or with another timestamp."""


class WrongErrorLevel(ProtocolViolation):
    """A session's error on the connection or the other way round, or an unknown one of the connection."""


class WrongErrorBody(ProtocolViolation):
    """An error whose JSON lacks a key or has one of another type."""


class ProcessAborted(ClientKilled):
    """The whole app ends: an error number that the client takes for impossible, or a left-over byte."""


class IntegrationFailed(ClientKilled):
    """The client reports an error of its own and is mute until the app restarts the session."""


class UploadServerWentBack(IntegrationFailed):
    """U.sv, not 0, below what the client has stored."""


class BadChangeset(IntegrationFailed):
    """A changeset cannot be parsed."""


class MergeFailed(IntegrationFailed):
    """An incoming instruction contradicts a local one: other definitions, other sizes of one list."""


class ApplyFailed(IntegrationFailed):
    """An instruction that cannot be applied to what the client has."""


class BootstrapFailed(ClientKilled):
    """The client loops for ever or aborts: a bootstrap without an entry, or of a query that it does not know."""


class EmptyBootstrap(BootstrapFailed):
    """A bootstrap ends and not one entry came with it."""


class UnknownQueryVersion(BootstrapFailed):
    """A bootstrap or query error for a set of subscriptions that does not exist, has failed or is complete."""


class MarkBeforeBootstrap(ClientKilled):
    """A MARK answered before the bootstrap of the QUERY in front of it: opening hangs."""


class LatestAheadAtMark(ClientKilled):
    """D.sv below L.sv at a MARK: what is between is lost in a client reset."""


class CompensationOutOfReach(ClientKilled):
    """A compensating write whose server version no steady download reaches, or below one before it: never reported."""
