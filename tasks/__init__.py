"""Prefect tasks: thin shells around the library, one shard each."""
