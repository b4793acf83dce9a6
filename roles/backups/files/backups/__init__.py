"""Backups of a host's bots: what is saved, how it is written down, and how it comes back. Drives restic, pg_dump, redis-cli and SQLite."""
