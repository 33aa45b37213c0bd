"""Bulk work on many machines, in shards that are each done once; an application of Ray Serve."""
