"""What the edge is measured beside: the same messages, clients and loop for each of them."""
