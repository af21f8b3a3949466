"""A model of the official Realm SDKs' client, as strict as they are: see client.py; errors.py has what kills it."""
