"""A short campaign on the suite's fleet: one fault of most kinds, everything audited."""

import secrets

import pytest
from engines.attached import attach

from faults import campaign
from faults.faults_table import SHORT
from faults.world import World


@pytest.fixture
def found(fleet):
    """The suite's fleet, as one that somebody else started: found by its `fleet.json`."""
    return attach(fleet.told_in) if fleet.engine == "process" else fleet


@pytest.mark.timeout(240)
async def test_no_critical_alert_is_lost_doubled_or_out_of_order_under_faults(found, tmp_path):
    world = World(found, tmp_path, name=f"f{secrets.token_hex(2)}", seed=4, crowd=1)
    await world.open()
    try:
        outcome = await campaign.run(world, [SHORT], seed=4)
    finally:
        await world.close()
    print(campaign.table(outcome))
    assert outcome.holds, campaign.table(outcome)
    assert outcome.whole.alerts > 50
    assert all(row.struck for row in outcome.rows)
