"""The native system: its rules and tables (core), its door (web) and its own API (routes)."""
