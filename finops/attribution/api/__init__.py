"""REST resources of this room. Owners go by slug, keys by prefix, sources by slug; ids stay inside."""
