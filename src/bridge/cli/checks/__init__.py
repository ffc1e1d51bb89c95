"""What `bridge check` looks at, one file for each kind of subject; each finding with its remedy."""
