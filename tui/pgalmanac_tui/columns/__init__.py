"""The columns of the lists, one list per file. Pure."""
