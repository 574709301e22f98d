"""Transactions (RFC 3261 §16-17): table, branches, timers. Time is passed in, sending is through listeners."""
