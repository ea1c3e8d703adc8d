from tapewire.fleet.backoff import FIRST_DELAY_S, LONGEST_DELAY_S, Backoff


def test_the_first_death_is_mended_at_once():
    assert Backoff().after(uptime_s=0.5).delay_s == FIRST_DELAY_S


def test_deaths_in_a_row_wait_longer_up_to_a_bound():
    state, delays = Backoff(), []
    for _ in range(12):
        state = state.after(uptime_s=1)
        delays.append(state.delay_s)
    assert delays[:4] == [0.2, 0.4, 0.8, 1.6]
    assert delays[-1] == LONGEST_DELAY_S


def test_a_steady_run_makes_the_next_death_a_first_one():
    state = Backoff().after(1).after(1).after(1)
    assert state.after(uptime_s=60).delay_s == FIRST_DELAY_S
