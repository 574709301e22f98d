"""What may stand in braces after a variable: `$(ru{uri.user}{s.len})`."""
