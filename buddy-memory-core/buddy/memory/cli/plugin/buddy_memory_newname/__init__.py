"""The newname backend of buddy-memory, opened as ``newname:///folder``."""
