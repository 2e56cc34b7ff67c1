"""Running it: embedded server, sandbox, demo, benchmarks."""
