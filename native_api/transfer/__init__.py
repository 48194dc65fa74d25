"""What is brought in from elsewhere, keeping ids, times and history."""
