"""The front door for producers: validates events, publishes them with confirms, takes each once."""
