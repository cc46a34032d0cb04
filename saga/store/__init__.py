"""Postgres: the tables, the journal, claims, and what people read. Never calls a service."""
