"""The pure core: schema, values, queries, changes, merge, messages and sessions.

Imports the standard library, msgspec, lark and itself. No Django, no sockets, no clock, no randomness:
time, ids and limits are arguments. Both the server and the Python client stand on it.
"""
