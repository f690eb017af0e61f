"""The HTTP edge: routes, status codes, connections and their end."""
