"""The REST face: routes, problems, who asks. Every route is one call of a service."""
