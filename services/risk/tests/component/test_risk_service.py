from decimal import Decimal


def levels(bus, kind):
    return [body["alertLevel"] for body in bus.bodies(kind)]


async def test_loss_limit_is_told_once_a_level_and_the_stop_goes_out(bus, risk, trader):
    async with risk():
        await bus.say(trader.starts(loss_limit=Decimal(1000)))
        await bus.say(*(trader.loses(x) for x in (100, 760, 770, 910, 920, 1010, 1020, 1500)))
        await bus.until(lambda: len(bus.bodies("emergency_stop")) == 2)
    assert levels(bus, "loss_limit") == ["warning", "critical", "emergency"]
    (command,) = bus.bodies("command.emergency_stop")
    (notice,) = bus.bodies("emergency_stop.emergency")
    assert command == notice
    assert command["mode"] == "halt"
    assert command["requestedBy"] == "rule:loss_limit"
    assert all(body["ack"] for body in bus.bodies(".critical") + bus.bodies(".emergency"))
    first = bus.bodies("loss_limit")[0]
    assert (first["currentValue"], first["threshold"]) == (77.0, 75.0)
    assert first["message"] == "Loss of 770.00 is 77.0 % of the limit 1,000.00"
