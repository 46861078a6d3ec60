"""From options to objects: one check per option, before any work. Knows no content of files and no result."""
