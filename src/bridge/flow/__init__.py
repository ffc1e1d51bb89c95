"""In which order, durably? Knows every room's face and no room's inside."""
