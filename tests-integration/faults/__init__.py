"""Never lose a critical alert, and prove it: load, faults, and the auditor of what became of it.

    python -m faults                    a fleet of its own, every fault that this machine can cause
    python -m faults --list             the faults
    python -m faults --fleet .run/fleet.json --only kill-edge,broker-killed
    python -m faults --cluster          three RabbitMQ 4 nodes in containers
    python -m faults --seed 7           the same instants and choices again

Run it with `tests-integration` on the path (`make test-faults`).

| module | it is |
|---|---|
| `audit` | the rules, pure: what was confirmed, what was handled, what is left → what is wrong |
| `book` | the records that the rules read |
| `publishers` | numbered critical alerts, over AMQP and HTTP, each sent until confirmed |
| `devices`, `device` | clients that come and go: the SDK, raw sockets, a process of its own |
| `faults_table` | every fault, as values |
| `target` | what strikes need of a fleet: signals, the broker's alarms, substitutes, queue depths |
| `campaign` | rounds: load, strikes at seeded instants, drain, audit |
"""
