"""What if there were a cloud here: stand-ins on 127.0.0.1 for trials, tests and the demonstration."""
