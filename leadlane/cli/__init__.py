"""The command line for people who send leads."""
