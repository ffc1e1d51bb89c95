"""How does a person ask? One file per group of commands, imported when it is used."""
