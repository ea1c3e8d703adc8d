"""The durable side: trays, who holds them, how they are handed over."""
