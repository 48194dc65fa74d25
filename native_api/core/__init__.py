"""What is true whatever the surface: tables, rules and SQL. Knows no HTTP."""
