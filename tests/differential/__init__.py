"""The same script and traffic through Kamailio and Kahea, compared message by message."""
