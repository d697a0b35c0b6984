"""Prefect on this machine: server, worker and deployments, on loopback."""

from autorule.local_prefect.lifecycle import STATE, LocalPrefect, environment_of, start, status, stop

__all__ = ["STATE", "LocalPrefect", "environment_of", "start", "status", "stop"]
