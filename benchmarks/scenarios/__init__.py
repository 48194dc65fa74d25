"""What is measured, by what it is about; the list is in benchmarks/suite.py."""
