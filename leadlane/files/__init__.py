"""Leads as files of other people's systems have them."""
