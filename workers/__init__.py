"""What does the work: the Celery app, lanes, dispatcher, ledger, transport, providers."""
