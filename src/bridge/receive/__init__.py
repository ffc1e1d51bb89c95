"""What came in, and is it safe? Durable before the sender hears success."""
