"""Values -> lines of styled text, one part of the screen per file. Pure."""
