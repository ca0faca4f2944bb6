"""HTTP: from a request to an actor's command, and from its answer or error to a response."""
