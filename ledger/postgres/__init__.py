"""The embedded Postgres: its data folder, its process, its life."""
