"""The official Realm SDKs' wire format: Device Sync, protocol 14, as a second encoding of what realm_sync says."""
