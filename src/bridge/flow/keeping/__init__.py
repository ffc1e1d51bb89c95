"""What keeps the directory true and small: the fence, the engine's file, what goes on after a start, retention."""
