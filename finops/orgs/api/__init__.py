"""REST resources of organizations and everyone in them. Each method makes one call and translates."""
