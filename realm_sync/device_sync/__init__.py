"""The official Realm SDKs' side of the engine: their client files, downloads and uploads on the history of all others."""
