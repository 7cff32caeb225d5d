"""Transactions: their states, their coordinator, and the topic in which they are kept."""
