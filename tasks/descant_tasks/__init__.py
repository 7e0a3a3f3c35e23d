"""The tasks that ship with Descant, one per file; importing a file registers its task."""
