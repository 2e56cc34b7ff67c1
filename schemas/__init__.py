"""What crosses a boundary: leads, commands, outcomes, settings, and each provider's wire form."""
