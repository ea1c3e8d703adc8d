"""``python -m tapewire.broker > docs/topology.md`` documents the topology."""

from tapewire.broker.topology import document

if __name__ == "__main__":
    print(document(), end="")
