"""Benchmarks: what realm_sync does in a second, each against a named baseline measured in the same run.

`python -m benchmarks` runs them all on SQLite and PostgreSQL and prints one table. The targets are the design's, for one
server process on PostgreSQL. One file per benchmark; setting.py has the databases, servers and clients they share.
"""
