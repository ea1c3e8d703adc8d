"""Live events: the queue of this edge process, who hears what, at which rate."""
