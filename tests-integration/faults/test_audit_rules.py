"""The auditor's rules find what they are for, and nothing else."""

from faults.audit import Device, Handled, Sent, audit

PHONE = Device("phone", "ada")
TABLET = Device("tablet", "ada")
BOT = Device("bot", "ada", own=True)
RAW = Device("raw", "ada", remembers=False)


def alerts(count: int, publisher: str = "p") -> list[Sent]:
    return [Sent(f"{publisher}-{n}", "ada", publisher, n, float(n)) for n in range(count)]


def handled(device: Device, *ids: str, since: float = 100.0) -> list[Handled]:
    return [Handled(id_, device, since + n) for n, id_ in enumerate(ids)]


def test_all_handled_once_and_in_order_holds():
    verdict = audit(alerts(3), handled(PHONE, "p-0", "p-1", "p-2"), [PHONE])
    assert verdict.holds
    assert verdict.alerts == 3
    assert verdict.longest_s == 100.0


def test_confirmed_alert_that_nobody_handled_is_lost():
    verdict = audit(alerts(2), handled(PHONE, "p-0"), [PHONE, TABLET])
    assert verdict.lost == ["p-1 was confirmed, and ada never handled it"]


def test_unconfirmed_alert_is_not_promised():
    assert audit([Sent("p-0", "ada", "p", 0, None)], [], [PHONE]).holds


def test_user_without_a_device_is_not_told():
    assert audit(alerts(1), [], []).holds


def test_one_device_of_several_suffices():
    everything = [*handled(PHONE, "p-0"), *handled(TABLET, "p-1", since=200.0)]
    assert audit(alerts(2), everything, [PHONE, TABLET]).holds


def test_own_inbox_must_have_it_itself():
    verdict = audit(alerts(1), handled(PHONE, "p-0"), [PHONE, BOT])
    assert verdict.lost == ["p-0 was confirmed, and bot never handled it"]


def test_own_inbox_does_not_stand_in_for_the_person():
    verdict = audit(alerts(1), handled(BOT, "p-0"), [PHONE, BOT])
    assert verdict.lost == ["p-0 was confirmed, and ada never handled it"]


def test_device_with_a_memory_that_handles_twice_is_a_duplicate():
    verdict = audit(alerts(1), handled(PHONE, "p-0", "p-0"), [PHONE])
    assert verdict.duplicated == ["phone handled p-0 2 times"]


def test_two_devices_may_both_handle_it_and_a_raw_one_twice():
    twice = [*handled(PHONE, "p-0"), *handled(TABLET, "p-0"), *handled(RAW, "p-0", "p-0")]
    assert audit(alerts(1), twice, [PHONE, TABLET, RAW]).holds


def test_first_handling_after_a_later_alert_is_disorder():
    verdict = audit(alerts(3), handled(PHONE, "p-0", "p-2", "p-1"), [PHONE])
    assert verdict.disordered == ["ada handled p-1 after p-2"]


def test_disorder_of_a_user_never_seen_is_told_and_no_finding():
    late = Device("late", "ada", unseen=True)
    verdict = audit(alerts(3), handled(late, "p-0", "p-2", "p-1"), [late])
    assert verdict.holds
    assert verdict.overtaken == ["ada handled p-1 after p-2"]


def test_repetition_behind_a_later_alert_is_no_disorder():
    assert audit(alerts(2), handled(RAW, "p-0", "p-1", "p-0"), [RAW]).holds


def test_order_is_that_of_the_users_devices_together():
    mixed = [*handled(PHONE, "p-1", since=1.0), *handled(TABLET, "p-0", since=2.0)]
    assert audit(alerts(2), mixed, [PHONE, TABLET]).disordered == ["ada handled p-0 after p-1"]


def test_own_inbox_has_an_order_of_its_own():
    everything = [*handled(PHONE, "p-0", "p-1"), *handled(BOT, "p-1", "p-0")]
    assert audit(alerts(2), everything, [PHONE, BOT]).disordered == ["bot handled p-0 after p-1"]


def test_publishers_are_not_ordered_among_each_other():
    both = alerts(1, "p") + alerts(1, "q")
    assert audit(both, handled(PHONE, "q-0", "p-0"), [PHONE]).holds


def test_what_nobody_sent_is_invented():
    assert audit([], handled(PHONE, "x"), [PHONE]).invented == [
        "phone handled x, which nobody sent"
    ]


def test_what_waits_in_a_queue_is_left():
    verdict = audit([], [], [], depths={"dead": 0, "mailroom": 2})
    assert verdict.left == ["2 left in mailroom"]
    assert not verdict.holds
